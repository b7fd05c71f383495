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

/// Requests at once on one connection. RFC 9113 (6.5.2) recommends 100 at least. The limit is not higher, because each
/// may hold a request's state and an unread answer.
const MAX_STREAMS: u32 = 100;

/// Requests that the caller reset before they were accepted; a caller has little reason for even one. The rapid reset
/// attack (CVE-2023-44487) consists of these, because they do not count as concurrent streams. Beyond this number the
/// connection ends with `ENHANCE_YOUR_CALM`. The value is h2's default, set here so that no release can change it.
const MAX_RESETS_BY_CALLER: usize = 20;

/// Streams that the gateway reset over the whole life of a connection, because the caller broke the protocol
/// (CVE-2025-8671, RUSTSEC-2024-0003) or opened too many at once. Only the latter happens to honest callers, before
/// they have read the gateway's settings. hyper's default of 1024 is more than any of them needs.
const MAX_RESETS_BY_US: usize = 256;

/// Bytes of one body that may be in flight. The default largest body, 64 KiB, needs no further window update. hyper's
/// default is 1 MiB.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes of all bodies of one connection that may be in flight. That is how much a connection can make the gateway hold
/// for bodies that nothing reads. hyper's default is 1 MiB.
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;

/// The smallest size that RFC 9113 (4.2) allows. The smaller a frame, the sooner another stream has its turn. h2 also
/// derives from it how many CONTINUATION frames a head may have (five here), which ends floods of them (CVE-2024-27316,
/// RUSTSEC-2024-0332).
const MAX_FRAME: u32 = 16 * 1024;

/// Bytes of one answer that wait in the gateway's memory for the caller to read them. Answers are small; hyper's
/// default is 400 KiB.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// Serves one HTTP/2 connection.
///
/// The timers depend on whether a request is in flight, not on bytes. Pings, settings and window updates arrive between
/// requests too, and must neither keep a connection open nor end it early. The gateway sends no pings of its own,
/// because every phase of a connection ends without them.
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
        // The same as over HTTP/1.1, though here every header counts as 32 bytes more (RFC 9113, 6.5.2). h2 answers 431
        // without storing what exceeds the limit.
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // Off, because it would grow both windows for callers who are far away, and for callers who only seem so.
        .adaptive_window(false)
        .max_frame_size(MAX_FRAME)
        .max_send_buf_size(MAX_SEND_BUFFER)
        // Extended CONNECT (RFC 8441) stays off, which is the default: there is nothing to tunnel to.
        .serve_connection(
            TokioIo::new(stream),
            counted(stack, phase, timers.idle, Protocol::Http2(strangers)),
        );
    // A connection that arrives while the gateway leaves would otherwise be told to end before its first request.
    let leaving =
        if stops.leaving.is_cancelled() { CancellationToken::new() } else { stops.leaving.clone() };
    let stops = Stops { leaving, begun: stops.begun.clone() };
    // GOAWAY is followed by a ping, so that requests in flight to the gateway still arrive.
    let soon = timers.head.min(FAREWELL);
    let soon = Timers { head: soon, idle: soon };
    let farewell = Farewell { overdue: soon, draining: soon };
    keep(pin!(connection), phase, timers, farewell, &stops, None).await;
}
