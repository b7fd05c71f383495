//! Serves one HTTP/2 connection, with its limits.

use std::pin::pin;

use hyper::{body::Incoming, server::conn::http2::Builder};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    MAX_HEAD, Stops,
    drive::{FAREWELL, Farewell, Protocol, Timers, counted, keep},
    phase::Phase,
};
use crate::{limit::AtOnce, stack::Stack};

/// Requests at once on one connection. RFC 9113 (6.5.2) asks for 100 at least; each may hold a
/// request's state and an answer that is not fetched, so it is not more.
const MAX_STREAMS: u32 = 100;

/// Requests taken back by the caller before they were looked at: a caller has little reason for
/// one. The rapid reset (CVE-2023-44487) is made of these, for they do not count as streams at
/// once; past so many the connection ends with `ENHANCE_YOUR_CALM`. It is h2's default, set here
/// so that no release can change it.
const MAX_RESETS_BY_CALLER: usize = 20;

/// Streams that were reset by us, for breaking the protocol (CVE-2025-8671,
/// RUSTSEC-2024-0003) or for being too many at once, over the whole life of a connection. Only the
/// latter happens to honest callers, before they have read our settings; hyper's default of 1024
/// is more than any of them needs.
const MAX_RESETS_BY_US: usize = 256;

/// Bytes of one body that may be under way: the usual largest body, 64 KiB, needs no second word
/// from us. hyper's default is 1 MiB.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes of all bodies of one connection that may be under way, which is what a connection can
/// make us hold for bodies that nobody reads. hyper's default is 1 MiB.
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;

/// The least that RFC 9113 (4.2) allows. The smaller a frame, the sooner another stream has its
/// turn; and h2 derives from it how many CONTINUATION frames a head may have (five here), which
/// ends floods of them (CVE-2024-27316, RUSTSEC-2024-0332).
const MAX_FRAME: u32 = 16 * 1024;

/// Bytes of one answer that wait in our memory for the caller to take them. Answers are small;
/// hyper's default is 400 KiB.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// Serves one HTTP/2 connection.
///
/// The timers look at whether a request runs, not at bytes: pings, settings and window updates
/// come between requests too, and must neither keep a connection open nor end it early. Nor do we
/// send pings of our own: every phase of a connection has an end without them.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stack: Stack<Incoming>,
    timers: Timers,
    (phase, strangers): (&Phase, AtOnce),
    stops: &Stops,
) {
    let connection = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS_BY_CALLER)
        .max_local_error_reset_streams(MAX_RESETS_BY_US)
        // The same as over HTTP/1.1, though every header counts 32 bytes more (RFC 9113, 6.5.2).
        // h2 answers 431 without keeping what is over.
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // It would grow both windows for those who are far away, and for those who only seem so.
        .adaptive_window(false)
        .max_frame_size(MAX_FRAME)
        .max_send_buf_size(MAX_SEND_BUFFER)
        // Extended CONNECT (RFC 8441) stays off, as it is unless asked for: there is nothing to
        // tunnel to.
        .serve_connection(TokioIo::new(stream), counted(stack, phase, Protocol::Http2(strangers)));
    // One that comes while the gateway leaves would be sent away before its first request.
    let leaving =
        if stops.leaving.is_cancelled() { CancellationToken::new() } else { stops.leaving.clone() };
    let stops = Stops { leaving, begun: stops.begun.clone() };
    // GOAWAY is followed by a ping, so that requests on their way still arrive.
    let soon = timers.head.min(FAREWELL);
    let soon = Timers { head: soon, idle: soon };
    let farewell = Farewell { overdue: soon, draining: soon };
    keep(pin!(connection), phase, timers, farewell, &stops, None).await;
}
