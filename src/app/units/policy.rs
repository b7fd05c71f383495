//! The policy's directory.

use std::{path::PathBuf, sync::Arc};

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

pub(in crate::app) fn load(directory: &PathBuf) -> Result<Loaded, Vec<Fault>> {
    let files = Snapshot::take(&places(directory));
    let (engine, warnings) = read(directory, &files)?;
    let policy = Arc::new(ArcSwap::from_pointee(engine));
    Ok(Loaded { policy, warnings, directory: directory.clone(), files })
}

fn places(directory: &PathBuf) -> Vec<Place> {
    vec![Place::Directory(directory.clone(), ENDING)]
}

fn read(directory: &PathBuf, files: &Snapshot) -> Result<(Engine, Vec<Fault>), Vec<Fault>> {
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
        self.policy.store(Arc::new(engine));
        self.metrics.policy_loaded(&version);
        Ok(format!("version {version}"))
    }
}
