//! The record of writes: `/operations` and what is below it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{
    describe::{
        ADDRESS, Description, JSON, NIC_ID, OPERATION_ID, REQUEST_ID, Tag, ZEC_REQUEST_ID, link,
        path, query, reference,
    },
    query::Query,
    reply::RequestId,
    request::RequestParts,
};
use crate::{
    domain::{NicId, OperationId, Outcome, Resource, text::excerpt},
    error::{Error, Problem},
    execute::Lookup,
    journal::Filter,
};

/// The problems of a lookup.
pub(super) const READ: &[&[Problem]] = &[&[Problem::NotFound, Problem::JournalUnavailable]];

/// The query keys of a list of operations.
const LIST_KEYS: [&str; 6] = ["nic", "resource", "outcome", "requestId", "limit", "before"];

/// The most operations that a list may show, and the default number.
const MAX_LISTED: usize = 100;
pub(super) const LISTED: usize = 20;

/// `GET /operations/{operationId}`
pub(super) fn read(request: &RequestParts<'_>) -> Result<Lookup, Error> {
    request.bare()?;
    Ok(Lookup::One(operation_id(request.parameter(0))?))
}

/// `GET /operations`
pub(super) fn list(request: &RequestParts<'_>) -> Result<Lookup, Error> {
    let query = Query::parse(request.query, &LIST_KEYS)?;
    Ok(Lookup::Several(Filter {
        resource: resource(&query)?,
        outcome: query.one("outcome").map(outcome).transpose()?,
        request_id: query.one("requestId").map(request_id).transpose()?,
        before: query.one("before").map(operation_id).transpose()?,
        ..Filter::newest(query.one("limit").map_or(Ok(LISTED), limit)?)
    }))
}

/// The resource to filter by; `nic=1612…` is short for `resource=nic/1612…`.
fn resource(query: &Query<'_>) -> Result<Option<Resource>, Error> {
    let invalid = |error: &dyn std::fmt::Display| Error::invalid(error.to_string());
    match (query.one("nic"), query.one("resource")) {
        (None, None) => Ok(None),
        (Some(text), None) => {
            let nic = NicId::parse(text).map_err(|error| invalid(&error))?;
            Ok(Some(Resource::nic(&nic)))
        }
        (None, Some(text)) => {
            // Most clients escape the slash, and no other character of a resource needs an escape.
            let text = text.replacen("%2F", "/", 1).replacen("%2f", "/", 1);
            Resource::parse(&text).map(Some).map_err(|error| invalid(&error))
        }
        (Some(_), Some(_)) => {
            Err(Error::invalid("`nic` and `resource` name the same thing: send one of them"))
        }
    }
}

fn operation_id(text: &str) -> Result<OperationId, Error> {
    OperationId::parse(text).map_err(|error| Error::invalid(error.to_string()))
}

fn outcome(text: &str) -> Result<Outcome, Error> {
    Outcome::from_label(text).ok_or_else(|| {
        let all = Outcome::ALL.map(Outcome::label).join("`, `");
        Error::invalid(format!("`outcome` is `{}`: use one of `{all}`", excerpt(text)))
    })
}

fn request_id(text: &str) -> Result<String, Error> {
    // An answer in ZEC's own form shows the id in ZEC's form.
    if let Some(id) = text.strip_prefix('T').and_then(|id| Uuid::try_parse(id).ok()) {
        return Ok(id.to_string());
    }
    if RequestId::is_harmless(text.as_bytes()) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(format!(
        "`requestId` is `{}`, which cannot be a request's id: send the `X-Request-Id` of an answer",
        excerpt(text)
    )))
}

/// A number has only one form: no sign, no leading zero.
pub(super) fn limit(text: &str) -> Result<usize, Error> {
    (1..=MAX_LISTED).find(|limit| limit.to_string() == text).ok_or_else(|| {
        Error::invalid(format!("`limit` is `{}`: use 1 to {MAX_LISTED}", excerpt(text)))
    })
}

/// The query parameter that [`limit`] reads.
pub(super) fn limit_query() -> Value {
    query(
        "limit",
        &format!("How many at most, 1 to {MAX_LISTED}; the default is {LISTED}"),
        &json!({ "type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": LISTED }),
        &Value::Null,
    )
}

pub(super) fn describe_read() -> Description {
    let id =
        path("operationId", "An answer's `operationId`", &reference("OperationId"), OPERATION_ID);
    Description {
        id: "readOperation",
        tag: Tag::Record,
        summary: "Show the outcome of a write",
        text: "You see your own operations, and everyone's if the policy allows you \
               `ReadOperations`. The answer for another caller's operation is 404, as for one that \
               does not exist.",
        parameters: vec![id],
        body: None,
        success: "The operation",
        answer: (JSON, reference("Operation")),
        headers: &[],
        example: Some(example()),
        links: json!({}),
        curl: "{gateway}/operations/01a4b3f2-6f0d-7c41-9d0e-0f2f5d3a9b11",
    }
}

pub(super) fn describe_list() -> Description {
    let none = &Value::Null;
    Description {
        id: "listOperations",
        tag: Tag::Record,
        summary: "List writes and their outcomes, newest first",
        text: "If the answer has `next`, send it as `before` to get the page that follows. There may be \
               more even if this list is short or empty.",
        parameters: vec![
            query("nic", "Only those on this vNIC", &reference("NicId"), &json!(NIC_ID)),
            query(
                "resource",
                "Only those on this resource, as `nic/1612345678901234567`: `nic` is short for that",
                &json!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}/[A-Za-z0-9_-]{1,64}$" }),
                none,
            ),
            query("outcome", "Only those with this outcome", &reference("Outcome"), none),
            query(
                "requestId",
                "Only those of this request: an answer's `X-Request-Id`",
                &reference("RequestId"),
                none,
            ),
            limit_query(),
            query(
                "before",
                "Only those older than this operation, which you must be allowed to see",
                &reference("OperationId"),
                none,
            ),
        ],
        body: None,
        success: "The operations",
        answer: (JSON, reference("Operations")),
        headers: &[],
        example: Some(json!({ "operations": [example()], "next": OPERATION_ID })),
        links: json!({
            "newest": link("readOperation", "operationId", "/operations/0/operationId"),
            "nextPage": link("listOperations", "before", "/next"),
        }),
        curl: "'{gateway}/operations?outcome=unknown&limit=10'",
    }
}

fn example() -> Value {
    json!({
        "operationId": OPERATION_ID, "outcome": "done", "action": "UnassignNetworkInterfaceIpv4",
        "apiVersion": "2025-09-01", "resources": [{ "id": NIC_ID, "type": "nic" }],
        "arguments": { "ipAddresses": [ADDRESS], "nicId": NIC_ID },
        "nicId": NIC_ID, "ipAddresses": [ADDRESS], "caller": "corp/alice",
        "policies": ["netops-lab"], "policyVersion": "5f0c2a9b71de", "before": null,
        "requestId": REQUEST_ID, "zecRequestId": ZEC_REQUEST_ID,
        "code": null, "startedAt": "2026-03-02T09:15:00.125Z", "finishedAt": "2026-03-02T09:15:00.310Z",
    })
}
