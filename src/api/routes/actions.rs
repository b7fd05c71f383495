//! ZEC's API by the names of its actions, for curl and web applications: `/actions` and what is below it.

use serde_json::{Map, Value, json};

use super::{
    super::{
        describe::{Description, JSON, OPERATION_ID, Tag, ZEC_REQUEST_ID, path, query, reference},
        query::Query,
        reply::{self, Answer},
        request::RequestParts,
        route::PublicPage,
    },
    nics, zec,
};
use crate::{
    catalogue::{ActionRow, Certainty, IfAbsent, Meaning, Parameter, Shape},
    domain::{API_VERSION, Operation},
    error::{Error, Problem},
};

/// The query keys of a call.
const CALL_KEYS: [&str; 2] = ["dryRun", "version"];

/// The problem of an action that there is not.
pub(super) const READ: &[&[Problem]] = &[&[Problem::NotFound]];

/// The action of the examples.
const EXAMPLE: &str = "DescribeVpcs";

/// `POST /actions/{Action}`
pub(super) fn call(request: &RequestParts<'_>) -> Result<Operation, Error> {
    let query = Query::parse(request.query, &CALL_KEYS)?;
    let row = row(request, query.one("version"))?;
    let call = zec::parse(row, request)?;
    match zec::selection(request, &call)? {
        Some(selection) => nics::change(request, &query, selection),
        None => zec::operation(request, call, query.is_true("dryRun")?),
    }
}

/// `GET /actions`
pub(super) fn list(request: &RequestParts<'_>) -> Result<PublicPage, Error> {
    request.bare()?;
    Ok(PublicPage::Actions)
}

/// `GET /actions/{Action}`
pub(super) fn read(request: &RequestParts<'_>) -> Result<PublicPage, Error> {
    let query = Query::parse(request.query, &["version"])?;
    row(request, query.one("version")).map(PublicPage::Action)
}

fn row(request: &RequestParts<'_>, version: Option<&str>) -> Result<&'static ActionRow, Error> {
    let name = request.parameter(0);
    zec::catalogue()?.named(name, version).ok_or_else(|| {
        let detail = format!("{}: `GET /actions` lists all", zec::no_such_action(name, version));
        Error::new(Problem::NotFound, detail)
    })
}

/// The list of every action.
pub(in crate::api) fn all() -> Result<Answer, Error> {
    let actions: Vec<Value> = zec::catalogue()?.actions().iter().map(summary).collect();
    Ok(reply::ok(json!({ "actions": actions }).to_string()))
}

/// The description of one action.
pub(in crate::api) fn one(row: &ActionRow) -> Answer {
    let mut decided_on: Vec<&str> = row.named_types().iter().map(|kind| kind.as_str()).collect();
    decided_on.extend(row.may_be_the_accounts().then_some("account"));
    let parameters: Vec<Value> = row.parameters.iter().map(parameter).collect();
    let mut document = members(summary(row));
    document.insert("decidedOn".to_owned(), json!(decided_on));
    document.insert("asynchronous".to_owned(), json!(row.asynchronous.label()));
    document.insert("parameters".to_owned(), json!(parameters));
    document.insert("onlyOneOf".to_owned(), json!(row.alternatives));
    reply::ok(Value::Object(document).to_string())
}

fn members(document: Value) -> Map<String, Value> {
    match document {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn summary(row: &ActionRow) -> Value {
    json!({
        "action": row.name,
        "version": row.version,
        "access": row.effect.label(),
        "service": row.service,
        "resourceTypes": row.resource_types.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let kind = match &parameter.shape {
        Shape::One(scalar) | Shape::Many(scalar) => scalar.name(),
        Shape::Object(_) | Shape::Objects(_) => "object",
    };
    let required = match parameter.required {
        Certainty::Yes => Some(true),
        Certainty::No => Some(false),
        Certainty::Unknown => None,
    };
    let mut document = members(json!({
        "name": parameter.name,
        "type": kind,
        "list": matches!(parameter.shape, Shape::Many(_) | Shape::Objects(_)),
        "required": required,
    }));
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    match &parameter.meaning {
        Meaning::Id(types) => {
            put("idOf", types.iter().map(ToString::to_string).collect());
        }
        Meaning::Secret => put("secret", json!(true)),
        _ => {}
    }
    match &parameter.if_absent {
        IfAbsent::Value(value) => put("default", json!(value)),
        IfAbsent::Effect(effect) => put("ifAbsent", json!(effect)),
        IfAbsent::Widens { effect, .. } => {
            let refused = format!("refused, because ZEC acts on more than is named: {effect}");
            put("ifAbsent", json!(refused));
        }
        IfAbsent::Unstated => {}
    }
    if parameter.deprecated {
        put("deprecated", json!(true));
    }
    if !parameter.members().is_empty() {
        put("members", parameter.members().iter().map(self::parameter).collect());
    }
    Value::Object(document)
}

fn action_path() -> Value {
    let name = json!({ "type": "string", "pattern": "^[A-Za-z0-9]{1,64}$" });
    path("Action", "The action, by ZEC's name", &name, EXAMPLE)
}

fn version_query() -> Value {
    let text = "The version of ZEC's API; the default is 2025-09-01";
    query("version", text, &json!({ "type": "string" }), &Value::Null)
}

pub(super) fn describe_call() -> Description {
    let dry_run = query(
        "dryRun",
        "Decide and check, and send nothing",
        &json!({ "type": "boolean" }),
        &Value::Null,
    );
    Description {
        id: "callAction",
        tag: Tag::Actions,
        summary: "Call an action of ZEC's API",
        text: "The policy decides the call on everything that it names. A write is recorded; its `operationId` finds it \
               in the record. With `dryRun`, the answer says what would be sent. The actions on the private IPv4 \
               addresses of vNICs answer as their own routes.",
        parameters: vec![action_path(), dry_run, version_query(), nics::idempotency_key()],
        body: Some(json!({
            "description": "The action's arguments, as `GET /actions/{Action}` lists them; `{}` if there are none",
            "required": true,
            "content": { JSON: { "schema": { "type": "object" }, "example": { "pageSize": 20 } } },
        })),
        success: "ZEC's answer, or what would be sent",
        answer: (JSON, reference("ActionAnswer")),
        headers: &[nics::REPLAYED],
        example: Some(json!({
            "requestId": ZEC_REQUEST_ID, "operationId": OPERATION_ID,
            "response": { "requestId": ZEC_REQUEST_ID },
        })),
        links: json!({}),
        curl: "-H 'Content-Type: application/json' -d '{\"pageSize\": 20}' {gateway}/actions/DescribeVpcs",
    }
}

pub(super) fn describe_list() -> Description {
    Description {
        id: "listActions",
        tag: Tag::Actions,
        summary: "List every action of ZEC's API",
        text: "Every action that the gateway knows, with its version and what it does to resources. No token is needed.",
        parameters: vec![],
        body: None,
        success: "The actions",
        answer: (JSON, reference("Actions")),
        headers: &[],
        example: Some(json!({ "actions": [{
            "action": EXAMPLE, "version": API_VERSION, "access": "read", "service": "zec",
            "resourceTypes": ["vpc"],
        }] })),
        links: json!({}),
        curl: "{gateway}/actions",
    }
}

pub(super) fn describe_read() -> Description {
    Description {
        id: "readAction",
        tag: Tag::Actions,
        summary: "Describe an action of ZEC's API",
        text: "The parameters with their types and ZEC's defaults, and the types of resources that the policy decides \
               the action on. No token is needed.",
        parameters: vec![action_path(), version_query()],
        body: None,
        success: "The action",
        answer: (JSON, reference("Action")),
        headers: &[],
        example: None,
        links: json!({}),
        curl: "{gateway}/actions/DescribeVpcs",
    }
}
