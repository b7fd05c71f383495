//! Looks for unknown outcomes come one after the other, and behind callers' own requests.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::zec::Reader;

/// From one look to the next, whatever they look for: five in a second at most.
const APART: Duration = Duration::from_millis(200);

/// Looks at once; one that ZEC does not answer holds up the others only by half.
const AT_ONCE: usize = 2;

/// How often a look steps back while ZEC is busy with callers' requests, `APART` each time. After that
/// it goes ahead: callers may never pause.
const STEPS_BACK: u32 = 10;

/// The turns of looks. Clones share them.
#[derive(Clone, Debug)]
pub(in crate::execute) struct Turns {
    places: Arc<Semaphore>,
    /// When the next look may begin.
    next: Arc<Mutex<Instant>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }
}

impl Turns {
    /// Waits until a look may begin; the turn is over when what comes back is dropped.
    pub(super) async fn wait(&self, reader: &Reader) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let mut next = self.next.lock().await;
        tokio::time::sleep_until(*next).await;
        for _ in 0..STEPS_BACK {
            if !reader.is_busy() {
                break;
            }
            tokio::time::sleep(APART).await;
        }
        *next = Instant::now() + APART;
        place
    }
}
