//! The directory of the policy and that of the shadow policy: two units.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{Reloadable, Watched};
use crate::{
    error::Fault,
    metrics::Metrics,
    policy::{Directory, ENDING, Engine, Settings},
    reload::{FileState, Snapshot},
};

/// A policy that can be replaced. One request is judged by one version of it, from its first question to its last.
pub(in crate::app) type Policy = Arc<ArcSwap<Engine>>;

/// The policy in force, and the shadow policy.
#[derive(Clone)]
pub(in crate::app) struct Policies {
    pub(in crate::app) live: Policy,
    pub(in crate::app) shadow: Option<Policy>,
}

/// Policies with the files that they were loaded from.
pub(in crate::app) struct LoadedPolicies {
    live: One,
    shadow: Option<One>,
}

struct One {
    policy: Policy,
    warnings: Vec<Fault>,
    directory: PathBuf,
    issuers: Vec<String>,
    files: Snapshot,
}

#[derive(Debug)]
struct ReloadPolicy {
    name: &'static str,
    directory: PathBuf,
    /// The issuers that a policy may name: those that the gateway was started with.
    issuers: Vec<String>,
    policy: Policy,
    /// Shows the version of the policy in force; `None` for the shadow policy.
    metrics: Option<Arc<Metrics>>,
}

/// Loads the policy and, if one is configured, the shadow policy. `issuers` are the names that they may use.
pub(in crate::app) fn load(
    settings: &Settings,
    issuers: &[String],
) -> Result<LoadedPolicies, Vec<Fault>> {
    let one = |directory: &PathBuf| One::load(directory, issuers);
    let shadow = settings.shadow_directory.as_ref().map(one).transpose();
    match (one(&settings.directory), shadow) {
        (Ok(live), Ok(shadow)) => Ok(LoadedPolicies { live, shadow }),
        (live, shadow) => {
            let mut faults = live.err().unwrap_or_default();
            faults.extend(shadow.err().unwrap_or_default());
            Err(faults)
        }
    }
}

/// Returns the faults of the policies in a directory; `issuers` is `None` if their names are unknown.
pub(in crate::app) fn faults(directory: &Path, issuers: Option<&[String]>) -> Vec<Fault> {
    read(directory, &Snapshot::take(&places(directory)), issuers).err().unwrap_or_default()
}

fn places(directory: &Path) -> Vec<FileState> {
    vec![FileState::Directory(directory.to_owned(), ENDING)]
}

fn read(
    directory: &Path,
    files: &Snapshot,
    issuers: Option<&[String]>,
) -> Result<(Engine, Vec<Fault>), Vec<Fault>> {
    let owned =
        |(path, bytes): (&Path, io::Result<&[u8]>)| (path.to_owned(), bytes.map(<[u8]>::to_vec));
    let directory = Directory {
        path: directory,
        files: files.files().map(owned).collect(),
        others: files.others().to_vec(),
    };
    Engine::from_directory(directory, issuers)
}

impl LoadedPolicies {
    pub(in crate::app) fn policies(&self) -> Policies {
        let shadow = self.shadow.as_ref().map(|one| Arc::clone(&one.policy));
        Policies { live: Arc::clone(&self.live.policy), shadow }
    }

    pub(in crate::app) fn warnings(&self) -> Vec<Fault> {
        let all = [Some(&self.live), self.shadow.as_ref()];
        all.into_iter().flatten().flat_map(|one| one.warnings.clone()).collect()
    }

    pub(in crate::app) fn followed(self, metrics: &Arc<Metrics>) -> Vec<Watched> {
        let live = self.live.followed("policy", Some(Arc::clone(metrics)));
        let shadow = self.shadow.map(|one| one.followed("shadow policy", None));
        [Some(live), shadow].into_iter().flatten().collect()
    }
}

impl One {
    fn load(directory: &Path, issuers: &[String]) -> Result<Self, Vec<Fault>> {
        let files = Snapshot::take(&places(directory));
        let (engine, warnings) = read(directory, &files, Some(issuers))?;
        let policy = Arc::new(ArcSwap::from_pointee(engine));
        let (directory, issuers) = (directory.to_owned(), issuers.to_vec());
        Ok(Self { policy, warnings, directory, issuers, files })
    }

    fn followed(self, name: &'static str, metrics: Option<Arc<Metrics>>) -> Watched {
        let Self { policy, directory, issuers, files, .. } = self;
        let places = places(&directory);
        Watched::new(ReloadPolicy { name, directory, issuers, policy, metrics }, places, &files)
    }
}

impl Reloadable for ReloadPolicy {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let (engine, warnings) = read(&self.directory, files, Some(&self.issuers))?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let version = engine.version().to_owned();
        let before = self.policy.swap(Arc::new(engine));
        // If nothing has changed, keep the series: it must not disappear even for a moment.
        if let Some(metrics) = self.metrics.as_ref().filter(|_| before.version() != version) {
            metrics.policy_loaded(&version);
        }
        Ok(format!("version {version}"))
    }
}
