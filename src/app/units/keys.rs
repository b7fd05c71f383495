//! Each issuer's key file.

use std::{path::PathBuf, sync::Arc};

use super::{Reloadable, Watched, files};
use crate::{
    auth::{Authenticator, Settings},
    error::Fault,
    metrics::Metrics,
    reload::{FileState, Snapshot},
};

#[derive(Debug)]
struct ReloadKeys {
    issuer: String,
    file: PathBuf,
    authenticator: Arc<Authenticator>,
}

/// Loads the trusted issuers, and makes a unit for each issuer's key file.
pub(in crate::app) fn load(
    settings: &Settings,
    metrics: Arc<Metrics>,
) -> Result<(Arc<Authenticator>, Vec<Watched>), Vec<Fault>> {
    let mut seen = Vec::new();
    let authenticator = Authenticator::load_with(settings, metrics, &mut |path| {
        let files = Snapshot::take(&[FileState::File(path.to_owned())]);
        let bytes = files.read(path).map(<[u8]>::to_vec);
        seen.push(files);
        bytes
    })?;
    let authenticator = Arc::new(authenticator);
    // `seen` has the order in which the configuration names the files.
    let followed = authenticator.key_files().zip(&seen).map(|((issuer, file), seen)| {
        let (issuer, file) = (issuer.to_owned(), file.to_owned());
        let places = files([file.clone()]);
        let unit = ReloadKeys { issuer, file, authenticator: Arc::clone(&authenticator) };
        Watched::new(unit, places, seen)
    });
    let followed = followed.collect();
    Ok((authenticator, followed))
}

impl Reloadable for ReloadKeys {
    fn name(&self) -> String {
        format!("keys of {}", self.issuer)
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let keys = self.authenticator.replace_keys(&self.issuer, files.read(&self.file))?;
        Ok(format!("{keys} usable keys"))
    }
}
