//! ZEC's answers, and what they mean.

use http::{HeaderMap, StatusCode};

use crate::{
    domain::{
        json::{self, Node},
        text::plain,
    },
    metrics::ZecResult,
};

/// The largest answer that is read, in bytes.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;

/// The header that marks an answer of Cloudflare, which is in front of ZEC. Most often its body is a page
/// that only a browser can use.
const CF_MITIGATED: &str = "cf-mitigated";

/// An answer of ZEC that reports success: a part of its `response`, and ZEC's request id.
#[derive(Debug)]
pub(super) struct ZecAnswer<T> {
    /// ZEC's id of the request, for ZEC's support.
    pub(super) request_id: String,
    /// The part of the answer that the action needs.
    pub(super) response: T,
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyNotSent {
    /// There was no connection in time.
    #[error("it took too long")]
    Late,
    /// Any other cause, for the log.
    #[error("{0}")]
    Because(String),
}

/// Why a request to ZEC gave no usable answer. The meaning for the caller differs between reads and writes,
/// so `execute` decides it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing reached ZEC.
    #[error("nothing was sent: {0}")]
    NotSent(WhyNotSent),
    /// ZEC failed too often lately. Nothing was sent, and nothing will be until the wait is over.
    #[error("nothing was sent: ZEC failed too often")]
    Spared {
        /// How long nothing is sent.
        wait: std::time::Duration,
    },
    /// It was sent, or may have been, and no complete answer came.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer cannot be used; for a write the outcome is unknown.
    #[error("unusable answer: {cause}")]
    BadAnswer {
        /// What is wrong with it, for the log.
        cause: String,
        /// ZEC's id of the request, if one could be read.
        request_id: Option<String>,
    },
    /// ZEC says that it is unavailable for now; for a write the outcome is unknown.
    #[error("ZEC says it is unavailable")]
    Unavailable {
        /// ZEC's id of the request.
        request_id: Option<String>,
    },
    /// ZEC throttles the team's key and did nothing.
    #[error("ZEC throttles")]
    Throttled {
        /// ZEC's id of the request.
        request_id: Option<String>,
    },
    /// ZEC refused the gateway's own key and did nothing.
    #[error("ZEC refused the gateway's key: {code}")]
    CredentialsRefused {
        /// One of ZEC's `AUTHFAILURE_*` codes.
        code: String,
        /// ZEC's id of the request.
        request_id: Option<String>,
    },
    /// ZEC refused the request and did nothing.
    #[error("ZEC refused: {status} {code}")]
    Rejected {
        /// ZEC's status, 400 to 499.
        status: u16,
        /// ZEC's code.
        code: String,
        /// ZEC's message, for people.
        message: String,
        /// ZEC's id of the request.
        request_id: Option<String>,
    },
}

impl Failure {
    /// The label under which the metrics count it.
    #[must_use]
    pub const fn outcome(&self) -> ZecResult {
        match self {
            Self::NotSent(_) | Self::Spared { .. } => ZecResult::NotSent,
            Self::Rejected { .. } | Self::Throttled { .. } => ZecResult::Rejected,
            Self::CredentialsRefused { .. } => ZecResult::CredentialsRefused,
            Self::NoAnswer(_) | Self::BadAnswer { .. } | Self::Unavailable { .. } => {
                ZecResult::Unknown
            }
        }
    }

    fn bad(cause: impl Into<String>) -> Self {
        Self::BadAnswer { cause: cause.into(), request_id: None }
    }
}

/// Reads a whole answer. Branches on `code`, never on the status alone (docs/zec-api.md, section 7). The JSON
/// is parsed once: on success, `take` gets the object `response` and the bytes of the whole answer.
///
/// # Errors
/// A [`Failure`] for everything that is not ZEC's documented success.
pub(super) fn read<T>(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    take: impl FnOnce(&Node<'_>, &[u8]) -> T,
) -> Result<ZecAnswer<T>, Failure> {
    if let Some(encoding) = headers.get(http::header::CONTENT_ENCODING) {
        return Err(Failure::bad(format!("status {status}, encoded as {encoding:?}")));
    }
    let value = match json::read(body) {
        Ok(value) => value,
        // A proxy's page: a read may be retried after it, as after ZEC's own 503.
        Err(_) if status == StatusCode::SERVICE_UNAVAILABLE => {
            return Err(Failure::Unavailable { request_id: None });
        }
        Err(_) if let Some(challenge) = headers.get(CF_MITIGATED) => {
            return Err(Failure::bad(format!(
                "status {status}, a page of the firewall in front of ZEC (`cf-mitigated: {}`): it \
                 treats the gateway as a bot; ask Zenlayer to allow this machine's address",
                plain(&String::from_utf8_lossy(challenge.as_bytes()), 40)
            )));
        }
        Err(error) => return Err(Failure::bad(format!("status {status}, not JSON: {error}"))),
    };
    if status != StatusCode::OK {
        return Err(refusal(status, &value));
    }
    let request_id = value.get("requestId").and_then(Node::as_str);
    let request_id = request_id.map(|id| plain(id, 64));
    match (request_id, value.get("response")) {
        (Some(request_id), Some(response @ Node::Object(_))) => {
            Ok(ZecAnswer { request_id, response: take(response, body) })
        }
        (request_id, _) => Err(Failure::BadAnswer {
            cause: "status 200 without a `requestId` and an object `response`".to_owned(),
            request_id,
        }),
    }
}

fn refusal(status: StatusCode, value: &Node<'_>) -> Failure {
    let text = |name, max| value.get(name).and_then(Node::as_str).map(|text| plain(text, max));
    let request_id = text("requestId", 64);
    // The code is checked before it is cut: the rest of another code must not pass for one of ZEC's.
    let whole = value.get("code").and_then(Node::as_str).filter(|code| is_code(code));
    let Some(code) = whole.map(|code| plain(code, 100)) else {
        return Failure::BadAnswer { cause: format!("status {status} without a code"), request_id };
    };
    match code.as_str() {
        "REQUEST_LIMIT_EXCEEDED" => return Failure::Throttled { request_id },
        "SERVICE_TEMPORARY_UNAVAILABLE" => return Failure::Unavailable { request_id },
        // Codes that do not say whether a write happened, whatever their status.
        "REQUEST_TIMED_OUT" | "INVALID_OPERATION_TIMEOUT" | "INTERNAL_SERVER_ERROR" => {
            return Failure::BadAnswer { cause: format!("status {status}, {code}"), request_id };
        }
        _ if code.starts_with("AUTHFAILURE_") => {
            return Failure::CredentialsRefused { code, request_id };
        }
        _ => {}
    }
    match status.as_u16() {
        // Never passed on: the caller would read them as about its token, a proxy or a timeout.
        401 | 407 | 408 | 451 => {
            Failure::BadAnswer { cause: format!("status {status}, {code}"), request_id }
        }
        429 => Failure::Throttled { request_id },
        status @ 400..=499 => {
            let message = text("message", 500).unwrap_or_default();
            Failure::Rejected { status, code, message, request_id }
        }
        _ => Failure::BadAnswer { cause: format!("status {status}, {code}"), request_id },
    }
}

/// ZEC's codes are upper-snake-case; some old ones are words joined by dots.
fn is_code(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firewalls_page_is_named_as_one() {
        let mut headers = HeaderMap::new();
        headers.insert(CF_MITIGATED, "challenge".parse().unwrap());
        let page = b"<!DOCTYPE html><title>Just a moment...</title>";
        let answer = read(StatusCode::FORBIDDEN, &headers, page, |_, _| ());
        let Err(Failure::BadAnswer { cause, .. }) = answer else { panic!("{answer:?}") };
        assert!(cause.contains("firewall in front of ZEC (`cf-mitigated: challenge`)"), "{cause}");
    }

    fn kind(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let take = |response: &Node<'_>, all: &[u8]| {
            assert_eq!(all, body.as_bytes());
            serde_json::Value::from(response.clone())
        };
        match read(status, &HeaderMap::new(), body.as_bytes(), take) {
            Ok(answer) => format!("ok {} {}", answer.request_id, answer.response),
            Err(Failure::Rejected { status, code, .. }) => format!("rejected {status} {code}"),
            Err(Failure::CredentialsRefused { .. }) => "credentials".to_owned(),
            Err(Failure::Throttled { .. }) => "throttled".to_owned(),
            Err(Failure::Unavailable { .. }) => "unavailable".to_owned(),
            Err(Failure::BadAnswer { .. }) => "bad".to_owned(),
            Err(other) => format!("{other:?}"),
        }
    }

    fn refused(code: &str) -> String {
        format!(r#"{{"requestId":"T1","code":"{code}","message":"m"}}"#)
    }

    #[test]
    fn only_200_with_the_envelope_is_success() {
        let envelope = r#"{"requestId":"T1","response":{"requestId":"T1"}}"#;
        assert_eq!(kind(200, envelope), r#"ok T1 {"requestId":"T1"}"#);
        for (status, body) in [
            (201, envelope),
            (302, envelope),
            (200, "{}"),
            (200, r#"{"requestId":"T1","response":null}"#),
            (200, r#"{"requestId":"T1","response":[]}"#),
            (200, r#"{"response":{}}"#),
            (200, r#"{"requestId":1,"response":{}}"#),
            (200, r#"[{"requestId":"T1","response":{}}]"#),
            (200, r#"{"requestId":"T1","requestId":"T2","response":{}}"#),
            (200, r#"{"requestId":"T1","response":{"a":1,"a":2}}"#),
            (400, r#"{"requestId":"T1","code":"A","code":"B","message":"m"}"#),
            (200, r#"{"requestId":"T1","response":{}} x"#),
            (200, "<html>"),
            (200, ""),
        ] {
            assert_eq!(kind(status, body), "bad", "{status} {body}");
        }
    }

    #[test]
    fn an_encoded_answer_is_none() {
        let encoded = [(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())];
        let envelope = br#"{"requestId":"T1","response":{}}"#;
        let answer = read(StatusCode::OK, &encoded.into_iter().collect(), envelope, |_, _| ());
        assert!(matches!(answer, Err(Failure::BadAnswer { .. })), "{answer:?}");
    }

    #[test]
    fn the_code_decides_before_the_status() {
        for (status, code, meaning) in [
            (404, "INVALID_NIC_NOT_FOUND", "rejected 404 INVALID_NIC_NOT_FOUND"),
            (409, "INVALID_NIC_LB_ASSOCIATED", "rejected 409 INVALID_NIC_LB_ASSOCIATED"),
            (400, "Invalid.Instance.Not.Found", "rejected 400 Invalid.Instance.Not.Found"),
            (401, "AUTHFAILURE_SIGNATURE_EXPIRED", "credentials"),
            (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION", "credentials"),
            (400, "REQUEST_LIMIT_EXCEEDED", "throttled"),
            (429, "SOMETHING", "throttled"),
            (503, "SERVICE_TEMPORARY_UNAVAILABLE", "unavailable"),
            (503, "REQUEST_TIMED_OUT", "bad"),
            (400, "INVALID_OPERATION_TIMEOUT", "bad"),
            (400, "REQUEST_TIMED_OUT", "bad"),
            (400, "INTERNAL_SERVER_ERROR", "bad"),
            (401, "SOMETHING", "bad"),
            (407, "SOMETHING", "bad"),
            (408, "SOMETHING", "bad"),
            (451, "SOMETHING", "bad"),
            (500, "SOMETHING", "bad"),
            (400, "", "bad"),
            (400, "no code\\r\\n", "bad"),
            (400, "REQUEST_LIMIT_\\u0000EXCEEDED", "bad"),
        ] {
            assert_eq!(kind(status, &refused(code)), meaning, "{status} {code}");
        }
        assert_eq!(kind(403, "<html>cf-mitigated</html>"), "bad");
        assert_eq!(kind(400, r#"{"message":"m"}"#), "bad");
    }

    #[test]
    fn what_is_shown_of_zec_is_bounded_and_without_control_characters() {
        let body = format!(r#"{{"requestId":"T","code":"A","message":"a\n{}"}}"#, "b".repeat(999));
        let Failure::Rejected { message, .. } =
            read(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes(), |_, _| ())
                .unwrap_err()
        else {
            panic!("not a refusal")
        };
        assert_eq!(message.len(), 500);
        assert!(message.starts_with("ab"));
    }
}
