//! Answers on their way out. Whatever bounds how many there are is held until the caller's side has taken
//! the last byte, over HTTP/2 within the windows that the caller gives; not only until hyper has it.

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
    metrics::InFlight,
    stack::AnswerBody,
};

/// What is held for an answer until it is out.
#[derive(Debug, Default)]
pub(super) struct HeldUntilSent {
    _places: Option<ConcurrencySlots>,
    _running: Option<InFlight>,
    _stranger: Option<Slot>,
}

/// How it is found out that an answer is out.
#[derive(Debug)]
pub(super) enum SentBy {
    /// hyper copies it into its buffer, and it is out when that is flushed.
    Http1(Left),
    /// h2 keeps the bytes as they are and drops them when they are written. Since when they wait.
    Http2(Phase, u64),
}

/// The body of an answer, as hyper is given it.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Bytes,
    sending: Option<Sending>,
    refused: bool,
}

impl Outgoing {
    /// Dropped with the body when it is out. A `stranger`'s place is held with it.
    pub(super) fn new(body: AnswerBody, way: SentBy, stranger: Option<Slot>) -> Self {
        let AnswerBody { bytes, places, running, .. } = body;
        let held = HeldUntilSent { _places: places, _running: running, _stranger: stranger };
        Self { bytes, sending: Some(Sending { held, way }), refused: false }
    }

    /// A body that breaks off: its stream is reset.
    pub(super) fn refused(body: AnswerBody) -> Self {
        Self { bytes: body.bytes, sending: None, refused: true }
    }
}

/// Too many answers to strangers wait to be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many answers to requests without a token wait to be taken")
    }
}

impl std::error::Error for Refused {}

impl Body for Outgoing {
    type Data = Piece;
    type Error = Refused;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Refused>>> {
        if mem::take(&mut self.refused) {
            self.bytes.clear();
            return Poll::Ready(Some(Err(Refused)));
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

/// The bytes of an answer, with what is held for them.
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

/// What is held, and until when.
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
