//! Drives a connection: its requests and answers, its rests, and its end.

use std::{convert::Infallible, fmt::Display, pin::Pin, time::Duration};

use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::Incoming,
    service::{Service as HyperService, service_fn},
};
use hyper_util::server::graceful::GracefulConnection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    Stops,
    outgoing::{Outgoing, SentBy},
    phase::{LongRequest, Phase, TICK},
    wire::Left,
};
use crate::{
    limit::AtOnce,
    stack::{Answer, Stack},
};

/// How long a caller may take to read what is left when the connection ends: the GOAWAY over HTTP/2, unread answers
/// over HTTP/1.1. A caller who reads neither must not delay a drain.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// How many answers to requests without a good token may wait to be read, over all connections. They do not take places
/// of `limits.max_concurrent_requests`, or callers without a token who read nothing would keep others out. Beyond this
/// number a stream is reset instead. A caller who reads takes an answer within a moment.
pub(super) const MAX_UNREAD_BY_STRANGERS: usize = 1024;

/// No time for a farewell, because a new connection waits for the place. A request that still arrives is answered.
const AT_ONCE: Timers = Timers { head: Duration::ZERO, idle: Duration::ZERO };

/// The timers of a connection (docs/threats.md, row 25). A body has its own timer, in the code that reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// How long a connection may stay without a request, or an answer may stay unread.
    pub(super) idle: Duration,
}

/// What the service has to know of each protocol.
#[derive(Clone, Debug)]
pub(super) enum Protocol {
    /// How much of a body has not arrived yet, and the token that is cancelled when the gateway leaves.
    Http1(Left, CancellationToken),
    /// Counts the answers to requests without a good token that wait to be read, over all connections.
    Http2(AtOnce),
}

/// The service, which counts requests as in flight, and their answers as waiting until they are sent. Over HTTP/1.1 the
/// connection is closed after a request whose body was not read, because the rest of that body must not be taken for
/// the next request.
pub(super) fn counted(
    stack: Stack<Incoming>,
    phase: &Phase,
    idle: Duration,
    protocol: Protocol,
) -> impl HyperService<
    Request<Incoming>,
    Response = Response<Outgoing>,
    Error = Infallible,
    Future: Send + 'static,
> + use<> {
    let phase = phase.clone();
    service_fn(move |mut request: Request<Incoming>| {
        let running = phase.run();
        if let Some(peer) = phase.peer() {
            request.extensions_mut().insert(peer);
        }
        let (phase, protocol) = (phase.clone(), protocol.clone());
        if let Protocol::Http1(left, _) = &protocol {
            left.await_body(request.body());
            if let Some(oddities) = left.oddities(request.headers()) {
                request.extensions_mut().insert(oddities);
            }
        }
        let answering = stack.clone().call(request);
        async move {
            let answer = answering.await?;
            if answer.body().authenticated {
                phase.know();
            }
            // Until its last piece is on its way, a long answer is a request in flight: ZEC still delivers it.
            let is_long = answer.body().long.is_some();
            let (mut running, mut long) = (running, None);
            if let Some(request) = running.take_if(|_| is_long) {
                long = Some(LongRequest::new(request, idle, FAREWELL));
            }
            let answer = match protocol {
                Protocol::Http1(left, leaving) => over_http1(answer, long, left, &leaving),
                Protocol::Http2(strangers) => over_http2(answer, long, phase, &strangers),
            };
            // Only after the answer counts as waiting: otherwise the connection would seem to rest in between.
            drop(running);
            Ok(answer)
        }
    })
}

fn over_http1(
    mut answer: Answer,
    long: Option<LongRequest>,
    left: Left,
    leaving: &CancellationToken,
) -> Response<Outgoing> {
    if left.has_body() || leaving.is_cancelled() {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer.map(|body| Outgoing::new(body, SentBy::Http1(left), None, long))
}

fn over_http2(
    answer: Answer,
    long: Option<LongRequest>,
    phase: Phase,
    strangers: &AtOnce,
) -> Response<Outgoing> {
    answer.map(|body| {
        let is_strangers = body.places.is_none() && !body.bytes.is_empty();
        let place = is_strangers.then(|| strangers.begin(MAX_UNREAD_BY_STRANGERS));
        if matches!(place, Some(None)) {
            return Outgoing::refused(body);
        }
        // A long answer has its own timer.
        let since = long.is_none().then(|| phase.waits());
        Outgoing::new(body, SentBy::Http2(phase, since), place.flatten(), long)
    })
}

/// The timers of a connection that was told to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farewell {
    /// If one of its own timers has expired.
    pub(super) overdue: Timers,
    /// If the gateway stops.
    pub(super) draining: Timers,
}

/// The result of driving a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The connection has ended.
    Over,
    /// Nothing has happened on the connection for a while.
    Resting,
}

/// After how long a connection rests, provided that no part of a message is still to arrive. The rest of a body that
/// was not read must never be served as a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    pub(super) after: Duration,
    pub(super) left: &'a Left,
}

/// Drives a connection until it ends or rests.
pub(super) async fn keep<C>(
    mut connection: Pin<&mut C>,
    phase: &Phase,
    timers: Timers,
    farewell: Farewell,
    stops: &Stops,
    mut rest: Option<Rest<'_>>,
) -> Kept
where
    C: GracefulConnection,
    C::Error: Display,
{
    let (mut left, mut told, mut drains) = (timers, false, false);
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => {
                ended(result);
                return Kept::Over;
            }
            () = stops.begun.cancelled(), if !drains => {
                drains = true;
                phase.drain();
                left = farewell.draining;
            }
            // Requests in flight go on, and new ones are served.
            () = stops.leaving.cancelled(), if !told && !drains => {}
            () = phase.asked_to_end(), if !told => {
                tracing::debug!("an idle connection made room for another one");
                left = AT_ONCE;
            }
            found = look(phase, left, rest, told) => {
                if found == LookResult::Rest {
                    return Kept::Resting;
                }
                if told {
                    tracing::debug!("a connection was cut off");
                    return Kept::Over;
                }
                tracing::debug!("a connection was silent for too long");
                left = farewell.overdue;
            }
        }
        if !told {
            told = true;
            rest = None;
            connection.as_mut().graceful_shutdown();
        }
    }
}

fn ended<E: Display>(result: Result<(), E>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// The result of checking a connection's phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookResult {
    /// The phase has lasted longer than it may.
    Overdue,
    /// The connection has rested for the time given.
    Rest,
}

/// Resolves when a phase needs an action. No timer is reset per request; instead the phase is checked from time to
/// time. Since a phase may begin at any moment, the next check is never later than the shortest phase could end.
///
/// An answer that is not read in time is one more reason to end. If the connection was already `told` to end, this
/// counts only once no request is in flight on it.
pub(super) async fn look(
    phase: &Phase,
    timers: Timers,
    rest: Option<Rest<'_>>,
    told: bool,
) -> LookResult {
    let ends = || {
        let idle = phase.ends(timers.head, timers.idle);
        let unread = phase.unread_ends(timers.idle).filter(|_| !told || idle.is_some());
        idle.into_iter().chain(unread).min()
    };
    let shortest = timers.head.min(timers.idle);
    let pause = rest.map_or(shortest, |rest| rest.after.min(shortest)).max(TICK);
    let mut at = Instant::now() + pause;
    at = ends().map_or(at, |end| at.min(end));
    loop {
        tokio::time::sleep_until(at).await;
        let now = Instant::now();
        at = now + pause;
        if let Some(end) = ends() {
            if end <= now {
                return LookResult::Overdue;
            }
            at = at.min(end);
        }
        if rest.is_some_and(|rest| phase.rests(rest.after) && rest.left.is_nothing()) {
            return LookResult::Rest;
        }
    }
}
