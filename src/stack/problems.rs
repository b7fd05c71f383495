use std::{any::Any, convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Service, ServiceExt};

use crate::{
    api::{Answer, RequestId, problem},
    error::{Error, Problem},
    metrics::Metrics,
    telemetry::Record,
};

/// Marks the answer of a handler that panicked; it becomes a problem document further out.
#[derive(Clone, Copy, Debug)]
struct Panicked;

/// Turns whatever went wrong inside into the caller's problem document, and counts it.
pub(super) async fn errors_to_problems<B, S>(
    metrics: Arc<Metrics>,
    request: Request<B>,
    next: S,
) -> Result<Answer, Infallible>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    let record = request.extensions().get::<Arc<Record>>().cloned();
    let id = request.extensions().get::<RequestId>().cloned();
    let error = match next.oneshot(request).await {
        Ok(answer) if answer.extensions().get::<Panicked>().is_none() => return Ok(answer),
        Ok(_) => Error::new(
            Problem::Internal,
            "a fault in the gateway: tell its operators the `requestId`; after a write, look at \
             the vNIC before you repeat it",
        )
        .with_cause("a handler panicked"),
        Err(error) => error,
    };
    metrics.rejected(error.problem());
    if let Some(record) = record {
        record.note(|facts| {
            facts.problem = Some((error.problem().slug(), error.cause().map(str::to_owned)));
            if let Some(id) = error.zec_request_id() {
                facts.zec_request_id = Some(id.to_owned());
            }
        });
    }
    Ok(problem(&error, &id.unwrap_or(RequestId(HeaderValue::from_static("none")))))
}

/// The stand-in answer of a handler that panicked. The panic's text may hold anything, so it
/// goes nowhere but to the panic hook's own log line.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    answer.extensions_mut().insert(Panicked);
    answer
}
