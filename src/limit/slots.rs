//! The places that a request holds in the limits until its last clone is dropped.

use std::sync::{Arc, OnceLock};

use super::{CallerSlot, Slot};

/// What a request takes up of the limits, until the last clone is dropped: the write that it began
/// runs on when its caller has hung up, and still counts; and so does an answer that is not out.
#[derive(Clone, Debug, Default)]
pub struct ConcurrencySlots(Arc<TakenSlots>);

#[derive(Debug, Default)]
struct TakenSlots {
    among_all: OnceLock<Slot>,
    of_caller: OnceLock<CallerSlot>,
}

impl ConcurrencySlots {
    /// Holds one of `limits.max_concurrent_requests`.
    pub fn hold_among_all(&self, place: Slot) {
        let _ = self.0.among_all.set(place);
    }

    /// Holds one of its caller's.
    pub fn hold_of_caller(&self, place: CallerSlot) {
        let _ = self.0.of_caller.set(place);
    }

    /// Whether a caller's own limit bounds how many of these there are.
    #[must_use]
    pub fn is_of_caller(&self) -> bool {
        self.0.of_caller.get().is_some()
    }
}
