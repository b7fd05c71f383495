//! Drives a connection: what is served on it, when it rests, and how it ends.

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
    phase::Phase,
    wire::Left,
};
use crate::{
    limit::AtOnce,
    stack::{Answer, Stack},
};

/// How long a caller has to take what is left for them once the connection ends: over HTTP/2 the
/// goodbye, over HTTP/1.1 answers that they do not read. Whoever does neither must not hold up a
/// drain.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// Answers to requests without a good token that wait to be taken, over all connections. They hold no place
/// among `limits.max_concurrent_requests`, or strangers who read nothing would keep callers out; past so
/// many a stream is reset instead. Whoever reads takes an answer within a moment.
pub(super) const MAX_UNREAD_BY_STRANGERS: usize = 1024;

/// No time for a goodbye: somebody waits for the place. A request that comes all the same is answered.
const AT_ONCE: Timers = Timers { head: Duration::ZERO, idle: Duration::ZERO };

/// The shortest pause between two looks at a phase, however short its time.
const TICK: Duration = Duration::from_millis(10);

/// The timers of a connection (docs/threats.md, row 25); a body has its own, where it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// How long a connection may stay without a request, or an answer unread.
    pub(super) idle: Duration,
}

/// What a protocol knows of its requests and answers.
#[derive(Clone, Debug)]
pub(super) enum Protocol {
    /// How much of a body is still to come, and when the gateway leaves.
    Http1(Left, CancellationToken),
    /// The answers to strangers that wait to be taken, over all connections.
    Http2(AtOnce),
}

/// The service, with its requests counted as running, and its answers as waiting until they are out. Over
/// HTTP/1.1 the connection is closed after a request whose body was not read: what comes of it must
/// not be the next request.
pub(super) fn counted(
    stack: Stack<Incoming>,
    phase: &Phase,
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
            let answer = match protocol {
                Protocol::Http1(left, leaving) => over_http1(answer, left, &leaving),
                Protocol::Http2(strangers) => over_http2(answer, phase, &strangers),
            };
            // Not before the answer counts as waiting: in between, the connection would seem to rest.
            drop(running);
            Ok(answer)
        }
    })
}

fn over_http1(mut answer: Answer, left: Left, leaving: &CancellationToken) -> Response<Outgoing> {
    if left.has_body() || leaving.is_cancelled() {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer.map(|body| Outgoing::new(body, SentBy::Http1(left), None))
}

fn over_http2(answer: Answer, phase: Phase, strangers: &AtOnce) -> Response<Outgoing> {
    answer.map(|body| {
        let is_strangers = body.places.is_none() && !body.bytes.is_empty();
        let place = is_strangers.then(|| strangers.begin(MAX_UNREAD_BY_STRANGERS));
        if matches!(place, Some(None)) {
            return Outgoing::refused(body);
        }
        let since = phase.waits();
        Outgoing::new(body, SentBy::Http2(phase, since), place.flatten())
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

/// What became of a connection that was driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is over.
    Over,
    /// Nothing has happened on it for a while.
    Resting,
}

/// After how long a connection rests, if nothing of a message is left that arrives: what comes of a
/// body that was not read must never be served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    pub(super) after: Duration,
    pub(super) left: &'a Left,
}

/// Drives a connection to its end, or until it rests.
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
            // What runs goes on, and what comes meanwhile is served.
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

/// What a look at a connection's phase found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookResult {
    /// It has lasted for longer than it may.
    Overdue,
    /// The connection has rested for so long.
    Rest,
}

/// Resolves when there is something to do about a phase. Nothing is reset per request: the phase is
/// looked at now and then, and since either may begin at any moment, the next look is never later than
/// the shortest one's end would be. An answer that is not taken in time is one more reason to end; where the
/// connection was `told` already, only once no request runs on it any more.
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
