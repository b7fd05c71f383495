//! The limits in force, which a reload can replace.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{Rates, Settings, rates::too_often};
use crate::error::Error;

/// The limits in force, which can be replaced while requests are in flight. Clones share them.
///
/// A request in flight meets each limit as it is when the request reaches that limit. The number of
/// concurrent requests is checked at the beginning, the budget and the freeze file right before the write is
/// sent. A request reads each limit once and separately, so it never sees one that is half old and half new.
/// Using the limits from the request's beginning would be worse. Operators who lower a budget or name a
/// freeze file mean requests in flight too.
#[derive(Clone, Debug)]
pub struct Live(Arc<ArcSwap<Limits>>);

/// Limits, with the counts that depend on their numbers.
#[derive(Debug)]
pub struct Limits {
    /// The configured limits.
    pub settings: Settings,
    /// How often each caller has asked lately, measured against `requests_per_second`.
    pub(super) rates: Arc<Rates>,
}

impl Live {
    /// Makes these limits the ones in force.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let rates = Arc::new(Rates::new(settings.requests_per_second));
        Self(Arc::new(ArcSwap::from_pointee(Limits { settings, rates })))
    }

    /// The limits as they are now. Code that needs two of them together calls this once.
    #[must_use]
    pub fn now(&self) -> Arc<Limits> {
        self.0.load_full()
    }

    /// Waits until a caller may send a request, and counts it. The caller's requests that wait are in flight, so there are
    /// at most `limits.max_concurrent_per_caller` of them.
    ///
    /// # Errors
    /// 429 `rate-limited`, with the time to wait, if that is later than `until`.
    pub async fn wait_for_turn(&self, caller_id: &str, until: Instant) -> Result<(), Error> {
        loop {
            let limits = self.now();
            let Err(wait) = limits.rates.check(caller_id) else { return Ok(()) };
            let most = limits.settings.requests_per_second;
            drop(limits);
            if Instant::now() + wait > until {
                return Err(too_often(wait, most));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Replaces all limits at once. Requests in flight count against the new limits. How often callers have
    /// asked is dropped only if that limit changes.
    pub fn replace(&self, settings: Settings) {
        let before = self.now();
        let rates = if before.settings.requests_per_second == settings.requests_per_second {
            Arc::clone(&before.rates)
        } else {
            Arc::new(Rates::new(settings.requests_per_second))
        };
        self.0.store(Arc::new(Limits { settings, rates }));
    }
}

#[cfg(test)]
impl Live {
    /// No limits except those that a test sets.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            max_concurrent_requests: 1000,
            max_concurrent_per_caller: 1000,
            max_addresses: 1000,
            requests_per_second: 0,
            addresses_per_hour: 0,
            destructive_per_hour: 0,
            freeze_file: None,
        };
        change(&mut settings);
        Self::new(settings)
    }

    /// The same limits with a change.
    pub(super) fn alter(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.now().settings.clone();
        change(&mut settings);
        self.replace(settings);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Problem;

    #[tokio::test]
    async fn who_waits_is_admitted_in_time_or_told_when() {
        let live = Live::with(|limits| limits.requests_per_second = 1);
        let now = Instant::now();
        live.wait_for_turn("corp/alice", now).await.unwrap();
        let late = live.wait_for_turn("corp/alice", now).await.unwrap_err();
        assert_eq!((late.problem(), late.retry_after()), (Problem::RateLimited, Some(1)));
        live.wait_for_turn("corp/alice", now + Duration::from_secs(60)).await.unwrap();
    }

    #[test]
    fn how_often_a_caller_has_asked_outlives_a_reload_that_leaves_its_limit_alone() {
        let live = Live::with(|limits| limits.requests_per_second = 1);
        let ask = || live.now().rates.check("corp/alice").is_ok();
        assert!(ask() && !ask());
        live.alter(|limits| limits.max_addresses = 1);
        assert!(!ask());
        live.alter(|limits| limits.requests_per_second = 2);
        assert!(ask() && ask() && !ask());
    }
}
