//! The gateway's own pages: `/problems/{slug}`, `/openapi.json` and `/docs`.

use serde_json::json;

use super::super::{
    describe::{Description, JSON, Tag, path, reference},
    request::RequestParts,
    route::PublicPage,
};
use crate::error::{Error, Problem};

/// The problem of a page that does not exist.
pub(super) const PROBLEM: &[&[Problem]] = &[&[Problem::NotFound]];

/// `GET /problems/{slug}`
pub(super) fn problem(request: &RequestParts<'_>) -> Result<PublicPage, Error> {
    request.bare()?;
    let problem = Problem::from_slug(request.parameter(0));
    let absent = || Error::new(Problem::NotFound, "there is no problem with this name");
    problem.map(PublicPage::Problem).ok_or_else(absent)
}

/// `GET /openapi.json`
pub(super) fn open_api(request: &RequestParts<'_>) -> Result<PublicPage, Error> {
    request.bare().map(|()| PublicPage::OpenApi)
}

/// `GET /docs`
pub(super) fn docs(request: &RequestParts<'_>) -> Result<PublicPage, Error> {
    request.bare().map(|()| PublicPage::Docs)
}

/// `GET /docs/style.css`
pub(super) fn stylesheet(request: &RequestParts<'_>) -> Result<PublicPage, Error> {
    request.bare().map(|()| PublicPage::Stylesheet)
}

pub(super) fn describe_problem() -> Description {
    let problem = Problem::PolicyDenied;
    Description {
        id: "explainProblem",
        tag: Tag::Gateway,
        summary: "Explain a problem",
        text: "The page that a problem's `type` leads to: what the problem means, and what to do.",
        parameters: vec![path(
            "slug",
            "The last segment of a problem's `type`",
            &reference("ProblemSlug"),
            problem.slug(),
        )],
        body: None,
        success: "The explanation",
        answer: (JSON, reference("Explanation")),
        headers: &[],
        example: Some(json!({
            "type": format!("/problems/{}", problem.slug()), "title": problem.title(),
            "status": problem.status(), "code": problem.code(),
            "explanation": problem.explanation(),
        })),
        links: json!({}),
        curl: "{gateway}/problems/policy-denied",
    }
}

pub(super) fn describe_open_api() -> Description {
    Description {
        id: "openApi",
        tag: Tag::Gateway,
        summary: "This interface, for programs",
        text: "An OpenAPI 3.1 document.",
        parameters: vec![],
        body: None,
        success: "The document",
        answer: (JSON, json!({ "type": "object", "required": ["openapi", "info", "paths"] })),
        headers: &[],
        example: None,
        links: json!({}),
        curl: "{gateway}/openapi.json",
    }
}

pub(super) fn describe_docs() -> Description {
    Description {
        id: "docs",
        tag: Tag::Gateway,
        summary: "This interface, for people",
        text: "A page that works without JavaScript and without internet.",
        parameters: vec![],
        body: None,
        success: "The page",
        answer: ("text/html; charset=utf-8", json!({ "type": "string" })),
        headers: &[],
        example: None,
        links: json!({}),
        curl: "{gateway}/docs",
    }
}

pub(super) fn describe_stylesheet() -> Description {
    Description {
        id: "docsStylesheet",
        tag: Tag::Gateway,
        summary: "The style of the page for people",
        text: "The style sheet of `/docs`.",
        parameters: vec![],
        body: None,
        success: "The style sheet",
        answer: ("text/css; charset=utf-8", json!({ "type": "string" })),
        headers: &[],
        example: None,
        links: json!({}),
        curl: "{gateway}/docs/style.css",
    }
}
