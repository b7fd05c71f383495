use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, Request};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::api::{Answer, RequestId};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Keeps the caller's one `X-Request-Id` where it is harmless, makes a UUID (version 7) otherwise, and
/// puts it on the answer.
pub(super) async fn keep_or_make<B, S>(
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, S::Error>
where
    S: Service<Request<B>, Response = Answer>,
{
    let mut sent = request.headers().get_all(X_REQUEST_ID).iter();
    let id = match (sent.next(), sent.next()) {
        (Some(value), None) if RequestId::is_harmless(value.as_bytes()) => value.clone(),
        _ => HeaderValue::try_from(fresh().to_string()).unwrap_or(HeaderValue::from_static("none")),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut answer = next.ready().await?.call(request).await?;
    answer.headers_mut().insert(X_REQUEST_ID, id);
    Ok(answer)
}

/// An id that nobody else has, and that no secret hangs on: the system's random numbers would cost
/// more than the rest of it.
fn fresh() -> Uuid {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or_default();
    let random = fastrand::u128(..).to_ne_bytes();
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}
