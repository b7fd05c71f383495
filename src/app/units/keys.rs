//! Each issuer's key file.

use std::{path::PathBuf, sync::Arc};

use super::{Followed, Unit, files};
use crate::{
    auth::{Authenticator, Settings},
    error::Fault,
    metrics::Metrics,
    reload::{Place, Snapshot},
};

#[derive(Debug)]
struct Reload {
    issuer: String,
    file: PathBuf,
    authenticator: Arc<Authenticator>,
}

/// Loads the trusted issuers, with who follows their files.
pub(in crate::app) fn load(
    settings: &Settings,
    metrics: Arc<Metrics>,
) -> Result<(Arc<Authenticator>, Vec<Followed>), Vec<Fault>> {
    let mut seen = Vec::new();
    let authenticator = Authenticator::load_with(settings, metrics, &mut |path| {
        let files = Snapshot::take(&[Place::File(path.to_owned())]);
        let bytes = files.read(path).map(<[u8]>::to_vec);
        seen.push(files);
        bytes
    })?;
    let authenticator = Arc::new(authenticator);
    // Read in the order in which they are named.
    let followed = authenticator.key_files().zip(&seen).map(|((issuer, file), seen)| {
        let (issuer, file) = (issuer.to_owned(), file.to_owned());
        let places = files([file.clone()]);
        let unit = Reload { issuer, file, authenticator: Arc::clone(&authenticator) };
        Followed::new(unit, places, seen)
    });
    let followed = followed.collect();
    Ok((authenticator, followed))
}

impl Unit for Reload {
    fn name(&self) -> String {
        format!("keys of {}", self.issuer)
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let keys = self.authenticator.replace_keys(&self.issuer, files.read(&self.file))?;
        Ok(format!("{keys} usable keys"))
    }
}
