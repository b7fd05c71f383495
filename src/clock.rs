//! The time of day, in one place, so that a simulation can set it.
//!
//! Code that records, signs or compares a time takes it from here. Durations are measured by tokio's
//! `Instant`, which is monotonic.

use std::time::SystemTime;

/// The time of day according to this machine's clock, which may be wrong and may jump.
#[must_use]
pub fn now() -> SystemTime {
    #[cfg(test)]
    if let Some(now) = simulated::now() {
        return now;
    }
    SystemTime::now()
}

/// A clock that a simulation sets, for its own thread alone.
#[cfg(test)]
pub(crate) mod simulated {
    use std::{cell::Cell, time::SystemTime};

    use tokio::time::Instant;

    thread_local! {
        /// The time that was set, and the moment of virtual time at which it was set.
        static SET: Cell<Option<(SystemTime, Instant)>> = const { Cell::new(None) };
    }

    pub(super) fn now() -> Option<SystemTime> {
        SET.get().map(|(time, at)| time + at.elapsed())
    }

    /// Sets the time; from now on it advances with virtual time.
    pub(crate) fn set(time: SystemTime) {
        SET.set(Some((time, Instant::now())));
    }

    /// Returns to the machine's clock.
    pub(crate) fn clear() {
        SET.set(None);
    }
}
