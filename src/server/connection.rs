use std::{future::Future, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, time::Instant};
use tower::Service;

use super::{
    MAX_HEAD, Settings,
    phase::{Phase, Watched},
};
use crate::stack::Stack;

/// The timers of a connection (threats, row 25); a body has its own, where it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    head: Duration,
    idle: Duration,
}

impl From<&Settings> for Timers {
    fn from(settings: &Settings) -> Self {
        Self { head: settings.header_timeout, idle: settings.idle_timeout }
    }
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
    let io = TokioIo::new(Watched { stream, phase: phase.clone() });
    let watched = phase.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        watched.busy();
        let (answering, phase) = (stack.clone().call(request), watched.clone());
        async move {
            let answer = answering.await;
            phase.idle();
            answer
        }
    });
    // hyper's own timer for heads runs between requests too and would end idle connections
    // early, so both times are kept here.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .max_buf_size(2 * MAX_HEAD)
        .serve_connection(io, service);
    tokio::pin!(connection, draining);
    let timer = tokio::time::sleep(timers.head);
    tokio::pin!(timer);
    let mut drains = false;
    loop {
        tokio::select! {
            result = &mut connection => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended badly");
                }
                return;
            }
            () = &mut timer => {
                let now = Instant::now();
                match phase.ends(timers.head, timers.idle) {
                    Some(end) if end <= now => {
                        tracing::debug!("a connection was silent for too long");
                        return;
                    }
                    // The phase changed since the timer was set: nothing is reset per request.
                    Some(end) => timer.as_mut().reset(end),
                    None => timer.as_mut().reset(now + timers.head.min(timers.idle)),
                }
            }
            () = &mut draining, if !drains => {
                drains = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
