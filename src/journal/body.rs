//! The JSON that entries carry beside their columns.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::record::{Ending, Intent, Told, millis};
use crate::{domain::ChangeIpv4, policy::Permit};

/// An intent's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfAnIntent {
    pub(super) ip_addresses: Vec<String>,
    pub(super) policies: Vec<String>,
    pub(super) policy_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) before_may_be_stale: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) zec: Option<String>,
    /// What ZEC's clock said, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) zec_time: Option<i64>,
    /// Whose connection the request came over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_address: Option<String>,
    /// The proxy that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy_address: Option<String>,
}

/// An outcome's.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfAnOutcome {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) zec_request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<Told>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) given_up: bool,
}

/// The body of an intent's entry.
pub(super) fn of_an_intent(
    permit: &Permit<ChangeIpv4>,
    intent: &Intent,
    zec_time: Option<SystemTime>,
) -> String {
    let addresses = permit.operation().addresses.as_slice();
    write(&OfAnIntent {
        ip_addresses: addresses.iter().map(ToString::to_string).collect(),
        policies: permit.policies().to_vec(),
        policy_version: permit.version().to_owned(),
        before: intent.before.clone(),
        before_may_be_stale: intent.stale,
        zec: Some(intent.zec.to_string()),
        zec_time: zec_time.map(millis),
        client_address: intent.peer.map(|peer| peer.client.to_string()),
        proxy_address: intent.peer.and_then(|peer| peer.proxy).map(|proxy| proxy.to_string()),
    })
}

/// The body of an outcome's entry.
pub(super) fn of_an_ending(ending: &Ending) -> String {
    write(&OfAnOutcome {
        zec_request_id: ending.zec_request_id.clone(),
        code: ending.code.clone(),
        status: ending.status,
        detail: ending.detail.clone(),
        told: ending.told.clone(),
        given_up: ending.given_up,
    })
}

/// Texts, numbers and JSON that was parsed before always make JSON.
fn write(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned())
}
