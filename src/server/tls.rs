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
    certificate::{self, Clients, H2, Pair, Read},
    listener::Socket,
};
use crate::error::Fault;
use crate::mutex::lock;

/// The certificate that the listener shows and the authorities of callers. Each can be replaced
/// while it serves, and neither waits for the other: trust that is taken away must not depend on a
/// certificate that has expired.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    /// What is in force, for whoever replaces one half of it.
    parts: Mutex<(Pair, Clients)>,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Loads the certificate, its key and the authorities of callers. An expired certificate is
    /// only a warning: the gateway may have been started to be seen, and the next one is taken
    /// as soon as it is in place.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn load(
        settings: &TlsSettings,
        read: Read<'_>,
    ) -> Result<(Self, Option<Fault>), Vec<Fault>> {
        let clients = certificate::clients(settings, read);
        let (pair, clients) = match (Pair::load(settings, read), clients) {
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

    /// Loads the certificate and its key anew; connections that are open are not touched, new ones
    /// get what is new.
    ///
    /// # Errors
    /// Every fault of both files, a certificate out of its time too; what was loaded stays.
    pub fn replace_certificate(&self, read: Read<'_>) -> Result<(), Vec<Fault>> {
        let pair = Pair::load(&self.settings, read)?;
        if let Some(fault) = pair.out_of_time(&self.settings, SystemTime::now()) {
            return Err(vec![fault]);
        }
        self.put(|(held, _)| {
            let changed = !held.is_same(&pair);
            *held = pair;
            changed
        })
    }

    /// Loads the authorities of callers anew, beside whatever certificate is in force; connections
    /// that are open are not touched.
    ///
    /// # Errors
    /// Every fault of the file; what was loaded stays.
    pub fn replace_clients(&self, read: Read<'_>) -> Result<(), Vec<Fault>> {
        let clients = certificate::clients(&self.settings, read).map_err(|fault| vec![fault])?;
        self.put(|(_, held)| {
            let changed = !held.is_same(&clients);
            // Of the same bytes the sessions stay, too.
            if changed {
                *held = clients;
            }
            changed
        })
    }

    /// Puts into force what `change` makes of both parts, where it says that it changed something.
    fn put(&self, change: impl FnOnce(&mut (Pair, Clients)) -> bool) -> Result<(), Vec<Fault>> {
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

    /// Never held while a file is read, and every change under it is whole.
    fn parts(&self) -> MutexGuard<'_, (Pair, Clients)> {
        lock(&self.parts)
    }

    /// When the certificate that is shown now expires.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.parts().0.not_after
    }

    /// The same in seconds since 1970 began.
    #[must_use]
    pub fn expires_unix(&self) -> u64 {
        self.expires().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// Shakes hands within the time; the stream, and whether HTTP/2 was agreed upon.
    pub(super) async fn accept(
        &self,
        stream: Socket,
        timeout: Duration,
    ) -> Option<(TlsStream<Socket>, bool)> {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        // Told at debug level only: anybody can send as much nonsense as they like.
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
    /// The files of the certificate.
    #[must_use]
    pub fn certificate_files(&self) -> [PathBuf; 2] {
        [self.cert_file.clone(), self.key_file.clone()]
    }
}
