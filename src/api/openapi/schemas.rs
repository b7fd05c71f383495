//! The named schemas of requests and answers.

use serde_json::{Value, json};

use super::super::describe::reference;
use crate::{
    catalogue::Effect,
    domain::{Action, Outcome},
    error::Problem,
};

/// The form of a `nicId`, of a strict dotted quad, and so on; `domain` parses by the same grammar.
const NIC_ID_FORM: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";
const IPV4_FORM: &str = r"^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$";
const OPERATION_ID_FORM: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$";
const REQUEST_ID_FORM: &str = "^[A-Za-z0-9._-]{1,64}$";

/// The headers of answers that the document describes.
pub(super) fn headers() -> Value {
    let header = |text: &str, schema: Value| json!({ "description": text, "schema": schema });
    let required = |mut header: Value| {
        if let Some(members) = header.as_object_mut() {
            members.insert("required".to_owned(), json!(true));
        }
        header
    };
    json!({
        "X-Request-Id": required(header(
            "The gateway's id of the request: yours, where you sent one of 1 to 64 of the characters `A-Za-z0-9._-`",
            reference("RequestId"),
        )),
        "Retry-After": header(
            "How many seconds to wait before asking again",
            json!({ "type": "integer", "minimum": 0 }),
        ),
        "WWW-Authenticate": required(header(
            "What is wrong with the token (RFC 6750)",
            json!({ "type": "string" }),
        )),
        "Idempotency-Replayed": header(
            "`true`: this repeats the answer to the first request with this `Idempotency-Key`",
            json!({ "type": "string", "const": "true" }),
        ),
    })
}

fn zec_answer() -> Value {
    json!({
        "type": "object",
        "description": "ZEC's own form of an answer",
        "required": ["requestId", "response"],
        "properties": {
            "requestId": { "type": "string" },
            "response": {
                "type": "object",
                "required": ["requestId"],
                "properties": { "requestId": { "type": "string" } },
            },
        },
    })
}

fn actions() -> [(&'static str, Value); 4] {
    let answer = json!({
        "type": "object",
        "description": "ZEC's answer in `response`; of a dry run, what would be sent in `body`",
        "properties": {
            "requestId": { "type": "string" },
            "operationId": reference("OperationId"),
            "response": { "type": "object", "additionalProperties": true },
            "dryRun": { "type": "boolean" },
            "body": { "type": ["object", "null"], "additionalProperties": true },
        },
    });
    let summary = json!({
        "type": "object",
        "required": ["action", "version", "access", "service", "resourceTypes"],
        "properties": {
            "action": { "type": "string" },
            "version": { "type": "string" },
            "access": { "type": "string", "enum": Effect::ALL.map(Effect::label) },
            "service": { "type": "string" },
            "resourceTypes": { "type": "array", "items": { "type": "string" } },
        },
    });
    let parameters = json!({
        "type": "array", "items": { "type": "object", "additionalProperties": true },
    });
    let action = json!({
        "type": "object",
        "required": ["action", "version", "access", "decidedOn", "parameters"],
        "properties": {
            "action": { "type": "string" },
            "version": { "type": "string" },
            "access": { "type": "string", "enum": Effect::ALL.map(Effect::label) },
            "decidedOn": { "type": "array", "items": { "type": "string" } },
            "parameters": parameters,
        },
    });
    let list = json!({
        "type": "object",
        "required": ["actions"],
        "properties": { "actions": { "type": "array", "items": reference("ActionSummary") } },
    });
    [("ActionAnswer", answer), ("ActionSummary", summary), ("Action", action), ("Actions", list)]
}

fn nics() -> Value {
    json!({
        "type": "object",
        "required": ["nics", "examined", "complete", "cursor"],
        "properties": {
            "nics": { "type": "array", "items": reference("Nic") },
            "examined": { "type": "integer", "minimum": 0 },
            "complete": { "type": "boolean" },
            "cursor": { "type": ["string", "null"] },
        },
    })
}

/// Every schema; `max_addresses` is the most that one request may name.
pub(super) fn all(max_addresses: usize) -> Value {
    let mut schemas = json!({
        "NicId": { "type": "string", "pattern": NIC_ID_FORM },
        "Ipv4": { "type": "string", "pattern": IPV4_FORM, "description": "A strict dotted quad" },
        "OperationId": { "type": "string", "pattern": OPERATION_ID_FORM },
        "RequestId": { "type": "string", "pattern": REQUEST_ID_FORM },
        "Outcome": { "type": "string", "enum": Outcome::ALL.map(Outcome::label) },
        "NicAction": { "type": "string", "enum": Action::ALL.map(Action::name) },
        "ProblemSlug": { "type": "string", "enum": Problem::ALL.map(Problem::slug) },
        "ZecAnswer": zec_answer(),
        "Nic": {
            "type": "object",
            "description": "ZEC's own object, with whatever else ZEC puts into it",
            "required": ["nicId", "name", "status", "nicType", "regionId", "vpcId", "subnetId"],
            "properties": {
                "nicId": reference("NicId"),
                "name": { "type": "string" },
                "status": { "type": "string" },
                "primaryIpv4": { "type": ["string", "null"] },
                "secondaryIpv4s": { "type": ["array", "null"], "items": reference("Ipv4") },
            },
        },
        "Nics": nics(),
        "Caller": {
            "type": "object",
            "required": ["issuer", "subject", "groups"],
            "properties": {
                "issuer": { "type": "string" },
                "subject": { "type": "string" },
                "groups": { "type": "array", "items": { "type": "string" } },
            },
        },
    });
    if let Some(all) = schemas.as_object_mut() {
        for (name, schema) in bodies(max_addresses)
            .into_iter()
            .chain(actions())
            .chain(changes())
            .chain(record())
            .chain(problems())
        {
            all.insert(name.to_owned(), schema);
        }
    }
    schemas
}

fn bodies(max_addresses: usize) -> [(&'static str, Value); 2] {
    let list = json!({
        "type": "array", "items": reference("Ipv4"), "minItems": 1, "maxItems": max_addresses,
        "description": "An address named twice counts once; the order is kept",
    });
    let assigned = json!({
        "type": "object",
        "required": ["ipAddresses"],
        "properties": { "ipAddresses": list },
        "additionalProperties": false,
    });
    let unassigned = json!({
        "type": "object",
        "properties": {
            "ipAddresses": list,
            "ipAddress": {
                "type": "string", "pattern": IPV4_FORM, "deprecated": true,
                "description": "One address, ZEC's deprecated form; `ipAddresses` takes precedence",
            },
        },
        // Not `anyOf` over the required members: generators turn that into a type that accepts anything.
        "minProperties": 1,
        "additionalProperties": false,
    });
    [("Assigned", assigned), ("Unassigned", unassigned)]
}

fn changes() -> [(&'static str, Value); 2] {
    let list = json!({ "type": "array", "items": reference("Ipv4") });
    let changed = json!({
        "type": "object",
        "required": ["requestId", "nicId", "ipAddresses"],
        "properties": {
            "requestId": { "type": "string", "description": "ZEC's id of the request" },
            "nicId": reference("NicId"),
            "ipAddresses": list,
            "operationId": reference("OperationId"),
        },
    });
    let dry_run = json!({
        "type": "object",
        "required": ["dryRun", "action", "body", "nicId", "ipAddresses"],
        "properties": {
            "dryRun": { "const": true },
            "action": reference("NicAction"),
            "body": {
                "type": ["object", "null"], "additionalProperties": true,
                "description": "What the gateway would send to ZEC; null if it would send nothing",
            },
            "nicId": reference("NicId"),
            "ipAddresses": list,
            "before": list,
            "after": list,
            "budgetLeft": {
                "type": "integer", "minimum": 0,
                "description": "How many addresses the caller could still take off within the hour after this change",
            },
        },
    });
    [("Changed", changed), ("DryRun", dry_run)]
}

/// What an operation has beyond a change of addresses.
fn of_calls(text: &Value) -> [Value; 4] {
    let failed = json!({
        "type": "array", "items": {},
        "description": "What was not done, if the call was done in part",
    });
    let accepted = json!({
        "type": "boolean",
        "description": "Whether ZEC only accepted the call and works on it afterwards",
    });
    let response = json!({
        "type": "object", "additionalProperties": true,
        "description": "What ZEC answered, if it was short and held no secret",
    });
    let resources = json!({
        "type": "array",
        "description": "What the arguments name",
        "items": {
            "type": "object",
            "required": ["id", "type"],
            "properties": { "id": text, "type": text },
        },
    });
    [failed, accepted, response, resources]
}

fn record() -> [(&'static str, Value); 2] {
    let text = json!({ "type": "string" });
    let maybe = json!({ "type": ["string", "null"] });
    let [failed, accepted, response, resources] = of_calls(&text);
    let operation = json!({
        "type": "object",
        "required": [
            "operationId", "outcome", "action", "apiVersion", "resources", "arguments", "caller", "policies",
            "policyVersion", "before", "requestId", "zecRequestId", "code", "startedAt", "finishedAt",
        ],
        "properties": {
            "operationId": reference("OperationId"),
            "outcome": reference("Outcome"),
            "action": { "type": "string", "description": "ZEC's name of the action" },
            "apiVersion": { "type": "string", "description": "The version of ZEC's API" },
            "resources": resources,
            "arguments": { "type": "object", "additionalProperties": true },
            "nicId": reference("NicId"),
            "ipAddresses": { "type": "array", "items": reference("Ipv4") },
            "failed": failed,
            "accepted": accepted,
            "response": response,
            "caller": text,
            "clientSoftware": text,
            "policies": { "type": "array", "items": text },
            "policyVersion": text,
            "before": { "type": ["object", "null"], "description": "The vNIC as it was, for those who may see it" },
            "requestId": reference("RequestId"),
            "zecRequestId": maybe,
            "code": maybe,
            "startedAt": { "type": "string", "format": "date-time" },
            "finishedAt": { "type": ["string", "null"], "format": "date-time" },
        },
    });
    let operations = json!({
        "type": "object",
        "required": ["operations"],
        "properties": {
            "operations": { "type": "array", "items": reference("Operation") },
            "next": reference("OperationId"),
        },
    });
    [("Operation", operation), ("Operations", operations)]
}

fn problems() -> [(&'static str, Value); 2] {
    let text = json!({ "type": "string" });
    let status = json!({ "type": "integer", "minimum": 400, "maximum": 599 });
    let types = Problem::ALL.map(|problem| format!("/problems/{}", problem.slug()));
    let problem = json!({
        "type": "object",
        "description": "RFC 9457, with the three members that ZEC's SDKs require in every error; some problems have more",
        "required": ["type", "title", "status", "detail", "code", "message", "requestId"],
        "properties": {
            "type": { "type": "string", "enum": types, "description": "Leads to an explanation" },
            "title": text,
            "status": status,
            "detail": { "type": "string", "description": "What to do next" },
            "code": { "type": "string", "description": "For programs to branch on; ZEC's own code where ZEC has one for the case" },
            "message": text,
            "requestId": { "type": "string", "description": "ZEC's where ZEC answered, else the gateway's" },
            "zecRequestId": text,
            "operationId": reference("OperationId"),
        },
    });
    let explanation = json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "explanation"],
        "properties": {
            "type": { "type": "string", "enum": types },
            "title": text, "status": status, "code": text, "explanation": text,
        },
    });
    [("Problem", problem), ("Explanation", explanation)]
}
