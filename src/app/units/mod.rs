//! What is loaded again while the gateway serves: each by itself, whole or not at all.

pub(super) mod access_key;
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

/// Something that is loaded again by itself.
pub(super) trait Reloadable: fmt::Debug + Send + Sync + 'static {
    /// Its name for people: in the log, and in what `/readyz?verbose` says.
    fn name(&self) -> String;

    /// Puts what the files hold in force, whole, and says what that is. Blocks.
    ///
    /// # Errors
    /// Every fault there is; what was in force before stays.
    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>>;
}

/// Everything of a gateway that is loaded again.
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
    /// Adds some, or one where there is one.
    pub(super) fn add(&mut self, units: impl IntoIterator<Item = Watched>) {
        self.all.extend(units);
    }

    /// Loads each whenever its files change or somebody asks, in a task of its own.
    pub(super) fn follow(self, pace: WatchPace, metrics: &Arc<Metrics>) -> Vec<JoinHandle<()>> {
        let told = Reporter { board: self.board, metrics: Arc::clone(metrics) };
        let follow = |unit: Watched| unit.follow(pace, &self.reloader, told.clone());
        self.all.into_iter().map(follow).collect()
    }
}

/// A unit, with who looks at its files.
#[derive(Debug)]
pub(super) struct Watched {
    unit: Arc<dyn Reloadable>,
    watcher: Watcher,
}

/// Has everything loaded again at once.
#[derive(Clone, Debug)]
pub struct Reloader {
    requests: watch::Sender<u64>,
    board: ReloadStatus,
}

impl Reloader {
    fn new(board: ReloadStatus) -> Self {
        Self { requests: watch::channel(0).0, board }
    }

    /// Has every unit loaded now, from what its files hold at this moment, changed or not.
    pub fn reload(&self) {
        let _ = self.request();
    }

    /// The same; gives the number of this request.
    #[must_use]
    pub fn request(&self) -> u64 {
        let request = self.board.ask();
        self.requests.send_replace(request);
        request
    }

    /// Waits until every unit has been loaded since that request, well or not, and names those whose files
    /// are faulty.
    pub async fn reloaded(&self, request: u64) -> Vec<String> {
        self.board.until_answered(request).await;
        self.board.failing()
    }
}

/// Who is told how a load went.
#[derive(Clone, Debug)]
struct Reporter {
    board: ReloadStatus,
    metrics: Arc<Metrics>,
}

impl Watched {
    /// Follows a unit from what was loaded of it at the start.
    pub(super) fn new(unit: impl Reloadable, places: Vec<FileState>, loaded: &Snapshot) -> Self {
        Self { unit: Arc::new(unit), watcher: Watcher::new(places, loaded) }
    }

    fn follow(self, pace: WatchPace, reloader: &Reloader, told: Reporter) -> JoinHandle<()> {
        told.board.add(&self.unit.name());
        let Self { unit, mut watcher } = self;
        let mut asked = reloader.requests.subscribe();
        tokio::spawn(async move {
            // What was said of it last, while it is failing.
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
                // Tried again every few seconds: what is as it was is no news.
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

/// Loads off the threads that serve: nobody waits for it, and it may break.
async fn load(unit: &Arc<dyn Reloadable>, files: Snapshot) -> Result<String, Vec<Fault>> {
    let unit = Arc::clone(unit);
    let loading = tokio::task::spawn_blocking(move || unit.load(&files));
    loading
        .await
        .unwrap_or_else(|error| Err(vec![Fault::new(format!("loading it failed: {error}"))]))
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
