use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, header::DATE};

use crate::metrics::Metrics;

/// Past this many seconds the clocks are worth a warning: ZEC refuses signatures past 300.
const WARN_SECONDS: f64 = 60.0;

/// Watches how far ZEC's clock, by the `Date` of its answers, is from ours.
#[derive(Debug, Default)]
pub(super) struct Skew {
    warned: AtomicBool,
    /// By the last answer, in whole seconds, rounded up.
    seconds: AtomicU64,
    /// What time it was by the last answer, and when that came.
    seen: Mutex<Option<(SystemTime, Instant)>>,
}

impl Skew {
    /// How far ZEC's clock is from ours, ahead or behind, by its last answer.
    pub(super) fn last(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    /// What time it is by ZEC's clock: what the last answer said, and the time that has passed since,
    /// whatever has become of our clock. None before the first answer.
    pub(super) fn time(&self) -> Option<SystemTime> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.and_then(|(date, at)| date.checked_add(at.elapsed()))
    }

    /// Takes the `Date` of an answer that came just now, in a metric; warns once each time the
    /// difference passes a minute.
    pub(super) fn observe(&self, headers: &HeaderMap, metrics: &Metrics) {
        let date = headers.get(DATE).and_then(|value| value.to_str().ok());
        let Some(date) = date.and_then(|text| httpdate::parse_http_date(text).ok()) else { return };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Instant::now()));
        let seconds = difference(date, SystemTime::now());
        metrics.zec_clock_skew(seconds);
        let apart = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
        self.seconds.store(apart.as_secs() + 1, Ordering::Relaxed);
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
    }
}

/// How many seconds `theirs` is ahead. Half a second is added, for `Date` has none: on average
/// the answer was written half a second after what it says.
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
            skew.observe(&[(DATE, date)].into_iter().collect(), &metrics);
            assert_eq!(warned(), warnings);
            // To the second, as `Date` is, and however long the machine took for these lines.
            assert!(skew.time().unwrap() > theirs - Duration::from_secs(1));
        }
    }
}
