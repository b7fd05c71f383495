//! The concurrency slots that a request occupies until its last clone is dropped.

use std::sync::{Arc, OnceLock};

use super::{CallerSlot, Slot};

/// The slots that a request occupies. A write continues when its caller has hung up, and still counts; so
/// does an answer that is not fully sent.
#[derive(Clone, Debug, Default)]
pub struct ConcurrencySlots(Arc<TakenSlots>);

#[derive(Debug, Default)]
struct TakenSlots {
    among_all: OnceLock<Slot>,
    of_caller: OnceLock<CallerSlot>,
}

impl ConcurrencySlots {
    /// Holds a slot of `limits.max_concurrent_requests`.
    pub fn hold_among_all(&self, place: Slot) {
        let _ = self.0.among_all.set(place);
    }

    /// Holds a slot of its caller's own limit.
    pub fn hold_of_caller(&self, place: CallerSlot) {
        let _ = self.0.of_caller.set(place);
    }

    /// Whether the limit of one caller bounds how many of these there are.
    #[must_use]
    pub fn is_of_caller(&self) -> bool {
        self.0.of_caller.get().is_some()
    }
}
