//! The limits of each caller: request rate and requests in flight.

use std::time::Duration;

use tokio::time::Instant;

use super::{CallerSlot, InFlightPerCaller, Live, retry_after};
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

    /// Waits until a caller may send a request, and counts it. The caller's requests that wait are in flight, so there are
    /// at most `limits.max_concurrent_per_caller` of them.
    ///
    /// # Errors
    /// 429 `rate-limited`, with the time to wait, if that is later than `until`.
    pub async fn wait(&self, caller_id: &str, until: Instant) -> Result<(), Error> {
        loop {
            let limits = self.limits.now();
            let Err(wait) = limits.rates.check(caller_id) else { return Ok(()) };
            let most = limits.settings.requests_per_second;
            drop(limits);
            if Instant::now() + wait > until {
                return Err(too_often(wait, most));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Admits a caller's request, whatever the caller's rate: [`Self::wait`] counts it. Hold the returned slot until the
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

fn too_often(wait: Duration, most: u32) -> Error {
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
    use super::*;

    #[tokio::test]
    async fn who_waits_is_admitted_in_time_or_told_when() {
        let callers = callers(1, 10);
        let now = Instant::now();
        callers.wait("corp/alice", now).await.unwrap();
        let late = callers.wait("corp/alice", now).await.unwrap_err();
        assert_eq!((late.problem(), late.retry_after()), (Problem::RateLimited, Some(1)));
        callers.wait("corp/alice", now + Duration::from_secs(60)).await.unwrap();
    }

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
