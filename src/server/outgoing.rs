//! Answers on their way out. The limits on how many there are count an answer until the caller's side has read the last
//! byte, not only until hyper has it. Over HTTP/2 the caller reads within the windows that it grants.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{
    phase::{LongRequest, Phase},
    wire::Left,
};
use crate::{
    limit::{ConcurrencySlots, Slot},
    metrics::InFlightGauge,
    stack::{AnswerBody, BrokenOff, LongAnswer, Piece},
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
    /// wait; a long answer has none, because it has a timer of its own.
    Http2(Phase, Option<u64>),
}

/// The body of an answer, in the form that hyper takes.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Bytes,
    /// A long answer of ZEC's, in place of the bytes.
    long: Option<Box<LongAnswer>>,
    sending: Option<Sending>,
    refused: bool,
}

impl Outgoing {
    /// Makes a body that releases its places once it is sent. `stranger` is the place of an answer to a request without
    /// a good token.
    pub(super) fn new(
        body: AnswerBody,
        way: SentBy,
        stranger: Option<Slot>,
        request: Option<LongRequest>,
    ) -> Self {
        let AnswerBody { bytes, long, places, running, .. } = body;
        let held = HeldUntilSent { _places: places, _running: running, _stranger: stranger };
        let sending = Some(Sending { held, way, request });
        Self { bytes, long, sending, refused: false }
    }

    /// Makes a body that breaks off, so that its stream is reset.
    pub(super) fn refused(body: AnswerBody) -> Self {
        Self { bytes: body.bytes, long: None, sending: None, refused: true }
    }
}

/// Why an answer breaks off.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unsendable {
    #[error("too many answers to requests without a token wait to be taken")]
    TooManyUnread,
    #[error(transparent)]
    BrokenOff(#[from] BrokenOff),
}

impl Body for Outgoing {
    type Data = OutgoingPiece;
    type Error = Unsendable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<OutgoingPiece>, Unsendable>>> {
        if mem::take(&mut self.refused) {
            self.bytes.clear();
            return Poll::Ready(Some(Err(Unsendable::TooManyUnread)));
        }
        let this = &mut *self;
        if let Some(long) = &mut this.long {
            let polled = long.poll_piece(cx);
            let request = this.sending.as_ref().and_then(|sending| sending.request.as_ref());
            if let Some(request) = request {
                if polled.is_pending() { request.waits_for_zec() } else { request.has_a_piece() }
            }
            match ready!(polled) {
                Ok(Piece::Next(bytes)) => {
                    let piece = OutgoingPiece { bytes, _sending: None };
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Ok(Piece::Last(bytes)) => this.bytes = bytes,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
            this.long = None;
        }
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let (bytes, sending) = (mem::take(&mut self.bytes), self.sending.take());
        Poll::Ready(Some(Ok(Frame::data(OutgoingPiece { bytes, _sending: sending }))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.long.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.long {
            None => SizeHint::with_exact(self.bytes.len() as u64),
            Some(long) => long.length().map(SizeHint::with_exact).unwrap_or_default(),
        }
    }
}

/// The bytes of an answer, with the places that they hold.
#[derive(Debug)]
pub(super) struct OutgoingPiece {
    bytes: Bytes,
    _sending: Option<Sending>,
}

impl Buf for OutgoingPiece {
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
    /// Of a long answer, the request that is in flight until then.
    request: Option<LongRequest>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        match &self.way {
            SentBy::Http1(left) => left.hold_until_flushed(mem::take(&mut self.held)),
            SentBy::Http2(phase, Some(since)) => phase.taken(*since),
            SentBy::Http2(_, None) => {}
        }
    }
}
