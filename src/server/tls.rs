//! The listener's TLS configuration, with certificate and client authorities replaced separately.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    TlsSettings,
    certificate::{self, CertifiedKeyPair, ClientVerification, H2},
    listener::Socket,
};
use crate::{error::Fault, files::ReadFile, mutex::lock};

/// The listener's certificate and the certificate authorities of callers. Each can be replaced while the gateway
/// serves, independently of the other: removing an authority must not depend on a certificate that has expired.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    /// The parts in force, so that one of them can be replaced.
    parts: Mutex<(CertifiedKeyPair, ClientVerification)>,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Loads the certificate, its key and the authorities of callers. An expired certificate is only a warning: the
    /// gateway starts and can be observed, and it loads the next certificate as soon as that is in place.
    ///
    /// # Errors
    /// Returns every fault of every file.
    pub fn load(
        settings: &TlsSettings,
        read: ReadFile<'_>,
    ) -> Result<(Self, Option<Fault>), Vec<Fault>> {
        let clients = certificate::clients(settings, read);
        let (pair, clients) = match (CertifiedKeyPair::load(settings, read), clients) {
            (Ok(pair), Ok(clients)) => (pair, clients),
            (pair, clients) => {
                let mut faults = pair.err().unwrap_or_default();
                faults.extend(clients.err());
                return Err(faults);
            }
        };
        let warning = pair.out_of_time(settings, SystemTime::now());
        let config = certificate::config(pair.clone(), clients.clone());
        let current = ArcSwap::from_pointee(config.map_err(|fault| vec![fault])?);
        let (settings, parts) = (settings.clone(), Mutex::new((pair, clients)));
        Ok((Self { settings, parts, current }, warning))
    }

    /// Reloads the certificate and its key. Open connections keep the old certificate; new ones get the new one.
    ///
    /// # Errors
    /// Returns every fault of both files; a certificate outside its period of validity is one too. What was loaded
    /// stays.
    pub fn replace_certificate(&self, read: ReadFile<'_>) -> Result<(), Vec<Fault>> {
        let pair = CertifiedKeyPair::load(&self.settings, read)?;
        if let Some(fault) = pair.out_of_time(&self.settings, SystemTime::now()) {
            return Err(vec![fault]);
        }
        self.put(|(held, _)| {
            let changed = !held.is_same(&pair);
            *held = pair;
            changed
        })
    }

    /// Reloads the authorities of callers and keeps the certificate in force. Open connections are not affected.
    ///
    /// # Errors
    /// Returns every fault of the file; what was loaded stays.
    pub fn replace_clients(&self, read: ReadFile<'_>) -> Result<(), Vec<Fault>> {
        let clients = certificate::clients(&self.settings, read).map_err(|fault| vec![fault])?;
        self.put(|(_, held)| {
            let changed = !held.is_same(&clients);
            // If the bytes are the same, sessions stay resumable too.
            if changed {
                *held = clients;
            }
            changed
        })
    }

    /// Puts the changed parts in force if `change` returns that it changed something.
    fn put(
        &self,
        change: impl FnOnce(&mut (CertifiedKeyPair, ClientVerification)) -> bool,
    ) -> Result<(), Vec<Fault>> {
        let mut parts = self.parts();
        let mut new = parts.clone();
        if !change(&mut new) {
            return Ok(());
        }
        let config = certificate::config(new.0.clone(), new.1.clone());
        self.current.store(Arc::new(config.map_err(|fault| vec![fault])?));
        *parts = new;
        Ok(())
    }

    /// The lock is never held while a file is read, and every change under it is complete.
    fn parts(&self) -> MutexGuard<'_, (CertifiedKeyPair, ClientVerification)> {
        lock(&self.parts)
    }

    /// When the current certificate expires.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.parts().0.not_after
    }

    /// The same in Unix seconds.
    #[must_use]
    pub fn expires_unix(&self) -> u64 {
        self.expires().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// Does the TLS handshake within the timeout. Returns the stream, and whether the two sides agreed on HTTP/2.
    pub(super) async fn accept(
        &self,
        stream: Socket,
        timeout: Duration,
    ) -> Option<(TlsStream<Socket>, bool)> {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        // Logged at debug level only, because anybody can cause as many failures as they like.
        match tokio::time::timeout(timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
                Some((stream, h2))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}

impl TlsSettings {
    /// The paths of the certificate and its key.
    #[must_use]
    pub fn certificate_files(&self) -> [PathBuf; 2] {
        [self.cert_file.clone(), self.key_file.clone()]
    }
}
