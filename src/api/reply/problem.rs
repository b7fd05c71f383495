//! The problem document (RFC 9457) of an error, and the page that explains a problem.

use std::borrow::Cow;

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{Answer, REPLAYED, RequestId, line};
use crate::{
    domain::{Denied, Reason},
    error::{Conflict, Error, Extra, Problem},
};

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

fn document(error: &Error, request_id: &RequestId) -> Value {
    let own = request_id.as_str();
    // Users of ZEC's SDKs see the message alone, so it has the id that the member has.
    let detail = match error.extra() {
        Some(Extra::Operation(id)) => {
            Cow::Owned(error.detail().replace("{operationId}", &id.to_string()))
        }
        _ => Cow::Borrowed(error.detail()),
    };
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("type", json!(format!("/problems/{}", error.problem().slug())));
    put("title", json!(error.problem().title()));
    put("status", json!(error.status()));
    put("detail", json!(detail));
    // The three members that ZEC's SDKs require of every error.
    put("code", json!(error.code()));
    put("message", json!(detail));
    put("requestId", json!(error.zec_request_id().unwrap_or(own)));
    if let Some(id) = error.zec_request_id() {
        put("zecRequestId", json!(id));
    }
    match error.extra() {
        Some(Extra::Denied { denied, caller }) => {
            put("denied", denied.iter().map(entry).collect());
            put("caller", super::caller(caller));
        }
        Some(Extra::Tag(tag)) => put("tag", json!(tag)),
        Some(Extra::Conflicts(conflicts)) => {
            put("addresses", conflicts.iter().map(conflict).collect());
        }
        Some(Extra::Operation(id)) => put("operationId", json!(id.to_string())),
        None => {}
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

/// An entry of `denied`.
fn entry(denied: &Denied) -> Value {
    let mut entry = Map::new();
    match (denied.address, denied.resource.nic_id()) {
        (Some(address), _) => entry.insert("address".to_owned(), json!(address)),
        (None, Some(nic)) => entry.insert("nicId".to_owned(), json!(nic)),
        (None, None) => entry.insert("resource".to_owned(), json!(denied.resource.to_string())),
    };
    entry.insert("policies".to_owned(), reasons(&denied.policies));
    if !denied.failed.is_empty() {
        entry.insert("failedPolicies".to_owned(), reasons(&denied.failed));
    }
    Value::Object(entry)
}

fn reasons(reasons: &[Reason]) -> Value {
    reasons
        .iter()
        .map(|Reason { id, reason }| match reason {
            Some(reason) => json!({ "id": id, "reason": reason }),
            None => json!({ "id": id }),
        })
        .collect()
}

/// An entry of `addresses`.
fn conflict(conflict: &Conflict) -> Value {
    let Conflict { address, code, reason } = conflict;
    json!({ "address": address, "code": code, "reason": reason })
}

/// The page of a problem, which the problem's `type` links to.
pub(in crate::api) fn explanation(problem: Problem) -> Value {
    json!({
        "type": format!("/problems/{}", problem.slug()),
        "title": problem.title(),
        "status": problem.status(),
        "code": problem.code(),
        "explanation": problem.explanation(),
    })
}
