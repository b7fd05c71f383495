//! Counts the requests in flight, over all callers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many requests are in flight, over all callers. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct AtOnce(Arc<AtomicUsize>);

/// One request that is counted until this is dropped.
#[derive(Debug)]
#[must_use = "a request that is not held is not counted"]
pub struct Slot(Arc<AtomicUsize>);

impl AtOnce {
    /// Counts one more request until the returned slot is dropped; `None` if `most` are in flight already.
    #[must_use]
    pub fn begin(&self, most: usize) -> Option<Slot> {
        let one_more = |running| (running < most).then_some(running + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Slot(Arc::clone(&self.0)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_run_and_no_more_also_where_the_limit_has_changed() {
        let running = AtOnce::default();
        let (first, second) = (running.begin(2).unwrap(), running.begin(2).unwrap());
        assert!(running.begin(2).is_none());
        let third = running.clone().begin(3).unwrap();
        drop(first);
        assert!(running.begin(1).is_none() && running.begin(2).is_none());
        drop((second, third));
        assert!(running.begin(1).is_some());
    }
}
