//! The address from which a connection came, for logs and the journal, and for access keys that are bound to networks.

use std::{fmt, net::SocketAddr};

/// Where a connection came from: for the log and the record. It never identifies a caller. An access key may be bound to
/// networks, and is then refused elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client, as far as it is known.
    pub client: Origin,
    /// The proxy, if one named the client for which it connects.
    pub proxy: Option<Origin>,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An address on the network.
    Tcp(SocketAddr),
    /// A process on this machine, over a Unix socket.
    Unix,
    /// The origin was not given.
    Unknown,
}

impl Peer {
    /// A client that connected without a proxy.
    #[must_use]
    pub const fn direct(client: Origin) -> Self {
        Self { client, proxy: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
