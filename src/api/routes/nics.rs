//! The private IPv4 addresses of a vNIC: `/nics/{nicId}` and what is below it.

use http::HeaderValue;
use serde_json::{Value, json};

use super::super::{
    body,
    describe::{
        ADDRESS, Description, JSON, NIC_ID, OPERATION_ID, Tag, ZEC_REQUEST_ID, deprecated, link,
        path, query, reference,
    },
    query::Query,
    request::RequestParts,
};
use crate::{
    domain::{
        Addresses, AddressesError, Change, ChangeIpv4, IdempotencyKey, NicId, Operation, ReadNic,
        Selection, UnassignAll, text::excerpt,
    },
    error::{Error, Problem},
};

/// The problems of each kind of request.
pub(super) const READ: &[&[Problem]] = &[ZEC];
pub(super) const ASSIGN: &[&[Problem]] = &[ZEC, WRITE];
pub(super) const UNASSIGN: &[&[Problem]] = &[ZEC, WRITE, BUDGET];

/// The problems of a request that ZEC answers.
pub(super) const ZEC: &[Problem] = &[
    Problem::PolicyDenied,
    Problem::ZecRejected,
    Problem::ZecCredentialsRefused,
    Problem::ZecBadAnswer,
    Problem::ZecTimeout,
    Problem::ZecUnavailable,
];

/// The problems of a request that changes a vNIC.
pub(super) const WRITE: &[Problem] = &[
    Problem::Protected,
    Problem::StateConflict,
    Problem::IdempotencyInProgress,
    Problem::OperationInProgress,
    Problem::IdempotencyKeyReused,
    Problem::OutcomeUnknown,
    Problem::Frozen,
    Problem::JournalUnavailable,
];

/// The problem of a request that takes addresses off.
pub(super) const BUDGET: &[Problem] = &[Problem::BudgetExceeded];

const NO_ADDRESS: &str = "no address is named: send `{\"ipAddresses\": [\"10.0.0.2\"]}` as JSON body, or, with \
                          DELETE, `?ipAddresses=10.0.0.2` for each, or `?all=true`";

/// The query keys of a request that unassigns addresses.
const UNASSIGN_KEYS: [&str; 4] = ["ipAddresses", "ipAddress", "dryRun", "all"];

/// The query keys of every other change.
const CHANGE_KEYS: [&str; 1] = ["dryRun"];

/// The header of an answer that repeats an earlier one.
pub(super) const REPLAYED: &str = "Idempotency-Replayed";

/// `DELETE /nics/{nicId}/ipv4`
pub(super) fn unassign(request: &RequestParts<'_>) -> Result<Operation, Error> {
    let query = Query::parse(request.query, &UNASSIGN_KEYS)?;
    change(request, &query, unassigned(request, &query)?)
}

/// `DELETE /nics/{nicId}/ipv4/{address}`
pub(super) fn unassign_one(request: &RequestParts<'_>) -> Result<Operation, Error> {
    let query = Query::parse(request.query, &CHANGE_KEYS)?;
    let address = request.parameter(1);
    change(
        request,
        &query,
        listed(nic(request)?, Change::Unassign, [address], request.max_addresses, NO_ADDRESS)?,
    )
}

/// `POST /nics/{nicId}/ipv4`
pub(super) fn assign(request: &RequestParts<'_>) -> Result<Operation, Error> {
    let query = Query::parse(request.query, &CHANGE_KEYS)?;
    let texts = request.body.map_or(Ok(None), |body| body::addresses(body, false))?;
    let texts = texts.unwrap_or_default();
    let texts = texts.iter().map(String::as_str);
    change(
        request,
        &query,
        listed(nic(request)?, Change::Assign, texts, request.max_addresses, NO_ADDRESS)?,
    )
}

/// `GET /nics/{nicId}`
pub(super) fn read(request: &RequestParts<'_>) -> Result<Operation, Error> {
    request.bare()?;
    Ok(Operation::Read(ReadNic { nic: nic(request)? }))
}

fn nic(request: &RequestParts<'_>) -> Result<NicId, Error> {
    NicId::parse(request.parameter(0)).map_err(|error| Error::invalid(error.to_string()))
}

/// The `Idempotency-Key` of a request.
pub(super) fn idempotency_key_of(
    request: &RequestParts<'_>,
) -> Result<Option<IdempotencyKey>, Error> {
    let key = request.headers.get("idempotency-key").map(HeaderValue::as_bytes);
    let key = key.map(IdempotencyKey::parse).transpose();
    key.map_err(|error| Error::invalid(error.to_string()))
}

pub(super) fn change(
    request: &RequestParts<'_>,
    query: &Query<'_>,
    selection: Selection,
) -> Result<Operation, Error> {
    let key = idempotency_key_of(request)?;
    match (query.is_true("dryRun")?, key) {
        (true, None) => Ok(Operation::DryRun(selection)),
        (true, Some(_)) => Err(Error::invalid(
            "a dry run takes no `Idempotency-Key`, because it changes nothing: leave one of \
             them out",
        )),
        (false, key) => Ok(Operation::Change(selection, key)),
    }
}

pub(super) fn listed<'a>(
    nic: NicId,
    change: Change,
    texts: impl IntoIterator<Item = &'a str>,
    max: usize,
    if_none: &'static str,
) -> Result<Selection, Error> {
    let addresses = Addresses::parse(texts, max).map_err(|error| match error {
        AddressesError::Empty => Error::missing(if_none),
        error => Error::invalid(error.to_string()),
    })?;
    Ok(Selection::Listed(ChangeIpv4 { change, nic, addresses }))
}

fn unassigned(request: &RequestParts<'_>, query: &Query<'_>) -> Result<Selection, Error> {
    let named = query.first_of(&["ipAddresses", "ipAddress"]);
    let in_body = request.body.map_or(Ok(None), |body| body::addresses(body, true))?;
    if query.is_true("all")? {
        if named.is_some() || in_body.is_some() {
            return Err(Error::invalid(
                "`all=true` takes every secondary address off: name no address with it",
            ));
        }
        return Ok(Selection::All(UnassignAll { nic: nic(request)?, max: request.max_addresses }));
    }
    let texts = match (in_body, named) {
        (None, _) => in_query(query)?,
        (Some(texts), None) => texts,
        (Some(_), Some(key)) => {
            return Err(Error::invalid(format!(
                "addresses are both in the query (`{key}`) and in the body: use one of them"
            )));
        }
    };
    let texts = texts.iter().map(String::as_str);
    listed(nic(request)?, Change::Unassign, texts, request.max_addresses, NO_ADDRESS)
}

/// The list has precedence over the deprecated single address, as ZEC documents.
fn in_query(query: &Query<'_>) -> Result<Vec<String>, Error> {
    if let Some(list) = query.all("ipAddresses").find(|text| text.contains(',')) {
        return Err(Error::invalid(format!(
            "`ipAddresses` is `{}`: repeat the key for each address, as \
             `ipAddresses=10.0.0.2&ipAddresses=10.0.0.3`",
            excerpt(list)
        )));
    }
    let texts: Vec<String> = query.all("ipAddresses").map(str::to_owned).collect();
    if texts.is_empty() {
        return Ok(query.all("ipAddress").map(str::to_owned).collect());
    }
    query.all("ipAddress").try_for_each(body::outranked)?;
    Ok(texts)
}

pub(super) fn describe_unassign() -> Description {
    Description {
        id: "unassignIpv4",
        tag: Tag::Addresses,
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
        headers: &[REPLAYED],
        example: Some(changed_example(&["10.0.0.21", "10.0.0.22"])),
        links: write_links(),
        curl: "'{gateway}/nics/1612345678901234567/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22'",
    }
}

pub(super) fn describe_unassign_one() -> Description {
    Description {
        id: "unassignOneIpv4",
        tag: Tag::Addresses,
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
        headers: &[REPLAYED],
        example: Some(changed_example(&[ADDRESS])),
        links: write_links(),
        curl: "{gateway}/nics/1612345678901234567/ipv4/10.0.0.21",
    }
}

pub(super) fn describe_assign() -> Description {
    Description {
        id: "assignIpv4",
        tag: Tag::Addresses,
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
        headers: &[REPLAYED],
        example: Some(changed_example(&[ADDRESS])),
        links: write_links(),
        curl: "-H 'Content-Type: application/json' -d '{\"ipAddresses\": [\"10.0.0.21\"]}' {gateway}/nics/1612345678901234567/ipv4",
    }
}

pub(super) fn describe_read() -> Description {
    Description {
        id: "readNic",
        tag: Tag::Addresses,
        summary: "Show a vNIC",
        text: "The vNIC as ZEC describes it, byte for byte.",
        parameters: vec![nic_in_path()],
        body: None,
        success: "The vNIC",
        answer: (JSON, reference("Nic")),
        headers: &[],
        example: Some(json!({
            "nicId": NIC_ID, "name": "lab-1", "status": "USED", "nicType": "Primary",
            "regionId": "asia-east-1", "vpcId": "1612345678901200001", "subnetId": "1612345678901210001",
            "primaryIpv4": "10.0.0.11", "secondaryIpv4s": ["10.0.0.21", "10.0.0.22"],
        })),
        links: json!({}),
        curl: "{gateway}/nics/1612345678901234567",
    }
}

fn write_links() -> Value {
    json!({
        "operation": link("readOperation", "operationId", "/operationId"),
        "nic": link("readNic", "nicId", "/nicId"),
    })
}

fn changed() -> Value {
    json!({ "oneOf": [reference("Changed"), reference("DryRun")] })
}

fn changed_example(addresses: &[&str]) -> Value {
    json!({
        "requestId": ZEC_REQUEST_ID, "nicId": NIC_ID,
        "ipAddresses": addresses, "operationId": OPERATION_ID,
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

pub(super) fn idempotency_key() -> Value {
    let mut parameter = query(
        "Idempotency-Key",
        "A key of your own for this request, 1 to 255 visible ASCII characters, remembered for 24 \
         hours. The same request with the same key gets the first answer again, with \
         `Idempotency-Replayed`. With `dryRun`, or if the gateway keeps no journal, the key is \
         refused, never ignored",
        &json!({ "type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": 255 }),
        &Value::Null,
    );
    if let Some(place) = parameter.get_mut("in") {
        *place = json!("header");
    }
    parameter
}
