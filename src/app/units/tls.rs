//! The certificate of the listener and its key, and the authorities of callers.

use std::{path::PathBuf, sync::Arc};

use humantime::format_rfc3339_seconds;

use super::{Followed, Unit, files};
use crate::{
    config::Config,
    error::Fault,
    metrics::Metrics,
    reload::{Place, Snapshot},
    server::Tls,
};

/// What the listener shows and demands, the files that it was loaded from, and what is to be said
/// of it.
#[derive(Debug)]
pub(in crate::app) struct Loaded {
    tls: Arc<Tls>,
    certificate: Seen,
    clients: Option<Seen>,
    warning: Option<Fault>,
}

/// Files as they were loaded.
#[derive(Debug)]
struct Seen {
    places: Vec<Place>,
    files: Snapshot,
}

/// The certificate and its key: one unit.
#[derive(Debug)]
struct Certificate {
    tls: Arc<Tls>,
    metrics: Arc<Metrics>,
}

/// The authorities of callers: another, so that one which is no longer trusted goes whatever the
/// state of the gateway's own certificate.
#[derive(Debug)]
struct Clients(Arc<Tls>);

/// Loads what `[server.tls]` names, if it is there.
pub(in crate::app) fn load(config: &Config) -> Result<Option<Loaded>, Vec<Fault>> {
    let Some(settings) = &config.server.tls else { return Ok(None) };
    let certificate = Seen::take(settings.certificate_files());
    let clients = settings.client_ca_file.clone().map(|file| Seen::take([file]));
    let (tls, warning) = Tls::load(settings, &|path| {
        let clients = clients.as_ref().filter(|_| settings.client_ca_file.as_deref() == Some(path));
        clients.unwrap_or(&certificate).files.read(path).map(<[u8]>::to_vec)
    })?;
    Ok(Some(Loaded { tls: Arc::new(tls), certificate, clients, warning }))
}

/// What is allowed and probably not meant.
pub(in crate::app) fn warnings(loaded: Option<&Loaded>) -> Vec<Fault> {
    loaded.and_then(|loaded| loaded.warning.clone()).into_iter().collect()
}

impl Seen {
    fn take(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let places = files(paths);
        let files = Snapshot::take(&places);
        Self { places, files }
    }

    fn followed(self, unit: impl Unit) -> Followed {
        Followed::new(unit, self.places, &self.files)
    }
}

impl Loaded {
    pub(in crate::app) fn followed(self, metrics: &Arc<Metrics>) -> (Arc<Tls>, Vec<Followed>) {
        let Self { tls, certificate, clients, .. } = self;
        metrics.certificate_expires(tls.expires_unix());
        let unit = Certificate { tls: Arc::clone(&tls), metrics: Arc::clone(metrics) };
        let certificate = certificate.followed(unit);
        let clients = clients.map(|clients| clients.followed(Clients(Arc::clone(&tls))));
        (tls, [Some(certificate), clients].into_iter().flatten().collect())
    }
}

impl Unit for Certificate {
    fn name(&self) -> String {
        "certificate".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        self.tls.replace_certificate(&|path| files.read(path).map(<[u8]>::to_vec))?;
        self.metrics.certificate_expires(self.tls.expires_unix());
        Ok(format!("expires {}", format_rfc3339_seconds(self.tls.expires())))
    }
}

impl Unit for Clients {
    fn name(&self) -> String {
        "client authorities".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        self.0.replace_clients(&|path| files.read(path).map(<[u8]>::to_vec))?;
        Ok("for new connections".to_owned())
    }
}
