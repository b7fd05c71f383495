//! Answers in ZEC's own form: the result in `response`, and the request's id inside and outside of it.

use serde_json::json;
use uuid::Uuid;

use crate::domain::{Change, ChangeIpv4};

/// A request's id as ZEC writes it: `T` and an upper-case UUID. An id of the caller's own that is no UUID stays as it is.
pub(in crate::api) fn zec_request_id(id: &str) -> String {
    Uuid::try_parse(id).map_or_else(|_| id.to_owned(), |id| format!("T{id}").to_ascii_uppercase())
}

/// The answer to a change. ZEC lists the addresses that it gave.
pub(in crate::api) fn zec_change(id: &str, change: &ChangeIpv4) -> String {
    let id = zec_request_id(id);
    let mut response = json!({ "requestId": id });
    if let (Change::Assign, Some(members)) = (change.change, response.as_object_mut()) {
        members.insert("ipAddresses".to_owned(), json!(change.addresses.as_slice()));
    }
    json!({ "requestId": id, "response": response }).to_string()
}
