//! The limits of each caller: request rate and requests in flight.

use super::{CallerSlot, InFlightPerCaller, Live, rates::too_often};
use crate::error::{Error, Problem};

/// The limits of each caller: how often it may ask, and how many requests it may have in flight.
#[derive(Debug)]
pub struct Callers {
    limits: Live,
    in_flight: InFlightPerCaller,
}

impl Callers {
    /// The limits of `limits.requests_per_second` and `limits.max_concurrent_per_caller`.
    #[must_use]
    pub fn new(limits: Live) -> Self {
        Self { limits, in_flight: InFlightPerCaller::default() }
    }

    /// Admits a caller's request. Hold the returned slot until the request is answered. `caller_id` is
    /// [`Caller::id`].
    ///
    /// [`Caller::id`]: crate::domain::Caller::id
    ///
    /// # Errors
    /// 429 `rate-limited`, with the time to wait, if the caller asks too often or has too many requests in
    /// flight.
    pub fn admit(&self, caller_id: &str) -> Result<CallerSlot, Error> {
        let limits = self.limits.now();
        let most = limits.settings.requests_per_second;
        limits.rates.check(caller_id).map_err(|wait| too_often(wait, most))?;
        self.begin(caller_id)
    }

    /// Admits a caller's request, whatever the caller's rate: [`Live::wait_for_turn`] counts it. Hold the returned slot until the
    /// request is answered.
    ///
    /// # Errors
    /// 429 `rate-limited` if the caller has too many requests in flight.
    pub fn begin(&self, caller_id: &str) -> Result<CallerSlot, Error> {
        let most = self.limits.now().settings.max_concurrent_per_caller;
        self.in_flight.begin(caller_id, most).ok_or_else(|| {
            Error::new(
                Problem::RateLimited,
                format!(
                    "you have as many requests running as `limits.max_concurrent_per_caller`, \
                     {most}, allows one caller: nothing was sent, try again when one is answered"
                ),
            )
            .with_retry_after(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callers(requests_per_second: u32, max_concurrent_per_caller: usize) -> Callers {
        Callers::new(Live::with(|limits| {
            limits.requests_per_second = requests_per_second;
            limits.max_concurrent_per_caller = max_concurrent_per_caller;
        }))
    }

    #[test]
    fn a_refusal_names_the_limit_and_says_when_to_come_back() {
        let slow = callers(1, 10);
        let _first = slow.admit("corp/alice").unwrap();
        let narrow = callers(0, 1);
        let _running = narrow.admit("corp/alice").unwrap();
        for (callers, name) in
            [(slow, "limits.requests_per_second"), (narrow, "limits.max_concurrent_per_caller")]
        {
            let error = callers.admit("corp/alice").unwrap_err();
            assert_eq!((error.status(), error.problem()), (429, Problem::RateLimited));
            assert_eq!(error.retry_after(), Some(1));
            assert!(error.detail().contains(name), "{}", error.detail());
            assert!(error.detail().contains("nothing was sent"), "{}", error.detail());
            assert!(callers.admit("corp/bob").is_ok());
        }
    }
}
