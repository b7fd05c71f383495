//! What the `OpenAPI` document and the page say of a route, and the pieces that such a description is made of.

use serde_json::{Value, json};

/// The description of a route beyond the facts of its row.
pub(super) struct Description {
    /// The `operationId`.
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    /// The meaning of an answer with status 200.
    pub(super) success: &'static str,
    /// The content type and schema of that answer.
    pub(super) answer: (&'static str, Value),
    /// The headers that only some of these answers have.
    pub(super) headers: &'static [&'static str],
    pub(super) example: Option<Value>,
    /// The requests that can follow that answer, by name.
    pub(super) links: Value,
    /// The arguments of curl after the method's own options.
    pub(super) curl: &'static str,
}

/// The chapter in which the document and the page describe a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Addresses,
    Actions,
    Record,
    Gateway,
}

impl Tag {
    /// Every tag, in the order of the page.
    pub(super) const ALL: [Self; 4] = [Self::Addresses, Self::Actions, Self::Record, Self::Gateway];

    /// The name in the document.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Actions => "actions",
            Self::Record => "record",
            Self::Gateway => "self",
        }
    }

    /// The title, for people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Addresses => "Private IPv4 addresses of a vNIC",
            Self::Actions => "Every action of ZEC's API",
            Self::Record => "Outcomes of writes",
            Self::Gateway => "Who you are, and what the gateway is",
        }
    }
}

pub(super) const JSON: &str = "application/json";

/// Values for examples, from `zec-gateway dev` if it has any.
pub(super) const NIC_ID: &str = "1612345678901234567";
pub(super) const ADDRESS: &str = "10.0.0.21";
pub(super) const OPERATION_ID: &str = "01a4b3f2-6f0d-7c41-9d0e-0f2f5d3a9b11";
pub(super) const REQUEST_ID: &str = "01a4b3f2-6f0c-7a10-8a51-3c1c8f0e7d22";
pub(super) const ZEC_REQUEST_ID: &str = "T585BEEEB-39F1-4670-BC7C-27B4C3D1C20D";

/// A reference to a schema of the document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A reference to a header of the document.
pub(super) fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// A request that can follow an answer: `parameter` comes from the answer's body.
pub(super) fn link(operation: &str, parameter: &str, pointer: &str) -> Value {
    json!({
        "operationId": operation,
        "parameters": { parameter: format!("$response.body#{pointer}") },
    })
}

/// A parameter in the path.
pub(super) fn path(name: &str, text: &str, schema: &Value, example: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true,
        "description": text, "schema": schema, "example": example,
    })
}

/// A parameter in the query; a null example is none.
pub(super) fn query(name: &str, text: &str, schema: &Value, example: &Value) -> Value {
    let mut parameter =
        json!({ "name": name, "in": "query", "description": text, "schema": schema });
    if let Some(parameter) = parameter.as_object_mut().filter(|_| !example.is_null()) {
        parameter.insert("example".to_owned(), example.clone());
    }
    parameter
}

/// The parameter, marked as deprecated.
pub(super) fn deprecated(mut parameter: Value) -> Value {
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.insert("deprecated".to_owned(), json!(true));
    }
    parameter
}
