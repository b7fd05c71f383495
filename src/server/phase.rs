use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// What a connection is doing, and since when; shared by its stream, its requests and its timer.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    shared: Arc<AtomicU64>,
    opened: Instant,
}

/// The head of a request is arriving, or the first one is awaited.
const HEAD: u64 = 0;
/// Between requests.
const IDLE: u64 = 1;
/// A request runs; its own limits hold.
const BUSY: u64 = 2;

impl Phase {
    /// A connection just opened: whoever connects must say something soon.
    pub(super) fn new() -> Self {
        Self { shared: Arc::new(AtomicU64::new(HEAD)), opened: Instant::now() }
    }

    fn enter(&self, phase: u64) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.shared.store(millis << 2 | phase, Ordering::Relaxed);
    }

    /// A request's head is complete.
    pub(super) fn busy(&self) {
        self.enter(BUSY);
    }

    /// A request's answer is made.
    pub(super) fn idle(&self) {
        self.enter(IDLE);
    }

    fn bytes_came(&self) {
        if self.shared.load(Ordering::Relaxed) & 3 == IDLE {
            self.enter(HEAD);
        }
    }

    /// When the phase that holds now must have ended; none while a request runs.
    pub(super) fn ends(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let packed = self.shared.load(Ordering::Relaxed);
        let since = self.opened + Duration::from_millis(packed >> 2);
        match packed & 3 {
            HEAD => Some(since + head),
            IDLE => Some(since + idle),
            _ => None,
        }
    }
}

/// A stream that tells its connection's phase when bytes come.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) phase: Phase,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.phase.bytes_came();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
