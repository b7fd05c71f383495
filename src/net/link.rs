//! A connection to a server, driven by the request that uses it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, Connection, SendRequest},
};
use tokio::task::coop::unconstrained;

use super::{BoxError, ExchangeError, Stream, causes, with_causes};

/// How much of an answer is read at once, in bytes. An answer in flight takes little more room than a few pieces.
const PIECE: usize = 32 * 1024;

/// The future of an answer's head.
pub(super) type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// A connection to a server. Only the request on it drives it, so that no separate task has to be woken on the way
/// there and back.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended.
    connection: Option<Connection<Stream, Full<Bytes>>>,
}

impl Link {
    pub(super) async fn new(stream: Stream) -> hyper::Result<Box<Self>> {
        // Without `writev` a request is sent in one piece: it is small, and over TLS two pieces would be two records.
        let (sender, connection) =
            Builder::new().writev(false).max_buf_size(PIECE).handshake(stream).await?;
        Ok(Box::new(Self { sender, connection: Some(connection) }))
    }

    /// Whether nothing is in flight and, as far as is known, the server has not closed the connection.
    pub(super) fn is_free(&mut self) -> bool {
        let _ = poll_unwoken(|cx| {
            self.drive(cx);
            Poll::Ready(())
        });
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Whether the connection may become free again.
    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Hands a request to the connection, which sends it when it is driven.
    pub(super) fn send(&mut self, request: Request<Full<Bytes>>) -> Answering {
        // The channel to the connection has room for the whole request.
        Box::pin(self.sender.send_request(request))
    }

    /// Returns the answer to what was sent: its body up to the piece that makes it longer than `first` bytes, and the body
    /// itself if there is more of it.
    pub(super) async fn begin(
        &mut self,
        mut answering: Answering,
        first: usize,
    ) -> Result<Response<(Bytes, Option<Incoming>)>, ExchangeError> {
        let head = poll_fn(|cx| {
            self.drive(cx);
            poll_unwoken(|cx| answering.as_mut().poll(cx))
        });
        let (head, mut body) = head.await.map_err(|error| failure(&error))?.into_parts();
        let begun = self.read(&mut body, first).await;
        let (begun, is_whole) = begun.map_err(|error| ExchangeError::cut(head.status, &*error))?;
        Ok(Response::from_parts(head, (begun, (!is_whole).then_some(body))))
    }

    /// Reads a body to its end, or until it is longer than `first` bytes. Returns whether it is read to its end and no longer.
    async fn read(&mut self, body: &mut Incoming, first: usize) -> Result<(Bytes, bool), BoxError> {
        let (mut one, mut all) = (Bytes::new(), BytesMut::new());
        let mut is_whole = body.is_end_stream();
        while !is_whole && one.len().max(all.len()) <= first {
            let Some(data) = poll_fn(|cx| self.poll_data(body, cx)).await.transpose()? else {
                is_whole = true;
                break;
            };
            if one.is_empty() {
                one = data;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&one);
                }
                all.extend_from_slice(&data);
            }
            is_whole = body.is_end_stream();
        }
        let read = if all.is_empty() { one } else { all.freeze() };
        is_whole &= read.len() <= first;
        Ok((read, is_whole))
    }

    /// The next piece of a body; `None` at its end.
    pub(super) fn poll_data(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            if body.is_end_stream() {
                return Poll::Ready(None);
            }
            // Polling the body asks for more data, which the connection then reads.
            let mut frame = poll_unwoken(|cx| Pin::new(&mut *body).poll_frame(cx));
            if frame.is_pending() {
                self.drive(cx);
                frame = poll_unwoken(|cx| Pin::new(&mut *body).poll_frame(cx));
            }
            match ready!(frame).transpose()?.map(Frame::into_data) {
                None => return Poll::Ready(None),
                Some(Ok(data)) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                Some(_) => {}
            }
        }
    }

    /// Lets the connection make what progress it can.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // The request on the connection gets the result with which the connection ends.
        if self.connection.as_mut().is_some_and(|open| Pin::new(open).poll(cx).is_ready()) {
            self.connection = None;
        }
    }
}

/// Polls a future that makes progress only when the connection is driven, so that it needs no waker. tokio must not
/// defer such a poll either, because that would wake no task.
fn poll_unwoken<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    pin!(unconstrained(poll_fn(poll))).poll(&mut Context::from_waker(Waker::noop()))
}

/// Distinguishes "nothing was sent" from "unknown". hyper hands an unsent request back and calls that *canceled*; any
/// other request may have arrived.
fn failure(error: &hyper::Error) -> ExchangeError {
    let text = with_causes(error);
    let canceled = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
    };
    if error.is_canceled() || causes(error).any(canceled) {
        ExchangeError::Unsent(text)
    } else {
        ExchangeError::Unanswered(text)
    }
}
