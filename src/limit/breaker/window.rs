//! Counts successes and failures of the last ten seconds.

use tokio::time::Instant;

/// How many seconds are counted, the current one included.
pub(super) const SECONDS: usize = 10;

/// How many requests ended well and badly in the last ten seconds. They are counted second by second: ten
/// numbers of each, however many requests there are.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// When the first request ended; the seconds are counted from then.
    start: Option<Instant>,
    /// The current second.
    second: u64,
    /// The counts of the current second first, then those of the seconds before it.
    counts: [WindowCounts; SECONDS],
}

/// The requests that ended in one second, or in the whole window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WindowCounts {
    pub(super) well: u32,
    pub(super) badly: u32,
}

impl Window {
    /// One more request ended well.
    pub(super) fn well(&mut self, now: Instant) {
        let counts = self.current(now);
        counts.well = counts.well.saturating_add(1);
    }

    /// One more request ended badly.
    pub(super) fn badly(&mut self, now: Instant) {
        let counts = self.current(now);
        counts.badly = counts.badly.saturating_add(1);
    }

    /// The sum over the last ten seconds.
    pub(super) fn sum(&mut self, now: Instant) -> WindowCounts {
        let _ = self.current(now);
        self.counts.iter().fold(WindowCounts::default(), |sum, one| WindowCounts {
            well: sum.well.saturating_add(one.well),
            badly: sum.badly.saturating_add(one.badly),
        })
    }

    fn current(&mut self, now: Instant) -> &mut WindowCounts {
        let start = *self.start.get_or_insert(now);
        let second = now.saturating_duration_since(start).as_secs();
        // A time before the current second, taken while other requests were counted, counts in the current
        // one.
        let passed = second.saturating_sub(self.second);
        if passed > 0 {
            let passed = usize::try_from(passed).unwrap_or(SECONDS).min(SECONDS);
            self.counts.rotate_right(passed);
            self.counts.iter_mut().take(passed).for_each(|one| *one = WindowCounts::default());
            self.second = second;
        }
        let [current, ..] = &mut self.counts;
        current
    }
}
