//! ZEC's own form of its API: `/api/v2/zec`, for ZEC's official SDKs and tools. They call a few actions of other services too,
//! at the same host: `/api/v2/{service}`.
//!
//! Every action of ZEC's API is decided by the policy on everything that it names. The actions on the private IPv4 addresses
//! of vNICs become the same operations as the other routes', so the same checks and records apply.

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{
    super::{
        describe::{Description, JSON, NIC_ID, Tag, ZEC_REQUEST_ID, path, reference},
        query::Query,
        request::RequestParts,
    },
    nics,
};
use crate::{
    catalogue::{ActionRow, Catalogue},
    domain::{
        API_VERSION, ActionCall, Arguments, ArgumentsError, CallRehearsal, Change, NicId,
        Operation, Selection, UnknownFields, text::excerpt,
    },
    error::{Error, Problem},
};

/// The problems of a call, beside those of every request that ZEC answers.
pub(super) const CALL: &[&[Problem]] =
    &[nics::ZEC, nics::WRITE, nics::BUDGET, &[Problem::UnknownAction]];

/// Reads an action's arguments as a change of addresses.
type ReadArguments = fn(&RequestParts<'_>, &Arguments) -> Result<Selection, Error>;

/// The actions that become the same operations as the other routes', by ZEC's names. Their state is checked, and their
/// outcomes are found out.
const OF_ADDRESSES: [(&str, ReadArguments); 3] = [
    ("AssignNetworkInterfaceIpv4", assign_one),
    ("BatchAssignNetworkInterfaceIpv4", assign),
    ("UnassignNetworkInterfaceIpv4", unassign),
];

const ACTION: HeaderName = HeaderName::from_static("x-zc-action");
const VERSION: HeaderName = HeaderName::from_static("x-zc-version");
const SERVICE: HeaderName = HeaderName::from_static("x-zc-service");

/// `POST /api/v2/{service}`
pub(super) fn call(request: &RequestParts<'_>) -> Result<Operation, Error> {
    request.bare()?;
    let row = row(request)?;
    let call = parse(row, request)?;
    if let Some(selection) = selection(request, &call)? {
        return nics::change(request, &Query::default(), selection);
    }
    operation(request, call, false)
}

/// The operation of a call, which a caller may make under a key, or only rehearse.
pub(super) fn operation(
    request: &RequestParts<'_>,
    call: ActionCall,
    dry_run: bool,
) -> Result<Operation, Error> {
    let key = nics::idempotency_key_of(request)?;
    match (call.row().effect.is_change(), dry_run, key) {
        (false, _, Some(_)) => Err(Error::invalid(
            "a read takes no `Idempotency-Key`, because it changes nothing: leave it out",
        )),
        (_, true, Some(_)) => Err(Error::invalid(
            "a dry run takes no `Idempotency-Key`, because it changes nothing: leave one of \
             them out",
        )),
        (_, true, None) => Ok(Operation::DryRunCall(CallRehearsal(Box::new(call)))),
        (_, false, key) => Ok(Operation::Call(Box::new(call), key)),
    }
}

/// Reads the arguments of an action from the body.
pub(super) fn parse(
    row: &'static ActionRow,
    request: &RequestParts<'_>,
) -> Result<ActionCall, Error> {
    // A change of addresses is sent as the gateway writes it, so nothing could be passed on.
    let unknown_fields = match reader_of(row) {
        Some(_) => UnknownFields::Refuse,
        None => request.unknown_fields,
    };
    let body = request.body.unwrap_or_default();
    ActionCall::parse_with(row, body, unknown_fields).map_err(|error| {
        let said = error.to_string();
        match error {
            ArgumentsError::Missing(_)
            | ArgumentsError::Required(_)
            | ArgumentsError::Widens { .. } => Error::missing(said),
            _ => Error::invalid(said),
        }
    })
}

/// The change of addresses that a call is, if it is one.
pub(super) fn selection(
    request: &RequestParts<'_>,
    call: &ActionCall,
) -> Result<Option<Selection>, Error> {
    reader_of(call.row()).map(|read| read(request, call.arguments())).transpose()
}

/// What reads the arguments of an action on addresses.
fn reader_of(row: &ActionRow) -> Option<ReadArguments> {
    OF_ADDRESSES.iter().find(|(name, _)| *name == row.name).map(|(_, read)| *read)
}

/// The catalogue of this program.
pub(super) fn catalogue() -> Result<&'static Catalogue, Error> {
    Catalogue::in_use()
        .map_err(|error| Error::new(Problem::Internal, "the catalogue is broken").with_cause(error))
}

/// The row of the action that the headers name.
fn row(request: &RequestParts<'_>) -> Result<&'static ActionRow, Error> {
    let service = request.parameter(0);
    if !catalogue()?.has_service(service) {
        let detail = format!(
            "the gateway performs no action of the service `{}`; nothing was sent: its operators can add one in \
             `zec.catalogue_file`",
            excerpt(service)
        );
        return Err(Error::new(Problem::UnknownAction, detail));
    }
    if let Some(named) = one(request, &SERVICE)?
        && named != service
    {
        let detail = format!(
            "`X-ZC-Service` names the service `{}`, and the path names `{service}`; nothing was sent",
            excerpt(named)
        );
        return Err(Error::new(Problem::UnknownAction, detail));
    }
    let name = one(request, &ACTION)?.ok_or_else(|| {
        Error::missing("the header `X-ZC-Action` is missing: it names the action of ZEC's API")
    })?;
    let version = one(request, &VERSION)?;
    let row = catalogue()?.named(name, version).filter(|row| row.service == service);
    row.ok_or_else(|| {
        let detail = format!(
            "{}; `{service}` was called, and nothing was sent: check `X-ZC-Action` and `X-ZC-Version`",
            no_such_action(name, version)
        );
        Error::new(Problem::UnknownAction, detail)
    })
}

/// Says that there is no such action, and names another version or spelling that there is.
pub(super) fn no_such_action(name: &str, version: Option<&str>) -> String {
    let rows = catalogue().map(Catalogue::actions).unwrap_or_default();
    let version = version.unwrap_or(API_VERSION);
    let of_name = || rows.iter().find(|row| row.name == name);
    let known = rows.iter().find(|row| row.name == name && row.version == version);
    let hint = match known.or_else(of_name) {
        Some(row) if row.version == version => format!(", but at the service `{}`", row.service),
        Some(row) => format!(", but in version `{}`", row.version),
        None => rows
            .iter()
            .find(|row| row.name.eq_ignore_ascii_case(name))
            .map_or_else(String::new, |row| format!(", but `{}`", row.name)),
    };
    let (name, version) = (excerpt(name), excerpt(version));
    format!("the gateway knows no action `{name}` in version `{version}`{hint}")
}

/// The value of a header that a request may have once.
fn one<'a>(request: &RequestParts<'a>, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Error::invalid(format!("the header `{name}` appears twice or is not ASCII"))),
    }
}

fn assign_one(request: &RequestParts<'_>, arguments: &Arguments) -> Result<Selection, Error> {
    change(request, arguments, Change::Assign, texts(arguments, "ipAddress"))
}

fn assign(request: &RequestParts<'_>, arguments: &Arguments) -> Result<Selection, Error> {
    if arguments.get("ipAddressCount").is_some() {
        return Err(Error::invalid(
            "`ipAddressCount` lets ZEC choose the addresses, which no policy can decide: name them \
             in `ipAddresses`",
        ));
    }
    change(request, arguments, Change::Assign, texts(arguments, "ipAddresses"))
}

/// The list has precedence, as at ZEC. Half of ZEC's clients send an empty one where others send none.
fn unassign(request: &RequestParts<'_>, arguments: &Arguments) -> Result<Selection, Error> {
    let list = texts(arguments, "ipAddresses");
    let named = if list.is_empty() { texts(arguments, "ipAddress") } else { list };
    change(request, arguments, Change::Unassign, named)
}

fn change(
    request: &RequestParts<'_>,
    arguments: &Arguments,
    change: Change,
    addresses: Vec<&str>,
) -> Result<Selection, Error> {
    let nic = arguments.get("nicId").and_then(Value::as_str);
    let nic = nic.ok_or_else(|| Error::missing("`nicId` is missing: it names the vNIC"))?;
    let if_none = "no address is named: send it in the action's `ipAddress` or `ipAddresses`";
    let most = request.max_addresses;
    nics::listed(nic_id(nic)?, change, addresses, most, if_none)
}

fn nic_id(text: &str) -> Result<NicId, Error> {
    NicId::parse(text).map_err(|error| Error::invalid(error.to_string()))
}

/// The texts of a parameter: of a list all of them, none if it is absent.
fn texts<'a>(arguments: &'a Arguments, name: &str) -> Vec<&'a str> {
    match arguments.get(name) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(value) => value.as_str().into_iter().collect(),
        None => Vec::new(),
    }
}

pub(super) fn describe() -> Description {
    let header = |name: &str, required: bool, text: &str, example: &str| {
        json!({
            "name": name, "in": "header", "required": required, "description": text,
            "schema": { "type": "string" }, "example": example,
        })
    };
    let service = json!({ "type": "string", "pattern": "^[a-z]{1,16}$" });
    Description {
        id: "callZec",
        tag: Tag::Addresses,
        summary: "Call the gateway as ZEC's SDKs call ZEC",
        text: "Point an official SDK of ZEC at the gateway, with your token as its credential. The gateway performs \
               every action of ZEC's API that the policy allows on everything that the call names, and records \
               every write.",
        parameters: vec![
            path("service", "The service that performs the action", &service, "zec"),
            header("X-ZC-Action", true, "The action, by ZEC's name", "DescribeNetworkInterfaces"),
            header(
                "X-ZC-Version",
                false,
                "The version of ZEC's API; the default is 2025-09-01",
                API_VERSION,
            ),
            header("X-ZC-Service", false, "The service in the path, if it is there", "zec"),
            nics::idempotency_key(),
        ],
        body: Some(json!({
            "description": "The action's arguments, as ZEC documents them",
            "required": true,
            "content": { JSON: {
                "schema": { "type": "object" },
                "example": { "nicIds": [NIC_ID] },
            } },
        })),
        success: "ZEC's answer",
        answer: (JSON, reference("ZecAnswer")),
        headers: &[nics::REPLAYED],
        example: Some(json!({
            "requestId": ZEC_REQUEST_ID, "response": { "requestId": ZEC_REQUEST_ID },
        })),
        links: json!({}),
        curl: "-H 'Content-Type: application/json' -H 'X-ZC-Action: DescribeNetworkInterfaces' -d '{\"nicIds\": [\"1612345678901234567\"]}' {gateway}/api/v2/zec",
    }
}
