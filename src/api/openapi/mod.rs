//! The `OpenAPI` 3.1 document, built from the route table and the closed list of problems.

mod problems;
mod schemas;

use serde_json::{Map, Value, json};

use super::{
    describe::{Description, Tag, header},
    route::{Access, Route},
    routes,
};

const ABOUT: &str = "A policy gateway in front of Zenlayer Elastic Compute (ZEC). Every answer \
carries `X-Request-Id`. Every error is a problem document (RFC 9457) that ZEC's SDKs can read too. \
The answer to a method that a path does not have is 405 `method-not-allowed` with `Allow`; the \
answer to an unknown path is 404 `not-found`. Unknown or repeated query keys and unknown fields \
are 400: the gateway never ignores any. It reads queries literally, without percent decoding. The \
answer to headers over the limit is 431 without a problem document.";

/// The whole document; `max_addresses` is the most that one request may name.
pub(super) fn document(max_addresses: usize) -> Value {
    let mut paths = Map::new();
    for route in routes::all() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation(route));
        }
    }
    let tag = |tag: Tag| json!({ "name": tag.name(), "description": tag.title() });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "zec-gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": Tag::ALL.map(tag),
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
                "accessKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "A signature of the request with an access key of the gateway's own, as ZEC's clients sign: `ZC2-HMAC-SHA256 ...`",
                },
            },
        },
        "security": [{ "token": [] }],
    })
}

fn operation(route: &Route) -> Value {
    let described = (route.describe)();
    let mut operation = Map::new();
    let mut put = |name: &str, value: Value| operation.insert(name.to_owned(), value);
    put("operationId", json!(described.id));
    put("tags", json!([described.tag.name()]));
    put("summary", json!(described.summary));
    put("description", json!(described.text));
    if route.access() == Access::Public {
        put("security", json!([]));
    }
    if route.takes_access_keys() {
        put("security", json!([{ "token": [] }, { "accessKey": [] }]));
    }
    put("parameters", json!(described.parameters));
    if let Some(body) = &described.body {
        put("requestBody", body.clone());
    }
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success(&described));
    responses.extend(problems::responses(route));
    put("responses", Value::Object(responses));
    Value::Object(operation)
}

fn success(described: &Description) -> Value {
    let named = |name: &&str| ((*name).to_owned(), header(name));
    let headers: Map<String, Value> =
        ["X-Request-Id"].iter().chain(described.headers).map(named).collect();
    let (kind, schema) = &described.answer;
    let mut content = json!({ "schema": schema });
    if let (Some(example), Some(content)) = (&described.example, content.as_object_mut()) {
        content.insert("example".to_owned(), example.clone());
    }
    let mut success = json!({
        "description": described.success, "headers": headers, "content": { *kind: content },
    });
    let links = described.links.as_object().filter(|links| !links.is_empty());
    if let (Some(links), Some(success)) = (links, success.as_object_mut()) {
        success.insert("links".to_owned(), json!(links));
    }
    success
}

#[cfg(test)]
mod tests;
