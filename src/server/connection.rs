use std::{
    convert::Infallible,
    fmt::Display,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as HyperService, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
use tower::Service;

use super::{
    MAX_HEAD, Tls, http2,
    phase::Phase,
    wire::{Left, Wire},
};
use crate::stack::Stack;

/// How long a caller has to take what is left for them once the connection ends: over HTTP/2 the
/// goodbye, over HTTP/1.1 answers that they do not read. Whoever does neither must not hold up a
/// drain.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// The shortest pause between two looks at a phase, however short its time.
const TICK: Duration = Duration::from_millis(10);

/// The timers of a connection (threats, row 25); a body has its own, where it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// How long a connection may stay without a request, or an answer unread.
    pub(super) idle: Duration,
}

/// What holds for every connection of a listener.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) timers: Timers,
    /// None: plain HTTP/1.1.
    pub(super) tls: Option<Arc<Tls>>,
    /// How long a TLS handshake may take.
    pub(super) handshake: Duration,
}

/// Serves one connection until it ends, its time is up, or the drain finds it between requests.
/// What is spoken is agreed upon in the TLS handshake and never guessed from bytes; without TLS it
/// is HTTP/1.1.
pub(super) async fn serve(
    stream: TcpStream,
    stack: Stack<Incoming>,
    terms: Terms,
    draining: impl Future<Output = ()>,
) {
    let draining = pin!(draining);
    // Answers are small and whole: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let Terms { timers, tls, handshake } = terms;
    match tls {
        None => http1(stream, stack, timers, draining).await,
        // Larger than what serves a plain connection, which must not make room for it.
        Some(tls) => {
            let Some((stream, h2)) = Box::pin(tls.accept(stream, handshake)).await else { return };
            let stream = Box::new(stream);
            if h2 {
                Box::pin(http2::serve(stream, stack, timers, draining)).await;
            } else {
                Box::pin(http1(stream, stack, timers, draining)).await;
            }
        }
    }
}

async fn http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stack: Stack<Incoming>,
    timers: Timers,
    draining: Pin<&mut impl Future<Output = ()>>,
) {
    let phase = Phase::new();
    let left = Left::default();
    let io = Wire::new(stream, left.clone(), phase.clone());
    // hyper's own timer for heads runs between requests too and would end idle connections
    // early, so both times are kept by `overdue`.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD as usize)
        .max_buf_size(2 * MAX_HEAD as usize)
        // An answer goes out in one piece: it is small.
        .writev(false)
        .serve_connection(TokioIo::new(io), counted(stack, &phase, Some(left)));
    // Between requests the connection is closed in form, which takes no time; in the middle of a
    // head there is no form.
    let at_once = Timers { head: Duration::ZERO, idle: Duration::ZERO };
    let unread = Timers { head: timers.head, idle: timers.idle.min(FAREWELL) };
    let farewell = Farewell { overdue: at_once, draining: unread };
    keep(pin!(connection), &phase, timers, farewell, draining).await;
}

/// The service, with its requests counted as running. Where `left` tells how much of a body is
/// still to come, the connection is closed after a request whose body was not read: what comes of
/// it must not be the next request.
pub(super) fn counted(
    stack: Stack<Incoming>,
    phase: &Phase,
    left: Option<Left>,
) -> impl HyperService<
    Request<Incoming>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future: Send + 'static,
> + use<> {
    let phase = phase.clone();
    service_fn(move |request: Request<Incoming>| {
        let running = phase.run();
        let left = left.clone();
        if let Some(left) = &left {
            left.await_body(request.body());
        }
        let answering = stack.clone().call(request);
        async move {
            let mut answer = answering.await?;
            drop(running);
            if left.is_some_and(|left| left.has_body()) {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(answer)
        }
    })
}

/// What time is left to a connection that was told that it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farewell {
    /// Because its own time is up.
    pub(super) overdue: Timers,
    /// Because the gateway stops.
    pub(super) draining: Timers,
}

/// Drives a connection to its end.
pub(super) async fn keep<C>(
    mut connection: Pin<&mut C>,
    phase: &Phase,
    timers: Timers,
    farewell: Farewell,
    mut draining: Pin<&mut impl Future<Output = ()>>,
) where
    C: GracefulConnection,
    C::Error: Display,
{
    let (mut left, mut told, mut drains) = (timers, false, false);
    loop {
        tokio::select! {
            biased;
            result = &mut connection => return ended(result),
            () = &mut draining, if !drains => {
                drains = true;
                phase.drain();
                left = farewell.draining;
            }
            () = overdue(phase, left) => {
                if told {
                    tracing::debug!("a connection was cut off");
                    return;
                }
                tracing::debug!("a connection was silent for too long");
                left = farewell.overdue;
            }
        }
        if !told {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}

fn ended<E: Display>(result: Result<(), E>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Resolves when the connection has stayed in a phase for longer than it may. Nothing is reset
/// per request: the phase is looked at now and then, and since either may begin at any moment, the
/// next look is never later than the shorter one's end would be.
async fn overdue(phase: &Phase, timers: Timers) {
    let pause = timers.head.min(timers.idle).max(TICK);
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
