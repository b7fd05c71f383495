//! The PROXY protocol, versions 1 and 2, with which a proxy says for whom it asks. The header is read from trusted
//! proxies only. These must send it, as the protocol's specification demands: nothing is guessed from bytes.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc};

use ipnet::IpNet;
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::domain::{Origin, Peer};

/// The longest line of version 1, its line end included (specification, 2.1).
const MAX_LINE: usize = 107;

/// The longest header of version 2 that is read, in bytes. Addresses take 232 at most. What proxies add about a TLS
/// connection is far smaller than the rest.
const MAX_BINARY: usize = 2048;

/// The size of the fixed part of a header of version 2, in bytes.
const FIXED: usize = 16;

/// The proxies whose PROXY header is trusted (`server.trusted_proxies`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// The networks that proxies connect from.
    pub networks: Arc<[IpNet]>,
    /// Whether every peer on a Unix socket is a trusted proxy.
    pub unix: bool,
}

impl TrustedProxies {
    /// Whether this peer is a trusted proxy.
    pub(super) fn trust(&self, origin: Origin) -> bool {
        match origin {
            Origin::Tcp(address) => {
                let ip = address.ip().to_canonical();
                self.networks.iter().any(|network| network.contains(&ip))
            }
            Origin::Unix => self.unix,
            Origin::Unknown => false,
        }
    }
}

/// Reads the header at the beginning of a proxy's connection, and not a byte more.
///
/// # Errors
/// Fails if there is no header, if it is malformed, or if the connection ends.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), proxy: Origin) -> io::Result<Peer> {
    let mut header = vec![0; v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut header).await?;
    let client = if header == v2::PROTOCOL_PREFIX {
        binary(stream, header).await?
    } else if header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        line(stream, header).await?
    } else {
        return Err(malformed("a trusted proxy began without a PROXY header"));
    };
    Ok(Peer { client, proxy: Some(proxy) })
}

async fn binary(stream: &mut (impl AsyncRead + Unpin), mut header: Vec<u8>) -> io::Result<Origin> {
    header.resize(FIXED, 0);
    let rest = header.get_mut(v2::PROTOCOL_PREFIX.len()..).unwrap_or_default();
    stream.read_exact(rest).await?;
    let length = match header.get(FIXED - 2..) {
        Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    if FIXED + length > MAX_BINARY {
        return Err(malformed("a PROXY header is too long"));
    }
    header.resize(FIXED + length, 0);
    stream.read_exact(header.get_mut(FIXED..).unwrap_or_default()).await?;
    let read = v2::Header::try_from(header.as_slice()).map_err(|error| malformed(&error))?;
    Ok(match (read.command, read.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(one)) => {
            tcp(one.source_address.into(), one.source_port)
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(one)) => {
            tcp(one.source_address.into(), one.source_port)
        }
        (v2::Command::Proxy, v2::Addresses::Unix(_)) => Origin::Unix,
        // The proxy's own connection, for example for its health checks, or one whose origin it does not tell.
        (v2::Command::Local, _) | (v2::Command::Proxy, v2::Addresses::Unspecified) => {
            Origin::Unknown
        }
    })
}

/// Reads byte by byte, because nothing tells how long the line is, and the bytes after it belong to the next layer.
async fn line(stream: &mut (impl AsyncRead + Unpin), mut header: Vec<u8>) -> io::Result<Origin> {
    while !header.ends_with(b"\n") {
        if header.len() == MAX_LINE {
            return Err(malformed("a PROXY line is too long"));
        }
        header.push(stream.read_u8().await?);
    }
    let read = v1::Header::try_from(header.as_slice()).map_err(|error| malformed(&error))?;
    Ok(match read.addresses {
        v1::Addresses::Tcp4(one) => tcp(one.source_address.into(), one.source_port),
        v1::Addresses::Tcp6(one) => tcp(one.source_address.into(), one.source_port),
        v1::Addresses::Unknown => Origin::Unknown,
    })
}

const fn tcp(ip: IpAddr, port: u16) -> Origin {
    Origin::Tcp(SocketAddr::new(ip, port))
}

fn malformed(why: &(impl ToString + ?Sized)) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: Origin = Origin::Unix;

    async fn client(bytes: &[u8]) -> Result<(String, Vec<u8>), String> {
        let mut rest = bytes;
        let peer = read(&mut rest, PROXY).await.map_err(|error| error.to_string())?;
        assert_eq!(peer.proxy, Some(PROXY));
        Ok((peer.client.to_string(), rest.to_vec()))
    }

    fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, addresses].concat()
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_end_and_no_further() {
        let v4 = [10, 1, 2, 3, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let v6 = [&[0; 15][..], &[1], &[0; 16], &[0, 1, 0, 80]].concat();
        for (header, want) in [
            (b"PROXY TCP4 10.1.2.3 10.0.0.1 4660 80\r\n".to_vec(), "10.1.2.3:4660"),
            (b"PROXY TCP6 ::1 ::2 4660 80\r\n".to_vec(), "[::1]:4660"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "unknown"),
            (b"PROXY UNKNOWN ::1 ::2 1 2\r\n".to_vec(), "unknown"),
            (binary(1, 0x11, &v4), "10.1.2.3:4660"),
            (binary(1, 0x21, &v6), "[::1]:1"),
            // With something that the proxy adds, here its no-op.
            (binary(1, 0x11, &[&v4[..], &[4, 0, 2, 7, 7]].concat()), "10.1.2.3:4660"),
            (binary(0, 0x11, &v4), "unknown"),
            (binary(0, 0, &[]), "unknown"),
            (binary(1, 0, &[]), "unknown"),
            (binary(1, 0x31, &[0; 216]), "unix"),
        ] {
            let bytes = [header.as_slice(), b"GET"].concat();
            assert_eq!(client(&bytes).await, Ok((want.to_owned(), b"GET".to_vec())), "{header:?}");
        }
    }

    #[tokio::test]
    async fn whatever_is_no_header_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY",
            b"PROXY TCP4 10.1.2.3\r\n______",
            b"PROXY TCP4 10.1.2.3 10.0.0.1 70000 80\r\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"proxy tcp4 10.1.2.3 10.0.0.1 1 2\r\n",
            long.as_bytes(),
            &binary(1, 0x11, &[10, 1, 2, 3]),
            &binary(2, 0x11, &[0; 12]),
            &binary(1, 0x11, &[0; MAX_BINARY]),
            &v2::PROTOCOL_PREFIX[..11],
            b"",
        ] {
            assert!(client(bytes).await.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn only_those_that_are_named_are_trusted() {
        let networks: Vec<IpNet> = ["10.0.0.0/24", "::1/128"].map(|n| n.parse().unwrap()).to_vec();
        let trusted = TrustedProxies { networks: networks.into(), unix: false };
        for (address, want) in [
            ("10.0.0.9:1", true),
            ("[::ffff:10.0.0.9]:1", true),
            ("[::1]:1", true),
            ("10.0.1.9:1", false),
            ("127.0.0.1:1", false),
        ] {
            let origin = Origin::Tcp(address.parse().unwrap());
            assert_eq!(trusted.trust(origin), want, "{address}");
        }
        assert!(!trusted.trust(Origin::Unix) && !trusted.trust(Origin::Unknown));
        assert!(!TrustedProxies::default().trust(Origin::Unix));
    }
}
