//! The units: files that are reloaded while the gateway serves. Each unit is reloaded separately, whole or not at all.

pub(super) mod access_key;
pub(super) mod issued_keys;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod policy;
#[cfg(test)]
mod tests;
pub(super) mod tls;

use std::{fmt, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    error::Fault,
    metrics::Metrics,
    reload::{Due, FileState, Hangs, ReloadStatus, Snapshot, WatchPace, Watcher},
};

/// A unit, which is reloaded separately from all others.
pub(super) trait Reloadable: fmt::Debug + Send + Sync + 'static {
    /// Its name for people, in the log and in the answer of `/readyz?verbose`.
    fn name(&self) -> String;

    /// Puts the content of the files in force as a whole, and returns a description of it. Blocks.
    ///
    /// # Errors
    /// Returns every fault; what was in force before stays.
    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>>;
}

/// All units of a gateway.
#[derive(Debug)]
pub(super) struct Units {
    all: Vec<Watched>,
    pub(super) board: ReloadStatus,
    pub(super) reloader: Reloader,
}

impl From<Vec<Watched>> for Units {
    fn from(units: Vec<Watched>) -> Self {
        let board = ReloadStatus::default();
        Self { all: units, reloader: Reloader::new(board.clone()), board }
    }
}

impl Units {
    /// Adds units; an `Option` adds one or nothing.
    pub(super) fn add(&mut self, units: impl IntoIterator<Item = Watched>) {
        self.all.extend(units);
    }

    /// Reloads each unit whenever its files change or a reload is requested, each in its own task.
    pub(super) fn follow(self, pace: WatchPace, metrics: &Arc<Metrics>) -> Vec<JoinHandle<()>> {
        let told = Reporter { board: self.board, metrics: Arc::clone(metrics) };
        let follow = |unit: Watched| unit.follow(pace, &self.reloader, told.clone());
        self.all.into_iter().map(follow).collect()
    }
}

/// A unit and the watcher of its files.
#[derive(Debug)]
pub(super) struct Watched {
    unit: Arc<dyn Reloadable>,
    watcher: Watcher,
}

/// Reloads everything at once, on request.
#[derive(Clone, Debug)]
pub struct Reloader {
    requests: watch::Sender<u64>,
    board: ReloadStatus,
}

impl Reloader {
    fn new(board: ReloadStatus) -> Self {
        Self { requests: watch::channel(0).0, board }
    }

    /// Makes every unit load its files as they are now, changed or not.
    pub fn reload(&self) {
        let _ = self.request();
    }

    /// Does the same, and returns the number of this request.
    #[must_use]
    pub fn request(&self) -> u64 {
        let request = self.board.ask();
        self.requests.send_replace(request);
        request
    }

    /// Waits until every unit has answered that request, well or not, and returns the names of the units whose files
    /// are faulty.
    pub async fn reloaded(&self, request: u64) -> Vec<String> {
        self.board.until_answered(request).await;
        self.board.failing()
    }
}

/// Reports the result of each load: to the log, the metrics and the status.
#[derive(Clone, Debug)]
struct Reporter {
    board: ReloadStatus,
    metrics: Arc<Metrics>,
}

impl Watched {
    /// Watches a unit whose files were loaded as in `loaded` at the start.
    pub(super) fn new(unit: impl Reloadable, places: Vec<FileState>, loaded: &Snapshot) -> Self {
        Self { unit: Arc::new(unit), watcher: Watcher::new(places, loaded) }
    }

    fn follow(self, pace: WatchPace, reloader: &Reloader, told: Reporter) -> JoinHandle<()> {
        told.board.add(&self.unit.name());
        let Self { unit, mut watcher } = self;
        let mut asked = reloader.requests.subscribe();
        tokio::spawn(async move {
            // The faults that were reported last, while the unit is failing.
            let mut said = None;
            loop {
                let mut request = None;
                let (files, again) = tokio::select! {
                    due = watcher.due(pace, said.is_some()) => match due {
                        Ok(Due::Changed(files)) => (Ok(files), false),
                        Ok(Due::Again(files)) => (Ok(files), true),
                        Err(hangs) => (Err(hangs), true),
                    },
                    Ok(()) = asked.changed() => {
                        request = Some(*asked.borrow_and_update());
                        (watcher.now(pace).await, false)
                    }
                };
                let result = match files {
                    Ok(files) => load(&unit, files).await,
                    Err(Hangs) => Err(vec![hangs(watcher.places(), pace)]),
                };
                // The unit is retried at every poll: the same faults once more are not reported.
                let news = !(again && result.as_ref().err() == said.as_ref());
                if news {
                    told.tell(&unit.name(), &result);
                }
                said = result.err();
                if let Some(request) = request {
                    told.board.answer(&unit.name(), request);
                }
            }
        })
    }
}

fn hangs(places: &[FileState], pace: WatchPace) -> Fault {
    let paths: Vec<_> = places.iter().map(|place| place.path().display().to_string()).collect();
    Fault::new(format!(
        "the disk has not answered within {} for `{}`: check the disk; the gateway tries again",
        humantime::format_duration(pace.patience),
        paths.join("`, `")
    ))
}

/// Loads outside the threads that serve, because it blocks and may panic.
async fn load(unit: &Arc<dyn Reloadable>, files: Snapshot) -> Result<String, Vec<Fault>> {
    let unit = Arc::clone(unit);
    let loading = tokio::task::spawn_blocking(move || unit.load(&files));
    loading.await.unwrap_or_else(|error| {
        Err(vec![Fault::new(format!("loading it panicked or was cancelled: {error}; see the log"))])
    })
}

impl Reporter {
    fn tell(&self, unit: &str, result: &Result<String, Vec<Fault>>) {
        match result {
            Ok(what) => tracing::info!(unit, "reloaded: {what}"),
            Err(faults) => {
                for fault in faults {
                    tracing::error!(unit, %fault, "not reloaded, the last good version stays in force");
                }
            }
        }
        self.board.note(unit, result.is_ok(), |all| self.metrics.reloaded(result.is_ok(), all));
    }
}

fn files(paths: impl IntoIterator<Item = std::path::PathBuf>) -> Vec<FileState> {
    paths.into_iter().map(FileState::File).collect()
}
