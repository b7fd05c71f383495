//! The listeners: connections with limits and timers, a drain that loses nothing, and the operators' own port.

mod admin;
mod certificate;
mod chunks;
mod connection;
mod drive;
mod crowd;
mod descriptors;
mod http1;
mod http2;
mod listener;
mod outgoing;
mod phase;
mod proxy_protocol;
mod seat;
mod settings;
mod tls;
mod wire;

use std::{future::Future, io, sync::Arc, time::Duration};

pub use admin::{Readiness, serve_admin};
use connection::Terms;
use crowd::Crowd;
pub use descriptors::{file_limit, raise_file_limit};
use drive::Timers;
use hyper::body::Incoming;
use listener::Socket;
pub use listener::{Listener, Listeners};
pub use proxy_protocol::TrustedProxies;
pub use settings::{Address, Settings, TlsSettings};
pub use tls::Tls;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(fuzzing)]
pub(crate) use wire::fuzz_entry;

use crate::{domain::Origin, lanes::Lanes, limit::AtOnce, stack::Stack};

/// The wait after a failed accept, most likely because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long, after the drain delay, the connections accepted last may take to send their first request.
const SETTLE: Duration = Duration::from_millis(250);

/// How long answers may take to get out after the last write of a fast drain.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many bytes the head of a request may have: an 8 KiB token, an 8 KiB target, and some room.
const MAX_HEAD: u32 = 32 * 1024;

/// The stages of a drain, shared with all parts that react to them.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Turns unready first.
    pub readiness: Arc<Readiness>,
    /// Cancelled at the same time: answers tell callers with a kept connection to open another one.
    pub leaving: CancellationToken,
    /// Cancelled when the gateway begins nothing new any more.
    pub begun: CancellationToken,
    /// Cancelled when the drain waits for nothing but the writes in flight.
    pub fast_drain: CancellationToken,
    /// The writes in flight, for which the drain waits.
    pub writes: TaskTracker,
}

impl Drain {
    /// The state before a drain.
    #[must_use]
    pub fn new(readiness: Readiness) -> Self {
        Self {
            readiness: Arc::new(readiness),
            leaving: CancellationToken::new(),
            begun: CancellationToken::new(),
            fast_drain: CancellationToken::new(),
            writes: TaskTracker::new(),
        }
    }
}

/// The tokens that tell connections that the gateway stops.
#[derive(Clone, Debug, Default)]
struct Stops {
    /// Cancelled when the gateway stops soon: requests are still served, and answers say that the connection ends.
    leaving: CancellationToken,
    /// Cancelled when nothing new is begun.
    begun: CancellationToken,
}

/// Serves, with or without TLS, until `shutdown` resolves, and then drains: turn unready, wait, stop accepting, and let
/// everything in flight finish, writes too. A fast drain waits for writes only. Returns whether all that finished in
/// time.
pub async fn serve(
    (listeners, lanes): (Listeners, &Lanes),
    tls: Option<Arc<Tls>>,
    stack: Stack<Incoming>,
    settings: &Settings,
    drain: &Drain,
    shutdown: impl Future<Output = ()>,
) -> bool {
    let connections = TaskTracker::new();
    let stops = Stops { leaving: drain.leaving.clone(), begun: drain.begun.clone() };
    {
        // The end of this block closes the listener, together with the future that owns it.
        let timers = Timers { head: settings.header_timeout, idle: settings.idle_timeout };
        let (handshake, strangers) = (settings.handshake_timeout, AtOnce::default());
        let proxies = settings.trusted_proxies.clone();
        let terms = Terms { timers, tls, handshake, strangers, proxies };
        let crowd = Crowd::new(settings.max_connections);
        drain.readiness.watch(Arc::clone(&crowd));
        let accepting = accept((listeners, lanes), stack, terms, &crowd, &connections, &stops);
        tokio::pin!(accepting, shutdown);
        tokio::select! {
            () = &mut accepting => {}
            () = &mut shutdown => {
                drain.readiness.drain();
                drain.leaving.cancel();
                tracing::info!(drain_delay_s = settings.drain_delay.as_secs_f64(), "draining");
                // Load balancers must see that the gateway is unready before it stops (docs/threats.md, row 24).
                let delay = tokio::time::timeout(settings.drain_delay, &mut accepting);
                let _ = drain.fast_drain.run_until_cancelled(delay).await;
            }
        }
    }
    if !settings.drain_delay.is_zero() {
        // No connection is accepted any more: those in the kernel's queue are for the next gateway.
        let settled = tokio::time::sleep(SETTLE);
        let _ = drain.fast_drain.run_until_cancelled(settled).await;
    }
    drain.begun.cancel();
    connections.close();
    drain.writes.close();
    let finished = async {
        let _ = drain.fast_drain.run_until_cancelled(connections.wait()).await;
        drain.writes.wait().await;
        // The last write's answer may still be on its way out.
        let _ = tokio::time::timeout(LAST_WORDS, connections.wait()).await;
    };
    let in_time = tokio::time::timeout(settings.drain_timeout, finished).await.is_ok();
    // Nothing else may begin from now on.
    drain.fast_drain.cancel();
    if !in_time {
        tracing::warn!(
            connections = connections.len(),
            writes = drain.writes.len(),
            "stopped before everything had finished: raise `server.drain_timeout`"
        );
    }
    in_time
}

/// Accepts connections and never returns. When the crowd is full, the next connection waits here until one that rests
/// is closed for it or one that is active rests. Further callers wait in the kernel's queue.
async fn accept(
    (listeners, lanes): (Listeners, &Lanes),
    stack: Stack<Incoming>,
    terms: Terms,
    crowd: &Arc<Crowd>,
    connections: &TaskTracker,
    stops: &Stops,
) {
    let mut turn = 0;
    loop {
        let Some((stream, origin)) = next_stream(&listeners, &mut turn).await else { continue };
        let seated = crowd.enter().await;
        let stops = stops.clone();
        let (stack, terms) = (stack.clone(), terms.clone());
        lanes.serve(connections, stream, move |stream| async move {
            connection::serve((stream, origin), stack, terms, seated.phase(), &stops).await;
            drop(seated);
        });
    }
}

async fn next_stream(listeners: &Listeners, turn: &mut usize) -> Option<(Socket, Origin)> {
    match listeners.accept(turn).await {
        Ok(accepted) => Some(accepted),
        // The caller's fault, which needs no pause.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
            ) =>
        {
            None
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
