use std::time::Duration;

use super::snapshot::{Place, Print, Snapshot};

/// How often files are looked at, and how long they must have stayed as they are.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks.
    pub every: Duration,
    /// Between a look that shows a change and the look that confirms it.
    pub settle: Duration,
}

impl Default for Pace {
    /// Slow enough to cost nothing, quick enough for whoever waits for a certificate to go live.
    fn default() -> Self {
        Self { every: Duration::from_secs(10), settle: Duration::from_secs(2) }
    }
}

/// Looks at files again and again.
#[derive(Debug)]
pub struct Watcher {
    places: Vec<Place>,
    known: Print,
}

impl Watcher {
    /// Watches places of which a snapshot was loaded.
    #[must_use]
    pub fn new(places: Vec<Place>, loaded: &Snapshot) -> Self {
        Self { places, known: loaded.print() }
    }

    /// Resolves when the files are no longer what they were when they were loaded last, and have
    /// settled. Whether they are any good is the caller's to find out, once per change. One that
    /// is dropped before has forgotten nothing.
    pub async fn changed(&mut self, pace: Pace) -> Snapshot {
        loop {
            tokio::time::sleep(pace.every).await;
            let mut seen = self.look().await.print();
            while seen != self.known {
                tokio::time::sleep(pace.settle).await;
                let again = self.look().await;
                let print = again.print();
                if print == seen {
                    self.known = print;
                    return again;
                }
                seen = print;
            }
        }
    }

    /// The files as they are at this moment, changed or not.
    pub async fn now(&mut self) -> Snapshot {
        let files = self.look().await;
        self.known = files.print();
        files
    }

    /// Reads off the threads that serve: a file may lie on a disk that hangs.
    async fn look(&self) -> Snapshot {
        let places = self.places.clone();
        let read = tokio::task::spawn_blocking(move || Snapshot::take(&places));
        read.await.unwrap_or_else(|error| Snapshot::unread(&self.places, &error.to_string()))
    }
}
