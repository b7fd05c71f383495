//! The form of answers: JSON, and problem documents (RFC 9457) that ZEC's SDKs can read too.

mod caller;
mod change;
mod found;
mod operation;
mod problem;
mod zec;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};

pub(super) use caller::caller;
pub(super) use change::{changed, nothing_to_do, rehearsed};
pub(super) use found::found;
pub(super) use operation::{operation, operations};
pub(super) use problem::explanation;
pub use problem::problem;
pub(super) use zec::{call_rehearsed, with_operation, zec_change};

use super::answer_body::AnswerBody;
use crate::execute::ZecBody;

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

    /// The id as ZEC would write it.
    #[must_use]
    pub fn in_zecs_form(&self) -> Self {
        let id = zec::zec_request_id(self.as_str());
        Self(HeaderValue::try_from(id).unwrap_or_else(|_| self.0.clone()))
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

/// A success with a JSON body of ZEC's, unchanged.
pub(super) fn bytes(body: Bytes) -> Answer {
    let mut answer = Response::new(body.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// ZEC's answer, unchanged.
pub(super) fn zec_body(body: ZecBody) -> Answer {
    match body {
        ZecBody::Whole(body) => bytes(body),
        ZecBody::Long(long) => {
            bytes(Bytes::new()).map(|body| AnswerBody { long: Some(long), ..body })
        }
    }
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

fn line(mut text: String) -> AnswerBody {
    text.push('\n');
    text.into()
}
