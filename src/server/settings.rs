//! The settings of `[server]` and `[admin]`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::TrustedProxies;

/// The public listener (`[server]`) and the operators' (`[admin]`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where callers connect.
    pub listen: Address,
    /// Where Prometheus and probes connect.
    pub admin_listen: Address,
    /// Which callers are proxies that say for whom they ask.
    pub trusted_proxies: TrustedProxies,
    /// How many connections may be open at once; one more takes the place of one that rests.
    pub max_connections: usize,
    /// How long the head of a request may take from its first byte.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a connection may stay without a request, or an answer without being taken.
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a whole answer may take.
    pub request_timeout: Duration,
    /// The largest body in bytes.
    pub max_body: usize,
    /// How long readiness is off before accepting stops.
    pub drain_delay: Duration,
    /// How long requests that run may take to finish when the gateway stops.
    pub drain_timeout: Duration,
    /// TLS, if callers are to use it.
    pub tls: Option<TlsSettings>,
}

/// Where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
}

impl Address {
    /// Whether nobody on another machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether both are one place, and not any free port.
    #[must_use]
    pub fn clashes(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Tcp(address) if address.port() == 0)
    }
}

/// The listener's certificate (`[server.tls]`).
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The certificate chain in PEM.
    pub cert_file: PathBuf,
    /// Its private key in PEM.
    pub key_file: PathBuf,
    /// Callers must show a certificate of one of these authorities.
    pub client_ca_file: Option<PathBuf>,
}
