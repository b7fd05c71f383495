//! The address from which a connection came, for logs and the journal only.

use std::{fmt, net::SocketAddr};

/// Where a connection came from: for the log and the record, and for no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who connected, as far as is known.
    pub client: Origin,
    /// Through which proxy, where one said for whom it asks.
    pub proxy: Option<Origin>,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An address on the network.
    Tcp(SocketAddr),
    /// A process on this machine, over a Unix socket.
    Unix,
    /// Nobody said.
    Unknown,
}

impl Peer {
    /// Somebody who connected without a proxy.
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
