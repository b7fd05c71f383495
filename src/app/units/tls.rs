//! The listener's certificate and its key, and the certificate authorities of callers.

use std::{path::PathBuf, sync::Arc};

use humantime::format_rfc3339_seconds;

use super::{Reloadable, Watched, files};
use crate::{
    config::Config,
    error::Fault,
    metrics::Metrics,
    reload::{FileState, Snapshot},
    server::Tls,
};

/// The listener's TLS configuration, the files that it was loaded from, and a warning about it.
#[derive(Debug)]
pub(in crate::app) struct LoadedTls {
    tls: Arc<Tls>,
    certificate: FilesSeen,
    clients: Option<FilesSeen>,
    warning: Option<Fault>,
}

/// Files as they were loaded.
#[derive(Debug)]
struct FilesSeen {
    places: Vec<FileState>,
    files: Snapshot,
}

/// The certificate and its key, as one unit.
#[derive(Debug)]
struct Certificate {
    tls: Arc<Tls>,
    metrics: Arc<Metrics>,
}

/// The certificate authorities of callers, as a separate unit, so that an authority which is no longer trusted is
/// removed even if the gateway's own certificate is faulty.
#[derive(Debug)]
struct ClientAuthorities(Arc<Tls>);

/// Loads the files that `[server.tls]` names, if the section is there.
pub(in crate::app) fn load(config: &Config) -> Result<Option<LoadedTls>, Vec<Fault>> {
    let Some(settings) = &config.server.tls else { return Ok(None) };
    let certificate = FilesSeen::take(settings.certificate_files());
    let clients = settings.client_ca_file.clone().map(|file| FilesSeen::take([file]));
    let (tls, warning) = Tls::load(settings, &|path| {
        let clients = clients.as_ref().filter(|_| settings.client_ca_file.as_deref() == Some(path));
        clients.unwrap_or(&certificate).files.read(path).map(<[u8]>::to_vec)
    })?;
    Ok(Some(LoadedTls { tls: Arc::new(tls), certificate, clients, warning }))
}

/// Settings that are allowed but probably not intended.
pub(in crate::app) fn warnings(loaded: Option<&LoadedTls>) -> Vec<Fault> {
    loaded.and_then(|loaded| loaded.warning.clone()).into_iter().collect()
}

impl FilesSeen {
    fn take(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let places = files(paths);
        let files = Snapshot::take(&places);
        Self { places, files }
    }

    fn followed(self, unit: impl Reloadable) -> Watched {
        Watched::new(unit, self.places, &self.files)
    }
}

impl LoadedTls {
    pub(in crate::app) fn followed(self, metrics: &Arc<Metrics>) -> (Arc<Tls>, Vec<Watched>) {
        let Self { tls, certificate, clients, .. } = self;
        metrics.certificate_expires(tls.expires_unix());
        let unit = Certificate { tls: Arc::clone(&tls), metrics: Arc::clone(metrics) };
        let certificate = certificate.followed(unit);
        let clients = clients.map(|clients| clients.followed(ClientAuthorities(Arc::clone(&tls))));
        (tls, [Some(certificate), clients].into_iter().flatten().collect())
    }
}

impl Reloadable for Certificate {
    fn name(&self) -> String {
        "certificate".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        self.tls.replace_certificate(&|path| files.read(path).map(<[u8]>::to_vec))?;
        self.metrics.certificate_expires(self.tls.expires_unix());
        Ok(format!("expires {}", format_rfc3339_seconds(self.tls.expires())))
    }
}

impl Reloadable for ClientAuthorities {
    fn name(&self) -> String {
        "client authorities".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        self.0.replace_clients(&|path| files.read(path).map(<[u8]>::to_vec))?;
        Ok("for new connections".to_owned())
    }
}
