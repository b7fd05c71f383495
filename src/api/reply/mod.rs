//! The form of answers: JSON, and problem documents (RFC 9457) that ZEC's SDKs can read too.

mod change;
mod operation;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

pub(super) use change::{changed, rehearsed};
pub(super) use operation::{operation, operations};

use super::answer_body::AnswerBody;
use crate::error::{Error, Problem};

/// An answer from the gateway.
pub type Answer = Response<AnswerBody>;

/// The header on an answer that repeats the answer to an earlier request with the same `Idempotency-Key`.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest request id from a caller that the gateway keeps, in characters.
const MAX_CHARS: usize = 64;

/// The request's id in the gateway.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Whether a caller's request id can be kept: 1 to 64 characters of a small set.
    #[must_use]
    pub fn is_harmless(id: &[u8]) -> bool {
        let harmless = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (1..=MAX_CHARS).contains(&id.len()) && id.iter().all(harmless)
    }
}

/// A success with a JSON body. The line feed at its end is for readers on a terminal.
pub(super) fn ok(body: impl Into<String>) -> Answer {
    let mut answer = Response::new(line(body.into()));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Marks an answer as the repeated answer to an earlier request.
pub(super) fn replayed(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}

/// A success with a constant body.
pub(super) fn page(kind: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(bytes.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// The problem document of an error, with its headers.
#[must_use]
pub fn problem(error: &Error, request_id: &RequestId) -> Answer {
    let mut answer = Response::new(line(document(error, request_id).to_string()));
    *answer.status_mut() =
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = error.allow().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    if error.is_replayed() {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(challenge) = challenge(error) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

fn line(mut text: String) -> AnswerBody {
    text.push('\n');
    text.into()
}

fn document(error: &Error, request_id: &RequestId) -> Value {
    let own = request_id.as_str();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("type", json!(format!("/problems/{}", error.problem().slug())));
    put("title", json!(error.problem().title()));
    put("status", json!(error.status()));
    put("detail", json!(error.detail()));
    // The three members that ZEC's SDKs require of every error.
    put("code", json!(error.code()));
    put("message", json!(error.detail()));
    put("requestId", json!(error.zec_request_id().unwrap_or(own)));
    if let Some(id) = error.zec_request_id() {
        put("zecRequestId", json!(id));
    }
    for (name, value) in error.members() {
        put(name, value.clone());
    }
    Value::Object(members)
}

/// `WWW-Authenticate` (RFC 6750, section 3): without an error code if the request had no token.
fn challenge(error: &Error) -> Option<HeaderValue> {
    const REALM: &str = r#"Bearer realm="zec-gateway""#;
    let text = match error.problem() {
        Problem::MissingToken => REALM.to_owned(),
        Problem::InvalidToken => {
            let allowed = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
            let description: String = error.detail().chars().filter(allowed).collect();
            format!(r#"{REALM}, error="invalid_token", error_description="{description}""#)
        }
        _ => return None,
    };
    HeaderValue::from_str(&text).ok()
}
