//! The answers to a change of a vNIC's addresses, and to its dry run.

use std::net::Ipv4Addr;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    domain::{ChangeIpv4, NicId, OperationId},
    execute::Rehearsed,
};

/// The answer to a change.
pub(in crate::api) fn changed(
    change: &ChangeIpv4,
    request_id: &str,
    operation: Option<OperationId>,
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Changed<'a> {
        request_id: &'a str,
        nic_id: &'a str,
        ip_addresses: &'a [Ipv4Addr],
        #[serde(skip_serializing_if = "Option::is_none")]
        operation_id: Option<String>,
    }
    let changed = Changed {
        request_id,
        nic_id: change.nic.as_str(),
        ip_addresses: change.addresses.as_slice(),
        operation_id: operation.map(|id| id.to_string()),
    };
    // The value has only texts and addresses, so serialising cannot fail.
    serde_json::to_string(&changed).unwrap_or_default()
}

/// The answer to a request to take every address off a vNIC that has none.
pub(in crate::api) fn nothing_to_do(nic: &NicId, request_id: &str) -> Value {
    json!({ "requestId": request_id, "nicId": nic.as_str(), "ipAddresses": [] })
}

/// The answer to a dry run, without the lists for callers who may not see the vNIC.
pub(in crate::api) fn rehearsed(rehearsed: &Rehearsed) -> Value {
    let body = rehearsed.body.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok());
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("dryRun", json!(true));
    put("action", json!(rehearsed.action.name()));
    put("body", json!(body));
    put("nicId", json!(rehearsed.nic.as_str()));
    put("ipAddresses", json!(rehearsed.addresses));
    if let Some((before, after)) = &rehearsed.lists {
        put("before", json!(before));
        put("after", json!(after));
    }
    if let Some(left) = rehearsed.budget_left {
        put("budgetLeft", json!(left));
    }
    Value::Object(answer)
}
