//! The problems that each endpoint can answer with, and their responses in the document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    super::routes::{Access, Endpoint, access},
    schemas,
};
use crate::error::Problem;

/// Whether the endpoint changes a vNIC.
pub(super) const fn is_write(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Unassign | Endpoint::UnassignOne | Endpoint::Assign)
}

/// Whether a request to this endpoint can end with this problem.
fn can_end(endpoint: Endpoint, problem: Problem) -> bool {
    let write = is_write(endpoint);
    let zec = write || endpoint == Endpoint::ReadNic;
    let record = matches!(endpoint, Endpoint::ReadOperation | Endpoint::ListOperations);
    match problem {
        Problem::InvalidRequest
        | Problem::LengthRequired
        | Problem::UriTooLong
        | Problem::Overloaded
        | Problem::Draining
        | Problem::Internal => true,
        Problem::MissingToken
        | Problem::InvalidToken
        | Problem::RateLimited
        | Problem::IdentityProviderUnavailable => access(endpoint) == Access::Caller,
        Problem::NotFound => record || endpoint == Endpoint::Problem,
        // This one is for other methods than the described one.
        Problem::MethodNotAllowed => false,
        Problem::BodyTooLarge | Problem::UnsupportedMediaType => endpoint.takes_body(),
        Problem::PolicyDenied
        | Problem::ZecRejected
        | Problem::ZecCredentialsRefused
        | Problem::ZecBadAnswer
        | Problem::ZecTimeout
        | Problem::ZecUnavailable => zec,
        Problem::Protected
        | Problem::StateConflict
        | Problem::IdempotencyInProgress
        | Problem::OperationInProgress
        | Problem::IdempotencyKeyReused
        | Problem::OutcomeUnknown
        | Problem::Frozen => write,
        Problem::BudgetExceeded => write && endpoint != Endpoint::Assign,
        Problem::JournalUnavailable => write || record,
    }
}

/// Every problem that a request to this endpoint can end with.
pub(in crate::api) fn of(endpoint: Endpoint) -> impl Iterator<Item = Problem> {
    Problem::ALL.into_iter().filter(move |problem| can_end(endpoint, *problem))
}

/// The same as responses, by status. ZEC may refuse with any 4xx of its own, and the answer keeps that status.
pub(super) fn responses(endpoint: Endpoint) -> Map<String, Value> {
    let mut by_status: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    for problem in of(endpoint) {
        let status = match problem {
            Problem::ZecRejected => "4XX".to_owned(),
            other => other.status().to_string(),
        };
        by_status.entry(status).or_default().push(problem);
    }
    by_status.into_iter().map(|(status, problems)| (status, response(&problems))).collect()
}

fn response(problems: &[Problem]) -> Value {
    let mut headers = json!({ "X-Request-Id": schemas::header("X-Request-Id") });
    let mut examples = Map::new();
    let mut lines = Vec::new();
    for problem in problems {
        let (slug, title) = (problem.slug(), problem.title());
        lines.push(format!("`{slug}`: {title}."));
        examples.insert(slug.to_owned(), json!({ "summary": title, "value": example(*problem) }));
        for name in answer_headers(*problem) {
            if let Some(headers) = headers.as_object_mut() {
                headers.insert((*name).to_owned(), schemas::header(name));
            }
        }
    }
    json!({
        "description": lines.join(" "),
        "headers": headers,
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": examples,
        } },
    })
}

fn answer_headers(problem: Problem) -> &'static [&'static str] {
    match problem.status() {
        401 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        _ if problem == Problem::IdempotencyInProgress
            || problem == Problem::OperationInProgress =>
        {
            &["Retry-After"]
        }
        _ => &[],
    }
}

fn example(problem: Problem) -> Value {
    json!({
        "type": format!("/problems/{}", problem.slug()),
        "title": problem.title(),
        "status": problem.status(),
        "detail": problem.explanation(),
        "code": problem.code(),
        "message": problem.explanation(),
        "requestId": schemas::REQUEST_ID,
    })
}
