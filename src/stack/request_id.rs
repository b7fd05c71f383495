use http::{HeaderName, HeaderValue, Request};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::api::{Answer, RequestId};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Keeps the caller's one `X-Request-Id` where it is harmless, makes a UUID (version 7) otherwise, and
/// puts it on the answer.
pub(super) async fn keep_or_make<B, S>(mut request: Request<B>, next: S) -> Result<Answer, S::Error>
where
    S: Service<Request<B>, Response = Answer>,
{
    let mut sent = request.headers().get_all(X_REQUEST_ID).iter();
    let id = match (sent.next(), sent.next()) {
        (Some(value), None) if RequestId::is_harmless(value.as_bytes()) => value.clone(),
        _ => HeaderValue::from_str(&Uuid::now_v7().to_string())
            .unwrap_or(HeaderValue::from_static("none")),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut answer = next.oneshot(request).await?;
    answer.headers_mut().insert(X_REQUEST_ID, id);
    Ok(answer)
}
