//! Answers on their way out. The limits on how many there are count an answer until the caller's side has read the last
//! byte, not only until hyper has it. Over HTTP/2 the caller reads within the windows that it grants.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{phase::Phase, wire::Left};
use crate::{
    limit::{ConcurrencySlots, Slot},
    metrics::InFlightGauge,
    stack::AnswerBody,
};

/// The places that an answer holds until it is sent.
#[derive(Debug, Default)]
pub(super) struct HeldUntilSent {
    _places: Option<ConcurrencySlots>,
    _running: Option<InFlightGauge>,
    _stranger: Option<Slot>,
}

/// How the gateway detects that an answer is sent.
#[derive(Debug)]
pub(super) enum SentBy {
    /// hyper copies the answer into its buffer. The answer is sent when the buffer is flushed.
    Http1(Left),
    /// h2 keeps the bytes as they are and drops them once they are written. The number is the time since when they
    /// wait.
    Http2(Phase, u64),
}

/// The body of an answer, in the form that hyper takes.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Bytes,
    sending: Option<Sending>,
    refused: bool,
}

impl Outgoing {
    /// Makes a body that releases its places once it is sent. `stranger` is the place of an answer to a request without
    /// a good token.
    pub(super) fn new(body: AnswerBody, way: SentBy, stranger: Option<Slot>) -> Self {
        let AnswerBody { bytes, places, running, .. } = body;
        let held = HeldUntilSent { _places: places, _running: running, _stranger: stranger };
        Self { bytes, sending: Some(Sending { held, way }), refused: false }
    }

    /// Makes a body that breaks off, so that its stream is reset.
    pub(super) fn refused(body: AnswerBody) -> Self {
        Self { bytes: body.bytes, sending: None, refused: true }
    }
}

/// Too many answers to requests without a good token wait to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooManyUnread;

impl fmt::Display for TooManyUnread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many answers to requests without a token wait to be taken")
    }
}

impl std::error::Error for TooManyUnread {}

impl Body for Outgoing {
    type Data = Piece;
    type Error = TooManyUnread;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, TooManyUnread>>> {
        if mem::take(&mut self.refused) {
            self.bytes.clear();
            return Poll::Ready(Some(Err(TooManyUnread)));
        }
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let (bytes, sending) = (mem::take(&mut self.bytes), self.sending.take());
        Poll::Ready(Some(Ok(Frame::data(Piece { bytes, _sending: sending }))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// The bytes of an answer, with the places that they hold.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    _sending: Option<Sending>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

/// The places that are held, and the way to detect that they can be released.
#[derive(Debug)]
struct Sending {
    held: HeldUntilSent,
    way: SentBy,
}

impl Drop for Sending {
    fn drop(&mut self) {
        match &self.way {
            SentBy::Http1(left) => left.hold_until_flushed(mem::take(&mut self.held)),
            SentBy::Http2(phase, since) => phase.taken(*since),
        }
    }
}
