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
    /// The proxies whose PROXY header is trusted.
    pub trusted_proxies: TrustedProxies,
    /// How many connections may be open at once. Beyond that, a new connection closes one that rests.
    pub max_connections: usize,
    /// How long the head of a request may take from its first byte.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a connection may stay without a request, or an answer may stay unread.
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a whole answer may take.
    pub request_timeout: Duration,
    /// How long the answer to a read may take, and everything that is read before a write. Of a long answer this is the
    /// beginning; ZEC may take `request_timeout` for all of it.
    pub read_timeout: Duration,
    /// The largest body in bytes.
    pub max_body: usize,
    /// How long the gateway is unready before it stops accepting.
    pub drain_delay: Duration,
    /// How long requests in flight may take to finish when the gateway stops.
    pub drain_timeout: Duration,
    /// TLS, if callers must use it.
    pub tls: Option<TlsSettings>,
}

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
}

impl Address {
    /// Whether no other machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether both are the same address; port 0 means any free port and clashes with nothing.
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
    /// If set, callers must show a certificate from an authority in this file.
    pub client_ca_file: Option<PathBuf>,
}
