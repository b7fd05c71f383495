//! TLS as files that change: what was loaded of them, and who loads them again.

use std::sync::Arc;

use humantime::format_rfc3339_seconds;
use tokio::task::JoinHandle;

use crate::{
    config::Config,
    error::Fault,
    metrics::Metrics,
    reload::{Pace, Snapshot, Watcher},
    server::Tls,
};

/// The certificate, the files that it was loaded from, and what is to be said of it.
#[derive(Debug)]
pub(super) struct Loaded {
    tls: Arc<Tls>,
    files: Snapshot,
    warning: Option<Fault>,
}

/// Loads what `[server.tls]` names, if it is there.
pub(super) fn load(config: &Config) -> Result<Option<Loaded>, Vec<Fault>> {
    let Some(settings) = &config.server.tls else { return Ok(None) };
    let files = Snapshot::take(&settings.files());
    let (tls, warning) = Tls::load(settings, &|path| files.read(path).map(<[u8]>::to_vec))?;
    Ok(Some(Loaded { tls: Arc::new(tls), files, warning }))
}

/// What is allowed and probably not meant.
pub(super) fn warnings(loaded: Option<&Loaded>) -> Vec<Fault> {
    loaded.and_then(|loaded| loaded.warning.clone()).into_iter().collect()
}

impl Loaded {
    /// Follows the files from now on, in a task of its own.
    pub(super) fn follow(self, pace: Pace, metrics: &Arc<Metrics>) -> (Arc<Tls>, JoinHandle<()>) {
        metrics.certificate_expires(self.tls.expires_unix());
        let watcher = Watcher::new(&self.files, pace);
        let following = follow(Arc::clone(&self.tls), watcher, Arc::clone(metrics));
        (self.tls, tokio::spawn(following))
    }
}

/// Puts the certificate in force that lies in the files, whenever they change.
async fn follow(tls: Arc<Tls>, mut watcher: Watcher, metrics: Arc<Metrics>) {
    loop {
        let files = watcher.changed().await;
        // Parsing what is in memory takes no longer than a request does.
        let result = tls.replace(&|path| files.read(path).map(<[u8]>::to_vec));
        metrics.reloaded(result.is_ok());
        metrics.certificate_expires(tls.expires_unix());
        let Err(faults) = result else {
            let expires = format_rfc3339_seconds(tls.expires());
            tracing::info!(%expires, "a changed certificate is in force");
            continue;
        };
        for fault in faults {
            tracing::error!(%fault, "a changed certificate was not taken, the old one stays");
        }
    }
}
