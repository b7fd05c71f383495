//! The document of `GET /operations/{operationId}`, and the list of them.

use std::{net::Ipv4Addr, time::SystemTime};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    domain::{OperationId, Resource},
    journal::View,
};

/// Unknown values are null. `nicId` and `ipAddresses` belong to changes of a vNIC's addresses.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    operation_id: String,
    outcome: &'static str,
    action: &'a str,
    api_version: &'a str,
    resources: &'a [Resource],
    arguments: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    nic_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_addresses: Option<&'a [Ipv4Addr]>,
    caller: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_software: Option<&'a str>,
    policies: &'a [String],
    policy_version: &'a str,
    before: Option<&'a RawValue>,
    request_id: &'a str,
    zec_request_id: Option<&'a str>,
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a RawValue>,
    started_at: String,
    finished_at: Option<String>,
}

/// The document of one operation.
pub(in crate::api) fn operation(view: &View) -> String {
    let time = |at: SystemTime| humantime::format_rfc3339_millis(at).to_string();
    let change = view.change.as_ref();
    let document = Document {
        operation_id: view.id.to_string(),
        outcome: view.outcome.label(),
        action: &view.call.action,
        api_version: &view.call.api_version,
        resources: &view.call.resources,
        arguments: &view.call.arguments,
        nic_id: change.map(|change| change.nic.as_str()),
        ip_addresses: change.map(|change| change.addresses.as_slice()),
        caller: &view.caller,
        client_software: view.software.as_deref(),
        policies: &view.policies,
        policy_version: &view.policy_version,
        before: view.before.as_deref(),
        request_id: &view.request_id,
        zec_request_id: view.zec_request_id.as_deref(),
        code: view.code.as_deref(),
        failed: view.failed.as_deref(),
        accepted: view.accepted,
        response: view.response.as_deref(),
        started_at: time(view.started_at),
        finished_at: view.finished_at.map(time),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// The document of several operations, newest first; `next` is the last one's id if there are older ones.
pub(in crate::api) fn operations(views: &[View], next: Option<OperationId>) -> String {
    let documents = views.iter().map(operation).collect::<Vec<_>>().join(",");
    let next = next.map(|id| format!(",\"next\":\"{id}\"")).unwrap_or_default();
    // Each item is a document already, so the recorded bytes about a vNIC stay exactly as they are.
    format!("{{\"operations\":[{documents}]{next}}}")
}
