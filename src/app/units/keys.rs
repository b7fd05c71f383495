//! Who may call: each issuer's key file, and the gateway's own access keys.

use std::{path::PathBuf, sync::Arc};

use super::{Reloadable, Watched, files, issued_keys};
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

/// Loads the trusted issuers and the access keys, and makes their units: one for each issuer's key file, and one for all
/// access keys.
pub(in crate::app) fn load(
    settings: &Settings,
    metrics: Arc<Metrics>,
) -> Result<(Arc<Authenticator>, Vec<Watched>), Vec<Fault>> {
    let mut seen = Vec::new();
    let issuers = Authenticator::load_with(settings, Arc::clone(&metrics), &mut |path| {
        let files = Snapshot::take(&[FileState::File(path.to_owned())]);
        let bytes = files.read(path).map(<[u8]>::to_vec);
        seen.push(files);
        bytes
    });
    let issued = settings.access_keys.as_ref().map(|keys| issued_keys::load(keys, metrics));
    let (authenticator, issued) = match (issuers, issued.transpose()) {
        (Ok(issuers), Ok(None)) => (issuers, None),
        (Ok(issuers), Ok(Some((keys, unit)))) => (issuers.with_access_keys(keys), Some(unit)),
        (issuers, issued) => {
            return Err([issuers.err(), issued.err()].into_iter().flatten().flatten().collect());
        }
    };
    let authenticator = Arc::new(authenticator);
    // `seen` has the order in which the configuration names the files.
    let followed = authenticator.key_files().zip(&seen).map(|((issuer, file), seen)| {
        let (issuer, file) = (issuer.to_owned(), file.to_owned());
        let places = files([file.clone()]);
        let unit = ReloadKeys { issuer, file, authenticator: Arc::clone(&authenticator) };
        Watched::new(unit, places, seen)
    });
    let followed = followed.chain(issued).collect();
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
