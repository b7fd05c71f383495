//! Counts each caller's requests in flight.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex},
};

use crate::mutex::lock;

/// How many requests each caller may have in flight. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct InFlightPerCaller {
    /// Holds only callers with requests in flight.
    running: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

/// A request in flight, counted until this is dropped.
#[derive(Debug)]
#[must_use = "a request that is not held is not counted"]
pub struct CallerSlot {
    caller_id: Arc<str>,
    running: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

impl InFlightPerCaller {
    /// Counts one more request of a caller until the returned slot is dropped. `None` if `most` are in flight
    /// already. `caller_id` is [`Caller::id`].
    ///
    /// [`Caller::id`]: crate::domain::Caller::id
    #[must_use]
    pub fn begin(&self, caller_id: &str, most: usize) -> Option<CallerSlot> {
        let mut running = lock(&self.running);
        let caller_id = match running.get_key_value(caller_id) {
            Some((_, count)) if *count >= most => return None,
            Some((known, _)) => Arc::clone(known),
            None if most == 0 => return None,
            None => Arc::from(caller_id),
        };
        *running.entry(Arc::clone(&caller_id)).or_insert(0) += 1;
        Some(CallerSlot { caller_id, running: Arc::clone(&self.running) })
    }
}

impl Drop for CallerSlot {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Entry::Occupied(mut count) = running.entry(Arc::clone(&self.caller_id)) {
            if *count.get() > 1 {
                *count.get_mut() -= 1;
            } else {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_run_for_each_caller_and_no_more() {
        let limit = InFlightPerCaller::default();
        let first = limit.begin("corp/alice", 2).unwrap();
        let second = limit.begin("corp/alice", 2).unwrap();
        assert!(limit.begin("corp/alice", 2).is_none());
        let other = limit.clone().begin("corp/bob", 2).unwrap();
        drop(first);
        let third = limit.begin("corp/alice", 2).unwrap();
        assert!(limit.begin("corp/alice", 2).is_none());
        drop((second, third, other));
        assert!(
            lock(&limit.running).is_empty(),
            "no caller without a running request is remembered"
        );
        assert!(limit.begin("corp/alice", 2).is_some());
    }
}
