//! ZEC's clock, as its answers show it, and its difference from the gateway's.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, header::DATE};
use tokio::time::Instant;

use super::SIGNATURE_LIFETIME;
use crate::{clock, metrics::Metrics, mutex::lock};

/// The difference in seconds above which the gateway warns: ZEC refuses signatures past 300.
const WARN_SECONDS: f64 = 60.0;

/// Tracks how far ZEC's clock, by the `Date` of its answers, is from the gateway's.
#[derive(Debug, Default)]
pub(super) struct Skew {
    warned: AtomicBool,
    /// The earliest time that ZEC's clock can have shown at the last answer, and when that answer came.
    seen: Mutex<Option<(SystemTime, Instant)>>,
}

impl Skew {
    /// The earliest time that ZEC's clock can show now: the time in the last answer, plus the time that has
    /// passed since. It does not depend on the gateway's own clock. `None` before the first answer.
    pub(super) fn time(&self) -> Option<SystemTime> {
        let seen = *lock(&self.seen);
        seen.and_then(|(date, at)| date.checked_add(at.elapsed()))
    }

    /// ZEC accepted a signature of that time. So its clock is behind that time by at most as much as ZEC lets
    /// a signature be ahead. If ZEC's answers carry no `Date`, nothing more is known of its clock.
    pub(super) fn accepted(&self, signed_at: SystemTime) {
        let Some(at_least) = signed_at.checked_sub(SIGNATURE_LIFETIME) else { return };
        if self.time().is_none_or(|known| known < at_least) {
            self.is_now(at_least);
        }
    }

    /// ZEC's own answer says that it is that time.
    pub(super) fn is_now(&self, time: SystemTime) {
        *lock(&self.seen) = Some((time, Instant::now()));
    }

    /// Reads the `Date` of an answer that came just now, and sets the metric. Warns once each time the
    /// difference passes a minute.
    pub(super) fn observe(&self, headers: &HeaderMap, metrics: &Metrics) -> Option<SystemTime> {
        let date = headers.get(DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| httpdate::parse_http_date(text).ok())?;
        let seconds = difference(date, clock::now());
        metrics.zec_clock_skew(seconds);
        let far = seconds.abs() > WARN_SECONDS;
        if far && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                zec.clock_skew_seconds = seconds,
                "the clock is far from ZEC's: past 300 seconds ZEC refuses every request; set the clock"
            );
        }
        if !far {
            self.warned.store(false, Ordering::Relaxed);
        }
        Some(date)
    }
}

/// How many seconds `theirs` is ahead. Half a second is added because `Date` has no fractions: on average the
/// answer was written half a second later than it says.
fn difference(theirs: SystemTime, ours: SystemTime) -> f64 {
    let seconds =
        |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    seconds(theirs) + 0.5 - seconds(ours)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::telemetry::Heard;

    #[test]
    fn clocks_that_differ_are_warned_of_once_each_time_they_come_apart() {
        let (heard, _guard) = Heard::begin();
        let warned = || heard.count("the clock is far from ZEC's");
        let (skew, metrics) = (Skew::default(), Metrics::new(&[], &[]).unwrap());
        assert!(skew.time().is_none());
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        for (theirs, warnings) in
            [(now, 0), (now + hour, 1), (now + hour, 1), (now, 1), (now - hour, 2)]
        {
            let date = HeaderValue::from_str(&httpdate::fmt_http_date(theirs)).unwrap();
            let date = skew.observe(&[(DATE, date)].into_iter().collect(), &metrics);
            skew.is_now(date.unwrap());
            assert_eq!(warned(), warnings);
            // To the second, like `Date`, and however long the machine took for these lines.
            assert!(skew.time().unwrap() > theirs - Duration::from_secs(1));
        }
    }
}
