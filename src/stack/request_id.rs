use http::{HeaderName, HeaderValue, Request};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::api::{Answer, RequestId};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a caller's that is kept.
const MAX_CHARS: usize = 64;

/// Keeps the caller's one `X-Request-Id` where it is harmless, makes a UUID (version 7) otherwise, and
/// puts it on the answer.
pub(super) async fn keep_or_make<B, S>(mut request: Request<B>, next: S) -> Result<Answer, S::Error>
where
    S: Service<Request<B>, Response = Answer>,
{
    let mut sent = request.headers().get_all(X_REQUEST_ID).iter();
    let id = match (sent.next(), sent.next()) {
        (Some(value), None) if is_harmless(value) => value.clone(),
        _ => HeaderValue::from_str(&Uuid::now_v7().to_string())
            .unwrap_or(HeaderValue::from_static("none")),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut answer = next.oneshot(request).await?;
    answer.headers_mut().insert(X_REQUEST_ID, id);
    Ok(answer)
}

fn is_harmless(value: &HeaderValue) -> bool {
    let harmless = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_CHARS).contains(&value.len()) && value.as_bytes().iter().all(harmless)
}
