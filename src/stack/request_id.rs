//! Keeps a caller's `X-Request-Id`, or makes one.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::api::RequestId;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's `X-Request-Id` if there is exactly one and it is harmless; otherwise a UUID (version 7).
pub(super) fn keep_or_make(headers: &HeaderMap) -> RequestId {
    let mut sent = headers.get_all(X_REQUEST_ID).iter();
    RequestId(match (sent.next(), sent.next()) {
        (Some(value), None) if RequestId::is_harmless(value.as_bytes()) => value.clone(),
        _ => HeaderValue::try_from(fresh().to_string()).unwrap_or(HeaderValue::from_static("none")),
    })
}

/// Makes an id that is unique. It need not be secret, so it does without the system's random numbers, which would cost
/// more than the rest of it.
fn fresh() -> Uuid {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or_default();
    let random = fastrand::u128(..).to_ne_bytes();
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}
