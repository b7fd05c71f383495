//! Serves one connection: TLS handshake, protocol, timers and end.

use std::{sync::Arc, time::Duration};

use hyper::body::Incoming;

use super::{
    Stops, Tls, TrustedProxies, drive::Timers, http1, http2, listener::Socket, phase::Phase,
    proxy_protocol,
};
use crate::{
    domain::{Origin, Peer},
    limit::AtOnce,
    stack::Stack,
};

/// What every connection of a listener has in common.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) timers: Timers,
    /// `None` for plain HTTP/1.1.
    pub(super) tls: Option<Arc<Tls>>,
    /// How long a TLS handshake may take.
    pub(super) handshake: Duration,
    /// Counts the answers to requests without a good token that wait to be read over HTTP/2, over all connections.
    pub(super) strangers: AtOnce,
    /// The proxies whose PROXY header is trusted.
    pub(super) proxies: TrustedProxies,
}

/// Serves one connection until it ends, a timeout expires, or the drain finds it between requests. The TLS handshake
/// selects the protocol, which is never guessed from bytes; without TLS it is HTTP/1.1.
pub(super) async fn serve(
    (mut stream, origin): (Socket, Origin),
    stack: Stack<Incoming>,
    terms: Terms,
    phase: &Phase,
    stops: &Stops,
) {
    stream.set_nodelay();
    let Terms { timers, tls, handshake, strangers, proxies } = terms;
    let peer = if proxies.trust(origin) {
        let header = within(handshake.min(timers.head), proxy_protocol::read(&mut stream, origin));
        let read = tokio::select! {
            biased;
            read = header => read,
            // There was no request yet, and the proxy will try another gateway.
            () = phase.asked_to_end() => return,
            () = stops.begun.cancelled() => return,
        };
        match read {
            Ok(peer) => peer,
            Err(error) => {
                tracing::debug!(%error, proxy.address = %origin, "a trusted proxy's connection is refused");
                return;
            }
        }
    } else {
        Peer::direct(origin)
    };
    phase.came_from(peer);
    match tls {
        None => http1::serve(stream, stack, timers, phase, stops).await,
        // Boxed, because it is larger than the future of a plain connection, which would otherwise have to be as large.
        Some(tls) => {
            let shaken = tokio::select! {
                biased;
                shaken = Box::pin(tls.accept(stream, handshake)) => shaken,
                () = phase.asked_to_end() => None,
            };
            let Some((stream, h2)) = shaken else { return };
            let stream = Box::new(stream);
            if h2 {
                Box::pin(http2::serve(stream, stack, timers, (phase, strangers), stops)).await;
            } else {
                Box::pin(http1::serve(stream, stack, timers, phase, stops)).await;
            }
        }
    }
}

async fn within<T>(
    time: Duration,
    read: impl Future<Output = std::io::Result<T>>,
) -> std::io::Result<T> {
    tokio::time::timeout(time, read)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}
