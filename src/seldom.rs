//! How often the log repeats something.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// Lets something be logged at most once in each period, however often it happens.
#[derive(Debug)]
pub struct Seldom {
    began: Instant,
    every: Duration,
    /// When the next one may be logged, in milliseconds from `began`.
    next: AtomicU64,
}

impl Seldom {
    /// The first time is logged, and then at most one in each `every`.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { began: Instant::now(), every, next: AtomicU64::new(0) }
    }

    /// Whether to log it this time.
    pub fn is_due(&self) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (now, next) = (millis(self.began.elapsed()), self.next.load(Ordering::Relaxed));
        let then = now.saturating_add(millis(self.every));
        now >= next
            && self.next.compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn once_in_each_period_is_due() {
        let seldom = Seldom::new(Duration::from_mins(1));
        assert!(seldom.is_due() && !seldom.is_due());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!seldom.is_due());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(seldom.is_due() && !seldom.is_due());
    }
}
