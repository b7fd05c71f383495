//! The search for vNICs: `/nics`.

use std::{borrow::Cow, net::Ipv4Addr};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    super::{
        describe::{Description, JSON, NIC_ID, Tag, link, query, reference},
        query::Query,
        request::RequestParts,
    },
    nics, operations,
};
use crate::{
    domain::{Cursor, FindNics, NicFilter, Operation, is_resource_id, text::excerpt},
    error::{Error, Problem},
};

/// The problems of a search.
pub(super) const FIND: &[&[Problem]] = &[nics::ZEC];

const KEYS: [&str; 9] =
    ["ipAddress", "name", "regionId", "vpcId", "subnetId", "instanceId", "tag", "limit", "cursor"];

/// The longest text to look for, in characters. ZEC's names have 63, and its tags' keys and values 64 each.
const MAX_TEXT: usize = 129;

/// `GET /nics`
pub(super) fn find(request: &RequestParts<'_>) -> Result<Operation, Error> {
    let query = Query::parse(request.query, &KEYS)?;
    let id = |name: &str| query.one(name).map(|text| id(name, text)).transpose();
    let filter = NicFilter {
        address: query.one("ipAddress").map(address).transpose()?,
        name: query.one("name").map(|value| text("name", value)).transpose()?,
        region: id("regionId")?,
        vpc: id("vpcId")?,
        subnet: id("subnetId")?,
        instance: id("instanceId")?,
        tag: query.one("tag").map(tag).transpose()?,
    };
    let limit = query.one("limit").map_or(Ok(operations::LISTED), operations::limit)?;
    let start = query.one("cursor").map_or(Ok(Cursor::START), cursor)?;
    Ok(Operation::Find(Box::new(FindNics { filter, limit, start })))
}

fn address(value: &str) -> Result<Ipv4Addr, Error> {
    value.parse().map_err(|_| {
        Error::invalid(format!("`ipAddress` is `{}`, which is not an IPv4 address", excerpt(value)))
    })
}

fn id(name: &str, value: &str) -> Result<String, Error> {
    if is_resource_id(value) {
        return Ok(value.to_owned());
    }
    let value = excerpt(value);
    Err(Error::invalid(format!("`{name}` is `{value}`, which is no id of ZEC's")))
}

/// A text to look for, escaped as browsers and curl escape one.
fn text(name: &str, value: &str) -> Result<String, Error> {
    let spaced = value.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned);
    let fits = |text: &String| {
        (1..=MAX_TEXT).contains(&text.chars().count()) && !text.contains(char::is_control)
    };
    decoded.filter(fits).ok_or_else(|| {
        Error::invalid(format!(
            "`{name}` is `{}`: use 1 to {MAX_TEXT} characters, escaped as UTF-8, and no control characters",
            excerpt(value)
        ))
    })
}

/// A tag's key, or `key=value`.
fn tag(value: &str) -> Result<(String, Option<String>), Error> {
    let whole = text("tag", value)?;
    Ok(match whole.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (whole, None),
    })
}

fn cursor(value: &str) -> Result<Cursor, Error> {
    Cursor::parse(value).ok_or_else(|| {
        let value = excerpt(value);
        Error::invalid(format!("`cursor` is `{value}`: send the `cursor` of an answer"))
    })
}

pub(super) fn describe() -> Description {
    let none = &Value::Null;
    let form = format!("^[^\\u0000-\\u001f\\u007f-\\u009f]{{1,{MAX_TEXT}}}$");
    let text = json!({ "type": "string", "pattern": form });
    let address = json!({ "type": "string", "format": "ipv4" });
    let id = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" });
    let only = |name: &str, what: &str| query(name, what, &id, none);
    Description {
        id: "findNics",
        tag: Tag::Addresses,
        summary: "Find vNICs",
        text: "The gateway reads ZEC's list page by page, and shows the vNICs that you may see. If the answer has a \
               `cursor`, there may be more, even if it shows none: send it to go on. `complete` says that the \
               list was read to its end.",
        parameters: vec![
            query("ipAddress", "Only the vNIC with this private IPv4 address", &address, none),
            query("name", "Only those whose name contains this, in any case", &text, none),
            only("regionId", "Only those in this region"),
            only("vpcId", "Only those in this VPC"),
            only("subnetId", "Only those in this subnet"),
            only("instanceId", "Only those of this instance"),
            query("tag", "Only those with this tag: `env`, or `env=lab`", &text, none),
            operations::limit_query(),
            query(
                "cursor",
                "Where to go on: an answer's `cursor`",
                &json!({ "type": "string", "pattern": "^[1-9][0-9]{0,5}-(0|[1-9][0-9]{0,5})$" }),
                none,
            ),
        ],
        body: None,
        success: "The vNICs",
        answer: (JSON, reference("Nics")),
        headers: &[],
        example: Some(json!({
            "nics": [{ "nicId": NIC_ID, "name": "web-1", "primaryIpv4": "10.0.0.20" }],
            "examined": 1, "complete": true, "cursor": null,
        })),
        links: json!({ "nextPage": link("findNics", "cursor", "/cursor") }),
        curl: "'{gateway}/nics?ipAddress=10.0.0.21'",
    }
}
