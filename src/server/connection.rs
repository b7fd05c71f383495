use std::{convert::Infallible, future::Future, time::Duration};

use http::{HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, time::Instant};
use tower::Service;

use super::{
    MAX_HEAD,
    phase::{Phase, Watched},
    wire::{Left, Wire},
};
use crate::stack::Stack;

/// The timers of a connection (threats, row 25); a body has its own, where it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// How long a connection may stay without a request, or an answer unread.
    pub(super) idle: Duration,
}

/// Serves one plaintext connection, HTTP/1.1 only, until it ends, its time is up, or the drain
/// finds it between requests.
pub(super) async fn serve(
    stream: TcpStream,
    stack: Stack<Incoming>,
    timers: Timers,
    draining: impl Future<Output = ()>,
) {
    // Answers are small and whole: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let phase = Phase::new();
    let left = Left::default();
    let io = Watched { stream: Wire::new(stream, left.clone()), phase: phase.clone() };
    let io = TokioIo::new(io);
    let watched = phase.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        watched.busy();
        left.await_body(request.body());
        let (answering, phase, left) = (stack.clone().call(request), watched.clone(), left.clone());
        async move {
            let mut answer = answering.await?;
            phase.idle();
            // Answered before its body was read: what comes of it must not be the next request.
            if left.has_body() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    // hyper's own timer for heads runs between requests too and would end idle connections
    // early, so both times are kept by `overdue`.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .max_buf_size(2 * MAX_HEAD)
        .serve_connection(io, service);
    let overdue = overdue(&phase, timers);
    tokio::pin!(connection, overdue, draining);
    let mut drains = false;
    loop {
        tokio::select! {
            result = &mut connection => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended badly");
                }
                return;
            }
            () = &mut overdue => {
                tracing::debug!("a connection was silent for too long");
                return;
            }
            () = &mut draining, if !drains => {
                drains = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Resolves when the connection has stayed in a phase for longer than it may. Nothing is reset
/// per request: the phase is looked at now and then, and since either may begin at any moment, the
/// next look is never later than the shorter one's end would be.
async fn overdue(phase: &Phase, timers: Timers) {
    let pause = timers.head.min(timers.idle);
    let mut look = Instant::now() + pause;
    loop {
        tokio::time::sleep_until(look).await;
        let now = Instant::now();
        look = now + pause;
        if let Some(end) = phase.ends(timers.head, timers.idle) {
            if end <= now {
                return;
            }
            look = look.min(end);
        }
    }
}
