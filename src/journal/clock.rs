//! A second clock that must agree before an entry or a key expires.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use crate::clock;

type Clock = Box<dyn Fn() -> Option<SystemTime> + Send + Sync>;

/// A second clock, which must agree before anything expires: the gateway's own clock may be years ahead, and
/// what was deleted is gone. Clones share it.
#[derive(Clone, Default)]
pub(super) struct SecondClock(Arc<OnceLock<Clock>>);

impl fmt::Debug for SecondClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecondClock").field(&self.0.get().is_some()).finish()
    }
}

impl SecondClock {
    /// Sets the second clock. Only the first call has an effect.
    pub(super) fn set(&self, clock: Clock) {
        let _ = self.0.set(clock);
    }

    /// The time that the second clock shows.
    pub(super) fn theirs(&self) -> Option<SystemTime> {
        self.0.get().and_then(|clock| clock())
    }

    /// A time that both clocks have reached; `None` while the second clock shows no time.
    pub(super) fn agrees(&self, ours: SystemTime) -> Option<SystemTime> {
        Some(ours.min(self.theirs()?))
    }

    /// The later time of both clocks. A record with this time does not expire too early.
    pub(super) fn latest(&self) -> SystemTime {
        let ours = clock::now();
        self.theirs().map_or(ours, |theirs| theirs.max(ours))
    }

    /// The latest beginning of something that lasts this long and has expired by both clocks. It is 1970
    /// while the second clock shows no time, so that nothing expires.
    pub(super) fn expired(&self, lifetime: Duration) -> SystemTime {
        let now = self.agrees(clock::now());
        now.and_then(|now| now.checked_sub(lifetime)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn it_is_as_late_as_both_clocks_say() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let with = |theirs: Option<SystemTime>| {
            let second = SecondClock::default();
            second.set(Box::new(move || theirs));
            second
        };
        assert_eq!(SecondClock::default().agrees(at(5)), None);
        assert_eq!(with(None).agrees(at(5)), None);
        assert_eq!(with(Some(at(3))).agrees(at(5)), Some(at(3)));
        assert_eq!(with(Some(at(9))).agrees(at(5)), Some(at(5)));
    }
}
