//! The listeners: connections with caps and timers, a drain that loses nothing, and the
//! operators' own port.

mod admin;
mod connection;
mod phase;
mod settings;

use std::{future::Future, sync::Arc, time::Duration};

pub use admin::{Readiness, serve_admin};
use hyper::body::Incoming;
pub use settings::{Settings, TlsSettings};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::stack::Stack;

/// After a failed accept, most likely for want of file descriptors, the wait before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many bytes the head of a request may have: an 8 KiB token, an 8 KiB target, and room.
const MAX_HEAD: usize = 32 * 1024;

/// Serves until `shutdown` resolves, then drains: not ready, wait, stop accepting, let what runs
/// finish, writes too. Returns whether everything finished in time.
pub async fn serve(
    listener: TcpListener,
    stack: Stack<Incoming>,
    settings: &Settings,
    readiness: &Readiness,
    writes: &TaskTracker,
    shutdown: impl Future<Output = ()>,
) -> bool {
    let draining = CancellationToken::new();
    let connections = TaskTracker::new();
    {
        // The listener is closed with the future that owns it, at the end of this block.
        let accepting = accept(listener, stack, settings, &connections, &draining);
        tokio::pin!(accepting, shutdown);
        tokio::select! {
            () = &mut accepting => {}
            () = &mut shutdown => {
                readiness.drain();
                tracing::info!(drain_delay_ms = settings.drain_delay.as_millis(), "draining");
                // Load balancers must see that we are not ready before we stop (threats, row 24).
                let _ = tokio::time::timeout(settings.drain_delay, &mut accepting).await;
            }
        }
    }
    draining.cancel();
    connections.close();
    writes.close();
    let finished = async {
        connections.wait().await;
        writes.wait().await;
    };
    let in_time = tokio::time::timeout(settings.drain_timeout, finished).await.is_ok();
    if !in_time {
        tracing::warn!(
            connections = connections.len(),
            writes = writes.len(),
            "stopped before everything had finished: raise `server.drain_timeout`"
        );
    }
    in_time
}

async fn accept(
    listener: TcpListener,
    stack: Stack<Incoming>,
    settings: &Settings,
    connections: &TaskTracker,
    draining: &CancellationToken,
) {
    let timers = connection::Timers::from(settings);
    let most = settings.max_connections.min(Semaphore::MAX_PERMITS);
    let room = Arc::new(Semaphore::new(most));
    loop {
        // No room, no accept: further callers wait in the kernel's queue, which costs nothing.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection =
            connection::serve(stream, stack.clone(), timers, draining.clone().cancelled_owned());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
}
