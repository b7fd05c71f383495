//! The responses of the document for the problems that a route can end with.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{
    describe::{REQUEST_ID, header},
    route::Route,
};
use crate::error::Problem;

/// The problems of a route as responses, by status. ZEC may refuse with any 4xx of its own, and the answer keeps that
/// status.
pub(super) fn responses(route: &Route) -> Map<String, Value> {
    let mut by_status: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    for problem in route.problems() {
        let status = match problem {
            Problem::ZecRejected => "4XX".to_owned(),
            other => other.status().to_string(),
        };
        by_status.entry(status).or_default().push(problem);
    }
    by_status.into_iter().map(|(status, problems)| (status, response(&problems))).collect()
}

fn response(problems: &[Problem]) -> Value {
    let mut headers = json!({ "X-Request-Id": header("X-Request-Id") });
    let mut examples = Map::new();
    let mut lines = Vec::new();
    for problem in problems {
        let (slug, title) = (problem.slug(), problem.title());
        lines.push(format!("`{slug}`: {title}."));
        examples.insert(slug.to_owned(), json!({ "summary": title, "value": example(*problem) }));
        for name in answer_headers(*problem) {
            if let Some(headers) = headers.as_object_mut() {
                headers.insert((*name).to_owned(), header(name));
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
        "requestId": REQUEST_ID,
    })
}
