//! The layer that answers CORS preflight requests and adds CORS headers.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use tower::{Layer, Service, ServiceExt, util::MapRequest};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::request_id::X_REQUEST_ID;
use crate::api::{self, Answer};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long a browser may cache the answer to a preflight request.
const MAX_AGE: Duration = Duration::from_mins(10);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Marks an `OPTIONS` request that is no preflight request, while it passes a layer that treats every `OPTIONS` as one.
#[derive(Clone, Copy)]
struct PlainOptions;

/// Lets the layer answer preflight requests and set its headers on every other answer. A preflight request (Fetch, 4.8)
/// has `Origin` and `Access-Control-Request-Method`; any other `OPTIONS` is an ordinary request.
pub(super) async fn cors<B, S>(
    layer: CorsLayer,
    mut request: Request<B>,
    next: S,
) -> Result<S::Response, S::Error>
where
    S: Service<Request<B>, Response = Answer>,
{
    if request.method() == Method::OPTIONS && !asks_for_leave(request.headers()) {
        *request.method_mut() = Method::GET;
        request.extensions_mut().insert(PlainOptions);
    }
    let next = MapRequest::new(next, |mut request: Request<B>| {
        if request.extensions_mut().remove::<PlainOptions>().is_some() {
            *request.method_mut() = Method::OPTIONS;
        }
        request
    });
    layer.layer(next).oneshot(request).await
}

fn asks_for_leave(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Allows the pages of exactly these origins to call; `None` without any origin.
pub(super) fn layer(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.iter().cloned()))
            .allow_methods(api::methods())
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                IDEMPOTENCY_KEY,
                X_REQUEST_ID,
                TRACEPARENT,
                TRACESTATE,
            ])
            .expose_headers([
                X_REQUEST_ID,
                header::RETRY_AFTER,
                IDEMPOTENCY_REPLAYED,
                header::WWW_AUTHENTICATE,
            ])
            .vary([header::ORIGIN])
            .max_age(MAX_AGE),
    )
}
