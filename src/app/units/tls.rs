//! The certificate of the listener and its key, and the authorities of callers.

use std::sync::Arc;

use humantime::format_rfc3339_seconds;

use super::{Followed, Unit, files};
use crate::{
    config::Config,
    error::Fault,
    metrics::Metrics,
    reload::{Place, Snapshot},
    server::{Tls, TlsSettings},
};

/// The certificate, the files that it was loaded from, and what is to be said of it.
#[derive(Debug)]
pub(in crate::app) struct Loaded {
    tls: Arc<Tls>,
    places: Vec<Place>,
    files: Snapshot,
    warning: Option<Fault>,
}

#[derive(Debug)]
struct Reload {
    tls: Arc<Tls>,
    metrics: Arc<Metrics>,
}

/// Loads what `[server.tls]` names, if it is there.
pub(in crate::app) fn load(config: &Config) -> Result<Option<Loaded>, Vec<Fault>> {
    let Some(settings) = &config.server.tls else { return Ok(None) };
    let places = files(TlsSettings::files(settings));
    let files = Snapshot::take(&places);
    let (tls, warning) = Tls::load(settings, &|path| files.read(path).map(<[u8]>::to_vec))?;
    Ok(Some(Loaded { tls: Arc::new(tls), places, files, warning }))
}

/// What is allowed and probably not meant.
pub(in crate::app) fn warnings(loaded: Option<&Loaded>) -> Vec<Fault> {
    loaded.and_then(|loaded| loaded.warning.clone()).into_iter().collect()
}

impl Loaded {
    pub(in crate::app) fn followed(self, metrics: &Arc<Metrics>) -> (Arc<Tls>, Followed) {
        metrics.certificate_expires(self.tls.expires_unix());
        let unit = Reload { tls: Arc::clone(&self.tls), metrics: Arc::clone(metrics) };
        (self.tls, Followed::new(unit, self.places, &self.files))
    }
}

impl Unit for Reload {
    fn name(&self) -> String {
        "certificate".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        self.tls.replace(&|path| files.read(path).map(<[u8]>::to_vec))?;
        self.metrics.certificate_expires(self.tls.expires_unix());
        Ok(format!("expires {}", format_rfc3339_seconds(self.tls.expires())))
    }
}
