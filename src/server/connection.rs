//! Serves one connection: TLS handshake, protocol, timers and its end.

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

/// What holds for every connection of a listener.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) timers: Timers,
    /// None: plain HTTP/1.1.
    pub(super) tls: Option<Arc<Tls>>,
    /// How long a TLS handshake may take.
    pub(super) handshake: Duration,
    /// The answers to strangers that wait to be taken over HTTP/2.
    pub(super) strangers: AtOnce,
    /// Who says for whom they ask.
    pub(super) proxies: TrustedProxies,
}

/// Serves one connection until it ends, its time is up, or the drain finds it between requests.
/// What is spoken is agreed upon in the TLS handshake and never guessed from bytes; without TLS it
/// is HTTP/1.1.
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
            // Nothing was asked for yet, and a proxy tries another gateway.
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
        // Larger than what serves a plain connection, which must not make room for it.
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
