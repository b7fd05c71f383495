use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    TlsSettings,
    certificate::{H2, Pair, Read},
};
use crate::error::Fault;

/// The certificate that the listener shows, which can be replaced while it serves.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    current: ArcSwap<Pair>,
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
        let pair = Pair::load(settings, read)?;
        let warning = pair.out_of_time(settings, SystemTime::now());
        Ok((Self { settings: settings.clone(), current: ArcSwap::from_pointee(pair) }, warning))
    }

    /// Loads the files anew; connections that are open are not touched, new ones get what is new.
    ///
    /// # Errors
    /// Every fault of every file, a certificate out of its time too; what was loaded stays.
    pub fn replace(&self, read: Read<'_>) -> Result<(), Vec<Fault>> {
        let pair = Pair::load(&self.settings, read)?;
        if let Some(fault) = pair.out_of_time(&self.settings, SystemTime::now()) {
            return Err(vec![fault]);
        }
        self.current.store(Arc::new(pair));
        Ok(())
    }

    /// When the certificate that is shown now expires.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.current.load().not_after
    }

    /// The same in seconds since 1970 began.
    #[must_use]
    pub fn expires_unix(&self) -> u64 {
        self.expires().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// Shakes hands within the time; the stream, and whether HTTP/2 was agreed upon.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        timeout: Duration,
    ) -> Option<(TlsStream<TcpStream>, bool)> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.load().config));
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
    /// Every file that is read.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let files = [Some(&self.cert_file), Some(&self.key_file), self.client_ca_file.as_ref()];
        files.into_iter().flatten().cloned().collect()
    }
}
