//! Splits the bytes of a connection into heads and bodies before hyper reads them.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, header::TRANSFER_ENCODING};
use http_body::Body;
use memchr::memchr;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::{
    chunks::{Chunks, Part},
    outgoing::HeldUntilSent,
    phase::Phase,
};
use crate::mutex::lock;
use crate::stack::Oddities;

/// How long the end of a connection reads the rest of a peer's message. If it closed at once, the kernel would answer
/// the remaining bytes with a reset, which can destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(2);

/// How many bytes are read before a buffer for a whole head is allocated; most heads are shorter.
const ROOM: usize = 2048;

/// What remains of the message that is arriving and of the answer that is being sent, shared by the stream and its
/// requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Left(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    left: AtomicU64,
    /// Whether the last head declared a length.
    has_length: AtomicBool,
    /// Whether the first line of the last head has a fragment.
    has_fragment: AtomicBool,
    /// Whether `held` has a value.
    holds: AtomicBool,
    /// The places of an answer that hyper has, until the answer is flushed.
    held: Mutex<Option<HeldUntilSent>>,
}

/// Between messages.
const NOTHING: u64 = 0;
/// A head has begun and there is no request from it yet. hyper accepts no body of this length.
const HEAD: u64 = u64::MAX - 1;
/// A chunked body.
const CHUNKED: u64 = u64::MAX;

/// Replaces the bytes after a malformed chunk, whose first byte becomes a NUL. hyper accepts neither as a size nor as a
/// trailer.
const NO_CHUNK: &[u8] = b"\r\0";

impl Left {
    /// hyper made a request from the head: now its body is awaited.
    pub(super) fn await_body(&self, body: &impl Body) {
        let length = body.size_hint().exact().unwrap_or(CHUNKED);
        self.set(if body.is_end_stream() { NOTHING } else { length });
    }

    /// What hyper does not report about the last head, if anything: hyper removes a `Content-Length` if there is a
    /// `Transfer-Encoding` too, and cuts off a fragment.
    pub(super) fn oddities(&self, headers: &HeaderMap) -> Option<Oddities> {
        let Inner { has_length, has_fragment, .. } = &*self.0;
        let oddities = Oddities {
            both_framings: headers.contains_key(TRANSFER_ENCODING)
                && has_length.load(Ordering::Relaxed),
            fragment: has_fragment.load(Ordering::Relaxed),
        };
        (oddities != Oddities::default()).then_some(oddities)
    }

    /// Whether part of a request's body has not arrived yet.
    pub(super) fn has_body(&self) -> bool {
        !matches!(self.get(), NOTHING | HEAD)
    }

    /// Whether no message is incomplete.
    pub(super) fn is_nothing(&self) -> bool {
        self.get() == NOTHING
    }

    /// Keeps the places of an answer that hyper has as a whole, until the answer is flushed.
    pub(super) fn hold_until_flushed(&self, held: HeldUntilSent) {
        *lock(&self.0.held) = Some(held);
        self.0.holds.store(true, Ordering::Relaxed);
    }

    /// Whether an answer is not flushed yet.
    fn holds(&self) -> bool {
        self.0.holds.load(Ordering::Relaxed)
    }

    fn flushed(&self) {
        if self.0.holds.swap(false, Ordering::Relaxed) {
            drop(lock(&self.0.held).take());
        }
    }

    fn note(&self, head: RequestHead) {
        self.0.has_length.store(head.has_length, Ordering::Relaxed);
        self.0.has_fragment.store(head.has_fragment, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.left.load(Ordering::Relaxed)
    }

    fn set(&self, left: u64) {
        self.0.left.store(left, Ordering::Relaxed);
    }
}

/// A stream of requests that passes on one head or body at a time, and only heads whose lines all end with CRLF. hyper
/// accepts a bare LF as a line end too. A hop that does not would see other headers, or another number of requests (RFC
/// 9112, 2.2 and 11.2).
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    left: Left,
    phase: Phase,
    /// Bytes that were read and not passed on yet.
    held: Bytes,
    lines: HeadLines,
    chunks: Chunks,
    lingers: Option<Pin<Box<Sleep>>>,
    /// Whether the gateway has announced that it will send nothing more.
    ends: bool,
    /// The task that waits for the next head while an answer is not flushed.
    reader: Option<Waker>,
}

impl<S> Wire<S> {
    /// Splits what the stream delivers, and notifies the phase when bytes are passed on.
    pub(super) fn new(stream: S, left: Left, phase: Phase) -> Self {
        let (held, lines, chunks) = (Bytes::new(), HeadLines::default(), Chunks::default());
        Self { stream, left, phase, held, lines, chunks, lingers: None, ends: false, reader: None }
    }

    /// Waits until bytes arrive and stores them, and needs no buffer until then. Returns whether more may arrive.
    pub(super) async fn fill(&mut self) -> bool
    where
        S: AsyncRead + Unpin,
    {
        let came = poll_fn(|cx| {
            let mut room = [MaybeUninit::uninit(); ROOM];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
            self.held = Bytes::copy_from_slice(room.filled());
            Poll::Ready(io::Result::Ok(!self.held.is_empty()))
        });
        came.await.unwrap_or(false)
    }

    /// Returns how many of the new bytes may be passed on now, and the bytes that must replace the others, if any.
    fn cut(&mut self, fresh: &mut [u8]) -> (usize, Option<Bytes>) {
        match self.left.get() {
            CHUNKED => match self.chunks.read(fresh) {
                Part::More => (fresh.len(), None),
                Part::End(end) => {
                    self.left.set(NOTHING);
                    (end, None)
                }
                Part::Bad(at) => {
                    fresh.get_mut(at..=at).unwrap_or_default().fill(0);
                    (at + 1, Some(Bytes::from_static(NO_CHUNK)))
                }
            },
            NOTHING | HEAD if fresh.is_empty() => (0, None),
            NOTHING | HEAD => {
                self.left.set(HEAD);
                match self.lines.read(fresh) {
                    HeadEnd::More => (fresh.len(), None),
                    HeadEnd::RequestHead(end, head) => {
                        self.left.note(head);
                        self.chunks = Chunks::default();
                        (end, None)
                    }
                    // hyper answers 400 for a head that holds a NUL, once it sees the end of the head.
                    HeadEnd::Bare(end) => (end, Some(Bytes::from_static(b"\r\n\r\n"))),
                }
            }
            body => {
                let count = usize::try_from(body).map_or(fresh.len(), |body| body.min(fresh.len()));
                self.left.set(body - count as u64);
                (count, None)
            }
        }
    }
}

/// What a piece of a head holds.
#[derive(Debug, PartialEq, Eq)]
enum HeadEnd {
    /// A part of the head.
    More,
    /// The end of the head, before this index.
    RequestHead(usize, RequestHead),
    /// A line end without CR, before this index; its LF is a NUL now.
    Bare(usize),
}

/// What a head holds that hyper does not report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RequestHead {
    has_length: bool,
    has_fragment: bool,
}

/// The beginning of a line that declares a length, in lower case.
const LENGTH: &[u8; 15] = b"content-length:";

/// Reads heads line by line.
#[derive(Debug, Default)]
struct HeadLines {
    last: u8,
    /// How many bytes of the line match [`LENGTH`] so far.
    like_length: usize,
    /// Whether the line may still declare a length.
    may_be_length: bool,
    head: RequestHead,
    /// Whether the head has a line already. Empty lines before the first one are ignored.
    begun: bool,
    /// Whether this line has any content.
    filled: bool,
}

impl HeadLines {
    fn read(&mut self, bytes: &mut [u8]) -> HeadEnd {
        let mut start = 0;
        while let Some(length) = bytes.get(start..).and_then(|rest| memchr(b'\n', rest)) {
            let (at, end) = (start + length, start + length + 1);
            self.go_on(bytes.get(start..at).unwrap_or_default());
            if self.last != b'\r' {
                bytes.get_mut(at..end).unwrap_or_default().fill(0);
                *self = Self::default();
                return HeadEnd::Bare(end);
            }
            if self.begun && !self.filled {
                let head = std::mem::take(self).head;
                return HeadEnd::RequestHead(end, head);
            }
            self.begun |= std::mem::take(&mut self.filled);
            (self.like_length, self.may_be_length) = (0, self.begun);
            self.last = b'\n';
            start = end;
        }
        self.go_on(bytes.get(start..).unwrap_or_default());
        HeadEnd::More
    }

    /// Reads more of the same line.
    fn go_on(&mut self, bytes: &[u8]) {
        if self.may_be_length {
            self.look_for_length(bytes);
        } else if !self.begun {
            self.head.has_fragment |= memchr(b'#', bytes).is_some();
        }
        self.filled |= bytes.iter().any(|byte| *byte != b'\r');
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

impl HeadLines {
    fn look_for_length(&mut self, bytes: &[u8]) {
        let rest = LENGTH.get(self.like_length..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        let alike = bytes.iter().zip(rest).all(|(one, other)| one.to_ascii_lowercase() == *other);
        self.like_length += count;
        self.head.has_length |= alike && self.like_length == LENGTH.len();
        self.may_be_length = alike && self.like_length < LENGTH.len();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // One caller never has more than one unread answer, however many requests arrive one after another.
        if this.left.holds() && this.left.is_nothing() {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let start = buf.filled().len();
        if this.held.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let count = this.held.len().min(buf.remaining());
            buf.put_slice(this.held.get(..count).unwrap_or_default());
        }
        let fresh = buf.filled_mut().get_mut(start..).unwrap_or_default();
        let (count, instead) = this.cut(fresh);
        match instead {
            Some(instead) => this.held = instead,
            None if this.held.is_empty() => {
                this.held = Bytes::copy_from_slice(fresh.get(count..).unwrap_or_default());
            }
            None => this.held.advance(count),
        }
        buf.set_filled(start + count);
        if count > 0 {
            this.phase.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.phase.writes(true);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    /// hyper flushes once it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.left.flushed();
        self.phase.writes(self.ends);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the sending side, then reads the rest of a message that the peer is still sending.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // A connection that is ending does not count as resting.
        this.ends = true;
        this.phase.writes(true);
        if this.lingers.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if this.held.is_empty() && this.left.get() == NOTHING {
                return Poll::Ready(Ok(()));
            }
        }
        let until = this.lingers.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut scratch = [0; 4096];
        while until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// For `tests/fuzz`: what is passed on of these bytes, read in pieces of this size.
#[cfg(fuzzing)]
pub(crate) fn fuzz_entry(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut wire = Wire::new(bytes, Left::default(), Phase::new());
    let mut handed_on = Vec::new();
    let mut room = vec![0; piece.max(1)];
    loop {
        let mut buf = ReadBuf::new(&mut room);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Pin::new(&mut wire).poll_read(&mut cx, &mut buf) {
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                handed_on.push(buf.filled().to_vec());
            }
            _ => return handed_on,
        }
    }
}

#[cfg(test)]
mod tests;
