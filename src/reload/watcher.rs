//! Polls files, and reports a change once it has settled.

use std::{fmt, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use super::snapshot::{FileState, Print, Snapshot};

/// How often files are looked at, and how long they must have stayed as they are.
#[derive(Clone, Copy, Debug)]
pub struct WatchPace {
    /// Between two looks.
    pub every: Duration,
    /// Between a look that shows a change and the look that confirms it.
    pub settle: Duration,
    /// How long a look may take before the disk is said to hang.
    pub patience: Duration,
}

impl Default for WatchPace {
    /// Slow enough to cost nothing, quick enough for whoever waits for a certificate to go live.
    fn default() -> Self {
        let every = Duration::from_secs(10);
        Self { every, settle: Duration::from_secs(2), patience: Duration::from_secs(10) }
    }
}

/// Where files lie.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Looks at them. It may take for ever.
    fn look(&self, places: &[FileState]) -> Snapshot;
}

/// The system's.
#[derive(Debug)]
struct System;

impl Disk for System {
    fn look(&self, places: &[FileState]) -> Snapshot {
        Snapshot::take(places)
    }
}

/// Why files are to be loaded.
#[derive(Debug)]
pub enum Due {
    /// They are no longer what they were when they were loaded last, and have settled.
    Changed(Snapshot),
    /// They are what could not be loaded the last time, and might be by now.
    Again(Snapshot),
}

/// A look that has not come back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hangs;

/// Looks at files again and again.
#[derive(Debug)]
pub struct Watcher {
    disk: Arc<dyn Disk>,
    places: Vec<FileState>,
    known: Print,
    /// The look that has not come back yet. One at a time: on a disk that hangs each keeps a thread.
    looking: Option<JoinHandle<Snapshot>>,
}

impl Watcher {
    /// Watches places of which a snapshot was loaded.
    #[must_use]
    pub fn new(places: Vec<FileState>, loaded: &Snapshot) -> Self {
        Self { disk: Arc::new(System), places, known: loaded.print(), looking: None }
    }

    /// The same, on another disk.
    #[must_use]
    pub fn on(self, disk: impl Disk) -> Self {
        Self { disk: Arc::new(disk), ..self }
    }

    /// What is watched.
    #[must_use]
    pub fn places(&self) -> &[FileState] {
        &self.places
    }

    /// Resolves when there is something to load: a change, or, where what lies there could not be
    /// loaded (`failing`), at the next look. One that is dropped before has forgotten nothing.
    ///
    /// # Errors
    /// When a look takes longer than the pace allows; what was seen before still counts.
    pub async fn due(&mut self, pace: WatchPace, failing: bool) -> Result<Due, Hangs> {
        loop {
            tokio::time::sleep(pace.every).await;
            let files = self.look(pace).await?;
            let mut seen = files.print();
            if seen == self.known && failing {
                return Ok(Due::Again(files));
            }
            drop(files);
            while seen != self.known {
                tokio::time::sleep(pace.settle).await;
                let again = self.look(pace).await?;
                let print = again.print();
                if print == seen {
                    self.known = print;
                    return Ok(Due::Changed(again));
                }
                seen = print;
            }
        }
    }

    /// The files as they are at this moment, changed or not.
    ///
    /// # Errors
    /// As [`Self::due`].
    pub async fn now(&mut self, pace: WatchPace) -> Result<Snapshot, Hangs> {
        let files = self.look(pace).await?;
        self.known = files.print();
        Ok(files)
    }

    /// Reads off the threads that serve: a file may lie on a disk that hangs.
    async fn look(&mut self, pace: WatchPace) -> Result<Snapshot, Hangs> {
        let look = async {
            if let Some(earlier) = &mut self.looking {
                // What it saw may be old by now.
                let _ = earlier.await;
                self.looking = None;
            }
            let (disk, places) = (Arc::clone(&self.disk), self.places.clone());
            let look = tokio::task::spawn_blocking(move || disk.look(&places));
            let files = self.looking.insert(look).await;
            self.looking = None;
            files.unwrap_or_else(|error| Snapshot::unread(&self.places, &error.to_string()))
        };
        tokio::time::timeout(pace.patience, look).await.map_err(|_| Hangs)
    }
}
