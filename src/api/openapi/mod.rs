//! The `OpenAPI` 3.1 document, built from the route table and the closed list of problems. The matches over both are
//! exhaustive, so a new route or problem cannot be forgotten here.

mod operations;
mod problems;
mod schemas;

use serde_json::{Map, Value, json};

use super::routes::{self, Access, Endpoint};

pub(super) use operations::{Described, describe};
pub(super) use problems::of as problems_of;

const ABOUT: &str = "A policy gateway in front of Zenlayer Elastic Compute (ZEC). Every answer \
carries `X-Request-Id`. Every error is a problem document (RFC 9457) that ZEC's SDKs can read too. \
The answer to a method that a path does not have is 405 `method-not-allowed` with `Allow`; the \
answer to an unknown path is 404 `not-found`. Unknown or repeated query keys and unknown fields \
are 400: the gateway never ignores any. It reads queries literally, without percent decoding. The \
answer to headers over the limit is 431 without a problem document.";

/// The whole document; `max_addresses` is the most that one request may name.
pub(super) fn document(max_addresses: usize) -> Value {
    let mut paths = Map::new();
    for (route, method, endpoint) in routes::all() {
        let operation = operation(&describe(endpoint), endpoint);
        let path = paths.entry(route).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "zec-gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "addresses", "description": "The private IPv4 addresses of a vNIC" },
            { "name": "record", "description": "Outcomes of writes" },
            { "name": "self", "description": "Who you are, and what the gateway is" },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas::all(max_addresses),
            "headers": schemas::headers(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of your company's identity provider, in exactly one `Authorization` header",
                },
            },
        },
        "security": [{ "token": [] }],
    })
}

fn operation(described: &Described, endpoint: Endpoint) -> Value {
    let mut operation = Map::new();
    let mut put = |name: &str, value: Value| operation.insert(name.to_owned(), value);
    put("operationId", json!(described.id));
    put("tags", json!([described.tag]));
    put("summary", json!(described.summary));
    put("description", json!(described.text));
    if routes::access(endpoint) == Access::Public {
        put("security", json!([]));
    }
    put("parameters", json!(described.parameters));
    if let Some(body) = &described.body {
        put("requestBody", body.clone());
    }
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success(described, endpoint));
    responses.extend(problems::responses(endpoint));
    put("responses", Value::Object(responses));
    Value::Object(operation)
}

fn success(described: &Described, endpoint: Endpoint) -> Value {
    let mut headers = json!({ "X-Request-Id": schemas::header("X-Request-Id") });
    if problems::is_write(endpoint)
        && let Some(headers) = headers.as_object_mut()
    {
        headers.insert("Idempotency-Replayed".into(), schemas::header("Idempotency-Replayed"));
    }
    let (kind, schema) = &described.answer;
    let mut content = json!({ "schema": schema });
    if let (Some(example), Some(content)) = (&described.example, content.as_object_mut()) {
        content.insert("example".to_owned(), example.clone());
    }
    let mut success = json!({
        "description": described.success, "headers": headers, "content": { *kind: content },
    });
    if let (Some(links), Some(success)) = (links(endpoint), success.as_object_mut()) {
        success.insert("links".to_owned(), links);
    }
    success
}

/// The requests that can follow an answer.
fn links(endpoint: Endpoint) -> Option<Value> {
    let link = |operation: &str, parameter: &str, pointer: &str| {
        json!({
            "operationId": operation,
            "parameters": { parameter: format!("$response.body#{pointer}") },
        })
    };
    match endpoint {
        Endpoint::Unassign | Endpoint::UnassignOne | Endpoint::Assign => Some(json!({
            "operation": link("readOperation", "operationId", "/operationId"),
            "nic": link("readNic", "nicId", "/nicId"),
        })),
        Endpoint::ListOperations => Some(json!({
            "newest": link("readOperation", "operationId", "/operations/0/operationId"),
            "nextPage": link("listOperations", "before", "/next"),
        })),
        Endpoint::ReadNic
        | Endpoint::ReadOperation
        | Endpoint::WhoAmI
        | Endpoint::Problem
        | Endpoint::OpenApi
        | Endpoint::Docs
        | Endpoint::Stylesheet => None,
    }
}

#[cfg(test)]
mod tests;
