//! Reads of the journal, outside the threads that serve. Their number is bounded, and a read stops when its
//! caller stops waiting.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::store::{Archive, StoreError, Unheard};

/// At most this many reads of one kind run at once; others wait.
pub(super) const MAX_READS: usize = 4;

/// The journal could not be read; the text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be read: {0}")]
pub struct Unreadable(String);

impl From<StoreError> for Unreadable {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// An archive, and the slots of those who read it. Reads that must not wait for others have a `Reads` of
/// their own.
pub(super) struct Reads {
    archive: Arc<dyn Archive>,
    places: Arc<Semaphore>,
    /// Whether reads run on the calling thread, as a simulation needs it.
    at_once: bool,
}

/// A caller that waits for a read. Dropping this stops the read.
struct ReadGuard(Unheard);

impl Drop for ReadGuard {
    fn drop(&mut self) {
        self.0.say();
    }
}

impl Reads {
    pub(super) fn new(archive: Arc<dyn Archive>, at_once: bool) -> Self {
        Self { archive, places: Arc::new(Semaphore::new(MAX_READS)), at_once }
    }

    /// Runs a read. If the caller stops waiting, because of the deadline or because it hung up, the read
    /// stops. Its slot becomes free only when the read has ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Archive, &Unheard) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Unreadable> {
        let gone = |error: &dyn std::fmt::Display| Unreadable::from(StoreError(error.to_string()));
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|error| gone(&error))?;
        let (archive, unheard) = (Arc::clone(&self.archive), Unheard::default());
        if self.at_once {
            return Ok(read(archive.as_ref(), &unheard)?);
        }
        let _waiting = ReadGuard(unheard.clone());
        let reading = move || {
            let read = read(archive.as_ref(), &unheard);
            drop(place);
            read
        };
        let read = tokio::task::spawn_blocking(reading).await.map_err(|error| gone(&error))?;
        Ok(read?)
    }

    /// Closes the connections that are kept for later reads.
    pub(super) fn close_idle(&self) {
        self.archive.close_idle();
    }
}
