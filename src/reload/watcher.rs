//! Polls files, and reports a change once it has settled.

use std::{fmt, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use super::snapshot::{FileState, Print, Snapshot};

/// How often files are polled, and how long a change must have settled.
#[derive(Clone, Copy, Debug)]
pub struct WatchPace {
    /// The time between two polls.
    pub every: Duration,
    /// The time between a poll that shows a change and the poll that confirms it.
    pub settle: Duration,
    /// How long a poll may take before the disk is reported as hanging.
    pub patience: Duration,
}

impl Default for WatchPace {
    /// Slow enough to cost nothing, and fast enough for an operator who waits for a certificate to go live.
    fn default() -> Self {
        let every = Duration::from_secs(10);
        Self { every, settle: Duration::from_secs(2), patience: Duration::from_secs(10) }
    }
}

/// Where files are read from.
pub trait FileReader: fmt::Debug + Send + Sync + 'static {
    /// Reads the files. It may never return.
    fn look(&self, places: &[FileState]) -> Snapshot;
}

/// The system's file systems.
#[derive(Debug)]
struct System;

impl FileReader for System {
    fn look(&self, places: &[FileState]) -> Snapshot {
        Snapshot::take(places)
    }
}

/// Why files are to be loaded now.
#[derive(Debug)]
pub enum Due {
    /// They differ from what was loaded last, and have settled.
    Changed(Snapshot),
    /// They are the same as at the last load, which failed, and might be good by now.
    Again(Snapshot),
}

/// A poll did not finish in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hangs;

/// Polls files.
#[derive(Debug)]
pub struct Watcher {
    disk: Arc<dyn FileReader>,
    places: Vec<FileState>,
    known: Print,
    /// The poll that is still running. There is one at a time: on a disk that hangs, each occupies a thread.
    looking: Option<JoinHandle<Snapshot>>,
}

impl Watcher {
    /// Watches places that were loaded as in this snapshot.
    #[must_use]
    pub fn new(places: Vec<FileState>, loaded: &Snapshot) -> Self {
        Self { disk: Arc::new(System), places, known: loaded.print(), looking: None }
    }

    /// Returns the watcher with another disk.
    #[must_use]
    pub fn on(self, disk: impl FileReader) -> Self {
        Self { disk: Arc::new(disk), ..self }
    }

    /// The places that are watched.
    #[must_use]
    pub fn places(&self) -> &[FileState] {
        &self.places
    }

    /// Resolves when there is something to load: after a change, or at the next poll if the last load failed
    /// (`failing`). A future that is dropped earlier loses no change.
    ///
    /// # Errors
    /// Fails if a poll takes longer than the pace allows. Changes since the last load are still noticed later.
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

    /// Returns the files as they are now, changed or not.
    ///
    /// # Errors
    /// Fails as [`Self::due`] does.
    pub async fn now(&mut self, pace: WatchPace) -> Result<Snapshot, Hangs> {
        let files = self.look(pace).await?;
        self.known = files.print();
        Ok(files)
    }

    /// Reads outside the threads that serve, because a file may be on a disk that hangs.
    async fn look(&mut self, pace: WatchPace) -> Result<Snapshot, Hangs> {
        let look = async {
            if let Some(earlier) = &mut self.looking {
                // Its result may be old by now.
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
