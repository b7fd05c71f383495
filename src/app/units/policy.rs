//! The policy's directory, and that of the policy which is tried out beside it: two units.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{Followed, Unit};
use crate::{
    error::Fault,
    metrics::Metrics,
    policy::{ENDING, Engine, Settings},
    reload::{Place, Snapshot},
};

/// A policy that can be replaced. A request is judged by one from its first question to its last.
pub(in crate::app) type Policy = Arc<ArcSwap<Engine>>;

/// The policy in force, and the one that is tried out.
#[derive(Clone)]
pub(in crate::app) struct Policies {
    pub(in crate::app) live: Policy,
    pub(in crate::app) shadow: Option<Policy>,
}

/// Policies with the files that they were loaded from.
pub(in crate::app) struct Loaded {
    live: One,
    shadow: Option<One>,
}

struct One {
    policy: Policy,
    warnings: Vec<Fault>,
    directory: PathBuf,
    files: Snapshot,
}

#[derive(Debug)]
struct Reload {
    name: &'static str,
    directory: PathBuf,
    policy: Policy,
    /// Where its version is shown; that of the one in force is.
    metrics: Option<Arc<Metrics>>,
}

/// Loads every policy there is.
pub(in crate::app) fn load(settings: &Settings) -> Result<Loaded, Vec<Fault>> {
    let shadow = settings.shadow_directory.as_deref().map(one).transpose();
    match (one(&settings.directory), shadow) {
        (Ok(live), Ok(shadow)) => Ok(Loaded { live, shadow }),
        (live, shadow) => {
            let mut faults = live.err().unwrap_or_default();
            faults.extend(shadow.err().unwrap_or_default());
            Err(faults)
        }
    }
}

/// What is wrong with the policies of a directory.
pub(in crate::app) fn faults(directory: &Path) -> Vec<Fault> {
    one(directory).err().unwrap_or_default()
}

fn one(directory: &Path) -> Result<One, Vec<Fault>> {
    let files = Snapshot::take(&places(directory));
    let (engine, warnings) = read(directory, &files)?;
    let policy = Arc::new(ArcSwap::from_pointee(engine));
    Ok(One { policy, warnings, directory: directory.to_owned(), files })
}

fn places(directory: &Path) -> Vec<Place> {
    vec![Place::Directory(directory.to_owned(), ENDING)]
}

fn read(directory: &Path, files: &Snapshot) -> Result<(Engine, Vec<Fault>), Vec<Fault>> {
    let owned = files.files().map(|(path, bytes)| (path.to_owned(), bytes.map(<[u8]>::to_vec)));
    Engine::from_files(directory, owned)
}

impl Loaded {
    pub(in crate::app) fn policies(&self) -> Policies {
        let shadow = self.shadow.as_ref().map(|one| Arc::clone(&one.policy));
        Policies { live: Arc::clone(&self.live.policy), shadow }
    }

    pub(in crate::app) fn warnings(&self) -> Vec<Fault> {
        let all = [Some(&self.live), self.shadow.as_ref()];
        all.into_iter().flatten().flat_map(|one| one.warnings.clone()).collect()
    }

    pub(in crate::app) fn followed(self, metrics: &Arc<Metrics>) -> Vec<Followed> {
        let live = self.live.followed("policy", Some(Arc::clone(metrics)));
        let shadow = self.shadow.map(|one| one.followed("shadow policy", None));
        [Some(live), shadow].into_iter().flatten().collect()
    }
}

impl One {
    fn followed(self, name: &'static str, metrics: Option<Arc<Metrics>>) -> Followed {
        let Self { policy, directory, files, .. } = self;
        let places = places(&directory);
        Followed::new(Reload { name, directory, policy, metrics }, places, &files)
    }
}

impl Unit for Reload {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let (engine, warnings) = read(&self.directory, files)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let version = engine.version().to_owned();
        let before = self.policy.swap(Arc::new(engine));
        // The series is never away, not even for a moment, where nothing has changed.
        if let Some(metrics) = self.metrics.as_ref().filter(|_| before.version() != version) {
            metrics.policy_loaded(&version);
        }
        Ok(format!("version {version}"))
    }
}
