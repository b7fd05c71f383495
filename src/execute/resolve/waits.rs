//! How often a search for an unknown outcome reads, and for how long.

use std::time::Duration;

use tokio::time::Instant;

use super::Patience;

/// No search goes on for longer than this. It ends a search in which ZEC's clock does not say that the
/// write's time is over. The reason is either a wrong clock when the write was requested, or that ZEC does
/// not answer.
const LONGEST: Duration = Duration::from_hours(1);

/// The waits between the reads of one search.
#[derive(Debug)]
pub(super) struct Waits {
    next: Duration,
    longest: Duration,
    begun: Instant,
}

impl Waits {
    pub(super) fn new(patience: Patience) -> Self {
        Self { next: patience.first, longest: patience.longest, begun: Instant::now() }
    }

    /// Waits for the next read. Jitter keeps the searches for writes that failed together from running in step.
    pub(super) async fn next(&mut self) {
        tokio::time::sleep(self.next.mul_f64(1.0 - fastrand::f64() / 4.0)).await;
        self.next = (self.next * 2).min(self.longest);
    }

    /// Whether the search has gone on for as long as any may.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() >= LONGEST
    }
}
