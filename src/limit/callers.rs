use super::{InFlight, Rates, Running, Settings, retry_after};
use crate::error::{Error, Problem};

/// What one caller may ask of the gateway: so often, and so much at once.
#[derive(Debug)]
pub struct Callers {
    rates: Rates,
    in_flight: InFlight,
    per_second: u32,
    at_once: usize,
}

impl Callers {
    /// The limits of `limits.requests_per_second` and `limits.max_concurrent_per_caller`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let (per_second, at_once) =
            (settings.requests_per_second, settings.max_concurrent_per_caller);
        Self {
            rates: Rates::new(per_second),
            in_flight: InFlight::new(at_once),
            per_second,
            at_once,
        }
    }

    /// Lets a request of a caller's in; what comes back is held until it is answered. `caller_id`
    /// is [`Caller::id`].
    ///
    /// [`Caller::id`]: crate::domain::Caller::id
    ///
    /// # Errors
    /// 429 `rate-limited`, with the time to wait, where the caller asks too often or has too much
    /// running.
    pub fn admit(&self, caller_id: &str) -> Result<Running, Error> {
        self.rates.check(caller_id).map_err(|wait| {
            let (wait, most) = (retry_after(wait), self.per_second);
            Error::new(
                Problem::RateLimited,
                format!(
                    "you ask more often than `limits.requests_per_second`, {most}, lets one \
                     caller: nothing was sent, try again in {wait} s and then more slowly"
                ),
            )
            .with_retry_after(wait)
        })?;
        self.in_flight.begin(caller_id).ok_or_else(|| {
            let most = self.at_once;
            Error::new(
                Problem::RateLimited,
                format!(
                    "as many of your requests run as `limits.max_concurrent_per_caller`, {most}, \
                     lets one caller have: nothing was sent, try again when one is answered"
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
        Callers::new(&Settings {
            max_concurrent_requests: 1,
            max_concurrent_per_caller,
            max_addresses: 1,
            requests_per_second,
            addresses_per_hour: 0,
            freeze_file: None,
        })
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
