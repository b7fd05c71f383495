//! The policy's directory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{Followed, Unit};
use crate::{
    error::Fault,
    metrics::Metrics,
    policy::{ENDING, Engine},
    reload::{Place, Snapshot},
};

/// The policy in force. A request is judged by one from its first question to its last.
pub(in crate::app) type Policy = Arc<ArcSwap<Engine>>;

/// A policy with the files that it was loaded from.
pub(in crate::app) struct Loaded {
    pub(in crate::app) policy: Policy,
    pub(in crate::app) warnings: Vec<Fault>,
    directory: PathBuf,
    files: Snapshot,
}

#[derive(Debug)]
struct Reload {
    directory: PathBuf,
    policy: Policy,
    metrics: Arc<Metrics>,
}

pub(in crate::app) fn load(directory: &Path) -> Result<Loaded, Vec<Fault>> {
    let files = Snapshot::take(&places(directory));
    let (engine, warnings) = read(directory, &files)?;
    let policy = Arc::new(ArcSwap::from_pointee(engine));
    Ok(Loaded { policy, warnings, directory: directory.to_owned(), files })
}

fn places(directory: &Path) -> Vec<Place> {
    vec![Place::Directory(directory.to_owned(), ENDING)]
}

fn read(directory: &Path, files: &Snapshot) -> Result<(Engine, Vec<Fault>), Vec<Fault>> {
    let owned = files.files().map(|(path, bytes)| (path.to_owned(), bytes.map(<[u8]>::to_vec)));
    Engine::from_files(directory, owned)
}

impl Loaded {
    pub(in crate::app) fn followed(self, metrics: &Arc<Metrics>) -> Followed {
        let Self { policy, directory, files, .. } = self;
        let places = places(&directory);
        let unit = Reload { directory, policy, metrics: Arc::clone(metrics) };
        Followed::new(unit, places, &files)
    }
}

impl Unit for Reload {
    fn name(&self) -> String {
        "policy".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let (engine, warnings) = read(&self.directory, files)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let version = engine.version().to_owned();
        let before = self.policy.swap(Arc::new(engine));
        // The series is never away, not even for a moment, where nothing has changed.
        if before.version() != version {
            self.metrics.policy_loaded(&version);
        }
        Ok(format!("version {version}"))
    }
}
