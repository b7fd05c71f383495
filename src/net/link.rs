//! A connection to a server, driven by the request that uses it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, Connection, SendRequest},
};
use tokio::task::coop::unconstrained;

use super::{BoxError, ExchangeError, Stream, causes, with_causes};

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
        let (sender, connection) = Builder::new().writev(false).handshake(stream).await?;
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

    /// Returns the complete answer to what was sent, with a body of at most `limit` bytes.
    pub(super) async fn answer(
        &mut self,
        mut answering: Answering,
        limit: usize,
    ) -> Result<Response<Bytes>, ExchangeError> {
        let head = poll_fn(|cx| {
            self.drive(cx);
            poll_unwoken(|cx| answering.as_mut().poll(cx))
        });
        let (head, body) = head.await.map_err(|error| failure(&error))?.into_parts();
        let cut = |error: BoxError| ExchangeError::Cut {
            status: head.status,
            cause: with_causes(&*error),
        };
        let body = self.whole(body, limit).await.map_err(cut)?;
        Ok(Response::from_parts(head, body))
    }

    async fn whole(&mut self, mut body: Incoming, limit: usize) -> Result<Bytes, BoxError> {
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while !body.is_end_stream() {
            let frame = poll_fn(|cx| {
                // Polling the body asks for more data, which the connection then reads.
                let asked = poll_unwoken(|cx| Pin::new(&mut body).poll_frame(cx));
                if asked.is_ready() {
                    return asked;
                }
                self.drive(cx);
                poll_unwoken(|cx| Pin::new(&mut body).poll_frame(cx))
            });
            let Some(frame) = frame.await else { break };
            let Ok(data) = frame?.into_data() else { continue };
            if data.len() > limit - first.len().max(all.len()) {
                return Err(format!("more than {limit} bytes").into());
            }
            if first.is_empty() {
                first = data;
                continue;
            }
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
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
