//! Requests to the operators' port of a gateway that runs on this machine.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::{config::Config, error::Fault, server::Address};

/// The timeout for connecting, and for each wait for more of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer to read, in bytes.
const MAX_ANSWER: u64 = 1024 * 1024;

/// The answer from the operators' port.
#[derive(Debug)]
pub(super) struct OperatorsAnswer {
    pub(super) status: u16,
    pub(super) text: String,
}

/// Sends a request to the operators' port of the gateway that runs with this configuration.
///
/// # Errors
/// When the port does not answer.
pub(super) fn ask(config: &Config, target: &str) -> Result<OperatorsAnswer, Fault> {
    let address = reachable(&config.server.admin_listen);
    exchange(&address, target).map_err(|error| {
        Fault::new(format!("the gateway does not answer on {address}: {error}"))
            .at_key("admin.listen")
    })
}

/// The address to connect to; loopback for an address that listens everywhere.
fn reachable(address: &Address) -> Address {
    match address {
        Address::Tcp(tcp) if tcp.ip().is_unspecified() => {
            let loopback: IpAddr = match tcp.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            Address::Tcp(SocketAddr::new(loopback, tcp.port()))
        }
        other => other.clone(),
    }
}

fn exchange(address: &Address, target: &str) -> io::Result<OperatorsAnswer> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(stream, target)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(stream, target)
        }
    }
}

fn talk(mut stream: impl Read + Write, target: &str) -> io::Result<OperatorsAnswer> {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut bytes)?;
    let answer = String::from_utf8_lossy(&bytes);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    Ok(OperatorsAnswer { status, text: body.to_owned() })
}
