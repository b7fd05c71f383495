//! What is loaded again while the gateway serves: each by itself, whole or not at all.

pub(super) mod access_key;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod policy;
pub(super) mod tls;

use std::{fmt, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    error::Fault,
    metrics::Metrics,
    reload::{Board, Pace, Place, Snapshot, Watcher},
};

/// How much a thread that loads may put on its stack: a policy that is nested deeply takes more
/// than the threads that serve have, and what is faulty must not end the gateway.
const STACK: usize = 16 << 20;

/// Something that is loaded again by itself.
pub(super) trait Unit: fmt::Debug + Send + Sync + 'static {
    /// Its name for people: in the log, and in what `/readyz?verbose` says.
    fn name(&self) -> String;

    /// Puts what the files hold in force, whole, and says what that is. Blocks.
    ///
    /// # Errors
    /// Every fault there is; what was in force before stays.
    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>>;
}

/// A unit, with who looks at its files.
#[derive(Debug)]
pub(super) struct Followed {
    unit: Arc<dyn Unit>,
    watcher: Watcher,
}

/// Has everything loaded again at once.
#[derive(Clone, Debug)]
pub struct Reloader(watch::Sender<()>);

impl Default for Reloader {
    fn default() -> Self {
        Self(watch::channel(()).0)
    }
}

impl Reloader {
    /// Has every unit loaded now, from what its files hold at this moment, changed or not.
    pub fn reload(&self) {
        self.0.send_replace(());
    }
}

/// Who is told how a load went.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) board: Board,
    pub(super) metrics: Arc<Metrics>,
}

impl Followed {
    /// Follows a unit from what was loaded of it at the start.
    pub(super) fn new(unit: impl Unit, places: Vec<Place>, loaded: &Snapshot) -> Self {
        Self { unit: Arc::new(unit), watcher: Watcher::new(places, loaded) }
    }

    /// Loads it whenever its files change or somebody asks, in a task of its own.
    pub(super) fn follow(self, pace: Pace, reloader: &Reloader, told: Told) -> JoinHandle<()> {
        told.board.add(&self.unit.name());
        let Self { unit, mut watcher } = self;
        let mut asked = reloader.0.subscribe();
        tokio::spawn(async move {
            loop {
                let files = tokio::select! {
                    files = watcher.changed(pace) => files,
                    Ok(()) = asked.changed() => watcher.now().await,
                };
                told.tell(&unit.name(), load(&unit, files).await);
            }
        })
    }
}

/// Loads in a thread of its own: nobody who is served waits for it, and it may break.
async fn load(unit: &Arc<dyn Unit>, files: Snapshot) -> Result<String, Vec<Fault>> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let unit = Arc::clone(unit);
    let loading = std::thread::Builder::new()
        .name("reload".to_owned())
        .stack_size(STACK)
        .spawn(move || tell.send(unit.load(&files)));
    let broke = |why: String| Err(vec![Fault::new(format!("loading it broke: {why}"))]);
    match loading {
        Ok(_) => told.await.unwrap_or_else(|error| broke(error.to_string())),
        Err(error) => broke(error.to_string()),
    }
}

impl Told {
    fn tell(&self, unit: &str, result: Result<String, Vec<Fault>>) {
        match &result {
            Ok(what) => tracing::info!(unit, "loaded again: {what}"),
            Err(faults) => {
                for fault in faults {
                    tracing::error!(unit, %fault, "not loaded again, the last good stays in force");
                }
            }
        }
        self.board.note(unit, result.is_ok(), |all| self.metrics.reloaded(result.is_ok(), all));
    }
}

fn files(paths: impl IntoIterator<Item = std::path::PathBuf>) -> Vec<Place> {
    paths.into_iter().map(Place::File).collect()
}
