//! Serves an issuer's key set over HTTP, for development and tests.

use std::{convert::Infallible, future::Future, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// The path of the key set.
const PATH: &str = "/jwks.json";

/// Serves a key set at `/jwks.json` until `shutdown` resolves.
pub async fn serve_key_set(
    listener: TcpListener,
    key_set: impl Fn() -> String + Send + Sync + 'static,
    shutdown: impl Future<Output = ()> + Send,
) {
    let key_set = Arc::new(key_set);
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
            () = &mut shutdown => return,
        };
        let key_set = Arc::clone(&key_set);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(&request, || key_set());
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(request: &Request<Incoming>, key_set: impl Fn() -> String) -> Response<Full<Bytes>> {
    let found = request.uri().path() == PATH;
    let body = if found { key_set() } else { String::new() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = if found { StatusCode::OK } else { StatusCode::NOT_FOUND };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/jwk-set+json"));
    response
}
