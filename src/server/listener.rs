//! The gateway's listening sockets: TCP and Unix sockets, several for each of its two ports.

use std::{
    fmt,
    future::poll_fn,
    io,
    os::unix::net::UnixListener as StdUnixListener,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use super::settings::Address;
use crate::{domain::Origin, lanes::Movable};

/// One listening socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket, for this machine only.
    Unix(UnixListener),
}

impl Listener {
    /// Binds an address, after removing a stale Unix socket.
    ///
    /// # Errors
    /// Fails if the address cannot be bound.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => {
                remove_stale(path).await?;
                UnixListener::bind(path).map(Self::Unix)
            }
        }
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// Fails if the system does not report the address.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                Ok(Address::Unix(address.as_pathname().map(Path::to_owned).unwrap_or_default()))
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, Origin)>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, peer)| (Socket::Tcp(stream), Origin::Tcp(peer))),
            Self::Unix(listener) => {
                listener.poll_accept(cx).map_ok(|(stream, _)| (Socket::Unix(stream), Origin::Unix))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Removes the Unix socket of a process that was killed; the socket of a live process stays.
async fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;

    let is_socket = |path| std::fs::symlink_metadata(path).map(|one| one.file_type().is_socket());
    match is_socket(path) {
        // A live owner that is too busy to accept gives another error, also at once.
        Ok(true) => match tokio::net::UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The listening sockets of one port, at least one.
#[derive(Debug)]
pub struct Listeners {
    all: Vec<Listener>,
    /// Unix sockets that the gateway bound, which are removed with it.
    bound: Vec<PathBuf>,
}

impl Listeners {
    /// Takes sockets that another process has bound and keeps.
    #[must_use]
    pub const fn inherited(all: Vec<Listener>) -> Self {
        Self { all, bound: Vec::new() }
    }

    /// Binds one socket.
    ///
    /// # Errors
    /// Fails if the address cannot be bound.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let bound = match address {
            Address::Unix(path) => vec![path.clone()],
            Address::Tcp(_) => Vec::new(),
        };
        Ok(Self { all: vec![Listener::bind(address).await?], bound })
    }

    /// The addresses that they are bound to, without those that the system does not report.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        self.all.iter().filter_map(|listener| listener.address().ok())
    }

    /// Whether no other machine can reach any of them. One whose address is not reported might be reached.
    #[must_use]
    pub fn are_local(&self) -> bool {
        self.all.iter().all(|listener| listener.address().is_ok_and(|address| address.is_local()))
    }

    /// Accepts the next connection of any of them. Each call polls another socket first, so that all have the same
    /// priority.
    pub(super) async fn accept(&self, turn: &mut usize) -> io::Result<(Socket, Origin)> {
        let count = self.all.len();
        let first = *turn;
        *turn = turn.wrapping_add(1);
        poll_fn(|cx| {
            for at in 0..count {
                if let Some(listener) = self.all.get((first.wrapping_add(at)) % count)
                    && let Poll::Ready(accepted) = listener.poll_accept(cx)
                {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self::inherited(vec![listener.into()])
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for path in &self.bound {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The stream of a connection.
#[derive(Debug)]
pub(super) enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Turns Nagle's algorithm off. Answers are small and complete: waiting to fill a packet would only delay them.
    pub(super) fn set_nodelay(&self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
        }
    }
}

/// A socket outside every runtime.
#[derive(Debug)]
pub(super) enum LooseStream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Movable for Socket {
    type Loose = LooseStream;

    fn loosen(self) -> io::Result<LooseStream> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(LooseStream::Tcp),
            Self::Unix(stream) => stream.into_std().map(LooseStream::Unix),
        }
    }

    fn settle(loose: LooseStream) -> io::Result<Self> {
        match loose {
            LooseStream::Tcp(stream) => TcpStream::from_std(stream).map(Self::Tcp),
            LooseStream::Unix(stream) => UnixStream::from_std(stream).map(Self::Unix),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl TryFrom<std::net::TcpListener> for Listener {
    type Error = io::Error;

    fn try_from(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self::Tcp)
    }
}

impl TryFrom<StdUnixListener> for Listener {
    type Error = io::Error;

    fn try_from(listener: StdUnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener).map(Self::Unix)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
