//! The description of each endpoint for the document and the page.

use serde_json::{Value, json};

use super::{
    super::routes::Endpoint,
    schemas::{self, ADDRESS, NIC_ID, OPERATION_ID, REQUEST_ID, reference},
};

/// The description of an endpoint beyond the facts of the route table.
pub(in crate::api) struct Described {
    pub(in crate::api) id: &'static str,
    pub(in crate::api) tag: &'static str,
    pub(in crate::api) summary: &'static str,
    pub(in crate::api) text: &'static str,
    pub(in crate::api) parameters: Vec<Value>,
    pub(in crate::api) body: Option<Value>,
    /// The meaning of an answer with status 200.
    pub(in crate::api) success: &'static str,
    /// The content type and schema of that answer.
    pub(in crate::api) answer: (&'static str, Value),
    pub(in crate::api) example: Option<Value>,
    /// The arguments of curl after the method's own options.
    pub(in crate::api) curl: &'static str,
}

const JSON: &str = "application/json";

/// Describes an endpoint.
pub(in crate::api) fn describe(endpoint: Endpoint) -> Described {
    match endpoint {
        Endpoint::Unassign => unassign(),
        Endpoint::UnassignOne => unassign_one(),
        Endpoint::Assign => assign(),
        Endpoint::ReadNic => read_nic(),
        Endpoint::ReadOperation => read_operation(),
        Endpoint::ListOperations => list_operations(),
        Endpoint::WhoAmI => who_am_i(),
        Endpoint::Problem => problem(),
        Endpoint::OpenApi => open_api(),
        Endpoint::Docs => page(),
        Endpoint::Stylesheet => stylesheet(),
    }
}

fn unassign() -> Described {
    Described {
        id: "unassignIpv4",
        tag: "addresses",
        summary: "Take private IPv4 addresses off a vNIC",
        text: "Name the addresses either in the query or in a JSON body, never in both, or take \
               every secondary one off with `all=true`. If one address is not allowed, nothing is \
               sent. ZEC has no undo; `POST` gives addresses back.",
        parameters: vec![
            nic_in_path(),
            query(
                "ipAddresses",
                "An address to take off, a strict dotted quad; repeat the key for each",
                &json!({
                    "type": "array", "items": reference("Ipv4"), "minItems": 1,
                }),
                &json!(["10.0.0.21", "10.0.0.22"]),
            ),
            deprecated(query(
                "ipAddress",
                "One address, ZEC's deprecated form; `ipAddresses` takes precedence",
                &reference("Ipv4"),
                &Value::Null,
            )),
            query(
                "all",
                "`true` or `false`. Takes every secondary address off; name no address with it",
                &json!({ "type": "boolean" }),
                &Value::Null,
            ),
            dry_run(),
            idempotency_key(),
        ],
        body: Some(json!({
            "description": "The addresses, unless the query names them",
            "required": false,
            "content": { JSON: {
                "schema": reference("Unassigned"),
                "example": { "ipAddresses": ["10.0.0.21", "10.0.0.22"] },
            } },
        })),
        success: "Done, or, with `dryRun`, what would be done. `ipAddresses` is empty if `all=true` found no address",
        answer: (JSON, changed()),
        example: Some(changed_example(&["10.0.0.21", "10.0.0.22"])),
        curl: "'{gateway}/nics/1612345678901234567/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22'",
    }
}

fn unassign_one() -> Described {
    Described {
        id: "unassignOneIpv4",
        tag: "addresses",
        summary: "Take one private IPv4 address off a vNIC",
        text: "The same for one address, for callers behind proxies that drop the query and the body of a `DELETE`.",
        parameters: vec![
            nic_in_path(),
            path(
                "address",
                "The address to take off: a strict dotted quad",
                &reference("Ipv4"),
                ADDRESS,
            ),
            dry_run(),
            idempotency_key(),
        ],
        body: None,
        success: "Done, or, with `dryRun`, what would be done",
        answer: (JSON, changed()),
        example: Some(changed_example(&[ADDRESS])),
        curl: "{gateway}/nics/1612345678901234567/ipv4/10.0.0.21",
    }
}

fn assign() -> Described {
    Described {
        id: "assignIpv4",
        tag: "addresses",
        summary: "Give a vNIC private IPv4 addresses",
        text: "The reverse of a `DELETE`: gives the vNIC exactly the addresses that you name.",
        parameters: vec![nic_in_path(), dry_run(), idempotency_key()],
        body: Some(json!({
            "description": "The addresses",
            "required": true,
            "content": { JSON: {
                "schema": reference("Assigned"),
                "example": { "ipAddresses": [ADDRESS] },
            } },
        })),
        success: "Done, or, with `dryRun`, what would be done",
        answer: (JSON, changed()),
        example: Some(changed_example(&[ADDRESS])),
        curl: "-H 'Content-Type: application/json' -d '{\"ipAddresses\": [\"10.0.0.21\"]}' {gateway}/nics/1612345678901234567/ipv4",
    }
}

fn read_nic() -> Described {
    Described {
        id: "readNic",
        tag: "addresses",
        summary: "Show a vNIC",
        text: "The vNIC as ZEC describes it, byte for byte.",
        parameters: vec![nic_in_path()],
        body: None,
        success: "The vNIC",
        answer: (JSON, reference("Nic")),
        example: Some(json!({
            "nicId": NIC_ID, "name": "lab-1", "status": "USED", "nicType": "Primary",
            "regionId": "asia-east-1", "vpcId": "1612345678901200001", "subnetId": "1612345678901210001",
            "primaryIpv4": "10.0.0.11", "secondaryIpv4s": ["10.0.0.21", "10.0.0.22"],
        })),
        curl: "{gateway}/nics/1612345678901234567",
    }
}

fn read_operation() -> Described {
    let id =
        path("operationId", "An answer's `operationId`", &reference("OperationId"), OPERATION_ID);
    Described {
        id: "readOperation",
        tag: "record",
        summary: "Show the outcome of a write",
        text: "You see your own operations, and everyone's if the policy allows you \
               `ReadOperations`. The answer for another caller's operation is 404, as for one that \
               does not exist.",
        parameters: vec![id],
        body: None,
        success: "The operation",
        answer: (JSON, reference("Operation")),
        example: Some(operation_example()),
        curl: "{gateway}/operations/01a4b3f2-6f0d-7c41-9d0e-0f2f5d3a9b11",
    }
}

fn list_operations() -> Described {
    let none = &Value::Null;
    Described {
        id: "listOperations",
        tag: "record",
        summary: "List writes and their outcomes, newest first",
        text: "If the answer has `next`, send it as `before` to get the page that follows.",
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
            query(
                "limit",
                "How many at most, 1 to 100; the default is 20",
                &json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 }),
                none,
            ),
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
        example: Some(json!({ "operations": [operation_example()], "next": OPERATION_ID })),
        curl: "'{gateway}/operations?outcome=unknown&limit=10'",
    }
}

fn who_am_i() -> Described {
    Described {
        id: "whoAmI",
        tag: "self",
        summary: "Show who you are",
        text: "Issuer, subject and groups as the gateway and its policy see them; a 403 shows the same.",
        parameters: vec![],
        body: None,
        success: "You",
        answer: (JSON, reference("Caller")),
        example: Some(
            json!({ "issuer": "corp", "subject": "alice", "groups": ["engineers", "netops"] }),
        ),
        curl: "{gateway}/whoami",
    }
}

fn problem() -> Described {
    let problem = crate::error::Problem::PolicyDenied;
    Described {
        id: "explainProblem",
        tag: "self",
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
        example: Some(json!({
            "type": format!("/problems/{}", problem.slug()), "title": problem.title(),
            "status": problem.status(), "code": problem.code(),
            "explanation": problem.explanation(),
        })),
        curl: "{gateway}/problems/policy-denied",
    }
}

fn open_api() -> Described {
    Described {
        id: "openApi",
        tag: "self",
        summary: "This interface, for programs",
        text: "An OpenAPI 3.1 document.",
        parameters: vec![],
        body: None,
        success: "The document",
        answer: (JSON, json!({ "type": "object", "required": ["openapi", "info", "paths"] })),
        example: None,
        curl: "{gateway}/openapi.json",
    }
}

fn page() -> Described {
    Described {
        id: "docs",
        tag: "self",
        summary: "This interface, for people",
        text: "A page that works without JavaScript and without internet.",
        parameters: vec![],
        body: None,
        success: "The page",
        answer: ("text/html; charset=utf-8", json!({ "type": "string" })),
        example: None,
        curl: "{gateway}/docs",
    }
}

fn stylesheet() -> Described {
    Described {
        id: "docsStylesheet",
        tag: "self",
        summary: "The style of the page for people",
        text: "The style sheet of `/docs`.",
        parameters: vec![],
        body: None,
        success: "The style sheet",
        answer: ("text/css; charset=utf-8", json!({ "type": "string" })),
        example: None,
        curl: "{gateway}/docs/style.css",
    }
}

fn changed() -> Value {
    json!({ "oneOf": [reference("Changed"), reference("DryRun")] })
}

fn changed_example(addresses: &[&str]) -> Value {
    json!({
        "requestId": "T585BEEEB-39F1-4670-BC7C-27B4C3D1C20D", "nicId": NIC_ID,
        "ipAddresses": addresses, "operationId": OPERATION_ID,
    })
}

fn operation_example() -> Value {
    json!({
        "operationId": OPERATION_ID, "outcome": "done", "action": "UnassignNetworkInterfaceIpv4",
        "apiVersion": "2025-09-01", "resources": [{ "id": NIC_ID, "type": "nic" }],
        "arguments": { "ipAddresses": [ADDRESS], "nicId": NIC_ID },
        "nicId": NIC_ID, "ipAddresses": [ADDRESS], "caller": "corp/alice",
        "policies": ["netops-lab"], "policyVersion": "5f0c2a9b71de", "before": null,
        "requestId": REQUEST_ID, "zecRequestId": "T585BEEEB-39F1-4670-BC7C-27B4C3D1C20D",
        "code": null, "startedAt": "2026-03-02T09:15:00.125Z", "finishedAt": "2026-03-02T09:15:00.310Z",
    })
}

fn nic_in_path() -> Value {
    path(
        "nicId",
        "The vNIC's id: 1 to 64 letters, digits, `-` and `_`, the first a letter or a digit",
        &reference("NicId"),
        NIC_ID,
    )
}

fn dry_run() -> Value {
    query(
        "dryRun",
        "`true` or `false`. Does everything except the write: returns what would be sent, and does not send it",
        &json!({ "type": "boolean" }),
        &Value::Null,
    )
}

fn idempotency_key() -> Value {
    let mut parameter = query(
        "Idempotency-Key",
        "A key of your own for this request, 1 to 255 visible ASCII characters, remembered for 24 \
         hours. The same request with the same key gets the first answer again, with \
         `Idempotency-Replayed`. With `dryRun`, or if the gateway keeps no journal, the key is \
         refused, never ignored",
        &json!({ "type": "string", "pattern": schemas::VISIBLE, "minLength": 1, "maxLength": 255 }),
        &Value::Null,
    );
    if let Some(place) = parameter.get_mut("in") {
        *place = json!("header");
    }
    parameter
}

fn path(name: &str, text: &str, schema: &Value, example: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true,
        "description": text, "schema": schema, "example": example,
    })
}

fn query(name: &str, text: &str, schema: &Value, example: &Value) -> Value {
    let mut parameter =
        json!({ "name": name, "in": "query", "description": text, "schema": schema });
    if let Some(parameter) = parameter.as_object_mut().filter(|_| !example.is_null()) {
        parameter.insert("example".to_owned(), example.clone());
    }
    parameter
}

fn deprecated(mut parameter: Value) -> Value {
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.insert("deprecated".to_owned(), json!(true));
    }
    parameter
}
