//! The layer that turns errors and panics into problem documents.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
};

use http::{HeaderName, HeaderValue, Request, Version, header};
use tower::{Service, ServiceExt};

use super::request_state::RequestState;
use crate::{
    api::{Answer, RequestId, problem},
    error::{Error, Problem, caught},
    metrics::Metrics,
};

/// The paths at which the gateway takes calls in ZEC's own form.
const ZECS_PATHS: &str = "/api/v2/";

/// The header in which ZEC's clients name themselves, and the start of the name of its Terraform provider.
const CLIENT: HeaderName = HeaderName::from_static("x-zc-request-client");
const TERRAFORM: &[u8] = b"Terraform";

/// Turns every error and panic inside into a problem document for the caller, and counts it. A bug costs one request,
/// not the other requests of the connection.
pub(super) async fn errors_to_problems<B, S>(
    metrics: Arc<Metrics>,
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, Infallible>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    let version = request.version();
    // ZEC's SDKs expect ZEC's form of an id, whichever layer refuses.
    let in_zecs_form = request.uri().path().starts_with(ZECS_PATHS);
    let client = request.headers().get(CLIENT).filter(|_| in_zecs_form);
    let terraform = client.is_some_and(|client| client.as_bytes().starts_with(TERRAFORM));
    let found = RequestState::of(&mut request).ok();
    let known = found.map(|found| (Arc::clone(&found.record), found.id.clone()));
    let error = match catch_panic(pin!(async { next.ready().await?.call(request).await })).await {
        Ok(answer) => return Ok(answer),
        Err(error) if terraform => for_terraform(error),
        Err(error) => error,
    };
    metrics.rejected(error.problem());
    if let Some((record, _)) = &known {
        record.note(|facts| {
            facts.problem = Some((error.problem().slug(), error.cause().map(str::to_owned)));
            if let Some(id) = error.zec_request_id() {
                facts.zec_request_id = Some(id.to_owned());
            }
        });
    }
    let none = RequestId(HeaderValue::from_static("none"));
    let id = known.as_ref().map_or(&none, |(_, id)| id);
    let mut answer =
        if in_zecs_form { problem(&error, &id.in_zecs_form()) } else { problem(&error, id) };
    // HTTP/2 has no such header, and its streams cannot be confused with one another.
    if error.ends_connection() && version < Version::HTTP_2 {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

/// Terraform gives up after 429, but repeats a call after 503 with the code of an overload. Both mean that nothing was done.
fn for_terraform(error: Error) -> Error {
    if error.problem() != Problem::RateLimited {
        return error;
    }
    error.with_status(Problem::Overloaded.status()).with_code(Problem::Overloaded.code())
}

/// A panic's text may hold anything, so it appears only in the panic hook's own log line.
async fn catch_panic<T>(
    inner: Pin<&mut impl Future<Output = Result<T, Error>>>,
) -> Result<T, Error> {
    caught(inner).await.unwrap_or_else(|| Err(panicked()))
}

fn panicked() -> Error {
    Error::new(
        Problem::Internal,
        "a fault in the gateway: tell its operators the `requestId`; after a write, check the vNIC \
         before you repeat it",
    )
    .with_cause("a handler panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_internal_error() {
        let broken = async {
            tokio::task::yield_now().await;
            panic!("secret");
            #[expect(unreachable_code, reason = "gives the block its type")]
            Ok(())
        };
        let error = catch_panic(pin!(broken)).await.unwrap_err();
        assert_eq!(error.problem(), Problem::Internal);
        assert!(!error.detail().contains("secret"));
    }
}
