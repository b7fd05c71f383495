//! The request rate of each caller.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use super::retry_after;
use crate::error::{Error, Problem};

/// How many callers may be remembered before the first sweep.
const SWEEP_FROM: usize = 1024;

type Limiter<C> =
    RateLimiter<String, HashMapStateStore<String>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// How many requests a second each caller may make; the burst is as large.
#[derive(Debug)]
pub struct Rates<C: Clock = DefaultClock> {
    /// `None` if there is no limit.
    limiter: Option<Limiter<C>>,
    clock: C,
    /// The number of remembered callers at which the next sweep is due.
    sweep_at: AtomicUsize,
}

impl Rates {
    /// Rates of `per_second` requests a second and caller; 0 is no limit.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self::with_clock(per_second, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with_clock(per_second: u32, clock: C) -> Self {
        let quota = NonZeroU32::new(per_second).map(Quota::per_second);
        Self {
            limiter: quota.map(|quota| RateLimiter::hashmap_with_clock(quota, clock.clone())),
            clock,
            sweep_at: AtomicUsize::new(SWEEP_FROM),
        }
    }

    /// Counts one request of a caller; `caller_id` is [`Caller::id`].
    ///
    /// [`Caller::id`]: crate::domain::Caller::id
    ///
    /// # Errors
    /// How long the caller has to wait for the next request. The refused one does not count.
    pub fn check(&self, caller_id: &str) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let result = limiter
            .check_key(&caller_id.to_owned())
            .map_err(|not_until| not_until.wait_time_from(self.clock.now()));
        self.sweep(limiter);
        result
    }

    /// Evicts callers whose burst is full again. It runs when the number of callers has doubled since the
    /// last time, so that it costs each request almost nothing.
    fn sweep(&self, limiter: &Limiter<C>) {
        if limiter.len() < self.sweep_at.load(Ordering::Relaxed) {
            return;
        }
        limiter.retain_recent();
        let next = limiter.len().saturating_mul(2).max(SWEEP_FROM);
        self.sweep_at.store(next, Ordering::Relaxed);
    }
}

/// The refusal of a caller who has to wait.
pub(super) fn too_often(wait: Duration, most: u32) -> Error {
    let wait = retry_after(wait);
    Error::new(
        Problem::RateLimited,
        format!(
            "you send more requests than `limits.requests_per_second`, {most}, allows one \
             caller: nothing was sent, try again in {wait} s and then more slowly"
        ),
    )
    .with_retry_after(wait)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rates(per_second: u32) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Rates::with_clock(per_second, clock.clone()), clock)
    }

    #[test]
    fn a_burst_is_as_large_as_the_rate_and_each_caller_has_its_own() {
        let (rates, clock) = rates(4);
        for _ in 0..4 {
            assert_eq!(rates.check("corp/alice"), Ok(()));
        }
        assert_eq!(rates.check("corp/alice"), Err(Duration::from_millis(250)));
        assert_eq!(rates.check("corp/bob"), Ok(()));
        clock.advance(Duration::from_millis(249));
        assert_eq!(rates.check("corp/alice"), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(rates.check("corp/alice"), Ok(()));
        assert_eq!(rates.check("corp/alice"), Err(Duration::from_millis(250)));
        clock.advance(Duration::from_secs(100));
        let taken = (0..100).filter(|_| rates.check("corp/alice").is_ok()).count();
        assert_eq!(taken, 4, "a pause does not save up more than a burst");
    }

    #[test]
    fn nought_is_no_limit() {
        let (rates, _) = rates(0);
        assert!((0..10_000).all(|_| rates.check("corp/alice").is_ok()));
    }

    #[test]
    fn callers_are_forgotten_who_could_make_a_whole_burst_again() {
        let (rates, clock) = rates(2);
        let held = |rates: &Rates<_>| rates.limiter.as_ref().unwrap().len();
        for n in 0..100_000 {
            rates.check(&format!("corp/{n}")).unwrap();
            clock.advance(Duration::from_millis(1));
            assert!(held(&rates) <= 2 * SWEEP_FROM, "{n}");
        }
        // A caller who still has to wait is not evicted.
        rates.check("corp/alice").unwrap();
        rates.check("corp/alice").unwrap();
        for n in 0..5000 {
            rates.check(&format!("corp/{n}")).unwrap_or_default();
        }
        assert!(rates.check("corp/alice").is_err());
    }
}
