//! The limits of each caller, and of all callers together: rates, requests in flight and budgets. Also the
//! operators' freeze file, and the breaker that protects a failing ZEC.
//!
//! Nothing here sends, and only [`Live::wait_for_turn`] waits; each part allows a request, or returns how long to wait.

mod at_once;
mod breaker;
mod budget;
mod callers;
mod freeze;
mod in_flight;
mod live;
mod slots;
mod unverified;
mod rates;
mod settings;

use std::time::Duration;

pub use at_once::{AtOnce, Slot};
pub use breaker::{Asker, Breaker, BreakerPass, Probe};
pub use budget::{Budget, BudgetKind, Budgets, Reservation};
pub use callers::Callers;
pub use freeze::Freeze;
pub use in_flight::{CallerSlot, InFlightPerCaller};
pub use live::{Limits, Live};
pub use rates::Rates;
pub use settings::Settings;
pub use slots::ConcurrencySlots;
pub use unverified::{UnverifiedBodies, UnverifiedBody};

/// A wait in the form of `Retry-After`: whole seconds, rounded up, at least 1.
#[must_use]
pub fn retry_after(wait: Duration) -> u32 {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_that_is_told_is_long_enough() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(retry_after(Duration::from_millis(millis)), seconds);
        }
        assert_eq!(retry_after(Duration::MAX), u32::MAX);
    }
}
