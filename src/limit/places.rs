use std::{any::Any, fmt, sync::Arc};

/// What a request takes up of the limits, until the last clone is dropped: the write that it began
/// runs on when its caller has hung up, and still counts.
#[derive(Clone, Default)]
pub struct Places(Vec<Arc<dyn Any + Send + Sync>>);

impl Places {
    /// Holds one more.
    pub fn hold(&mut self, place: impl Any + Send + Sync) {
        self.0.push(Arc::new(place));
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Places").field(&self.0.len()).finish()
    }
}
