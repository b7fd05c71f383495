//! The content of an entry as canonical JSON: written and read here. docs/journal-format.md describes it.
//!
//! Fields are in the order of their names, as canonical JSON requires. Absent values are left out.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    chain::Entry,
    record::{Ending, Intent, ToldProblem, View, millis, moment},
    store::StoreError,
};
use crate::{
    domain::{Call, ChangeIpv4, OperationId, Outcome, Resource, WriteCall},
    policy::Permit,
};

/// The version of this form. A file whose last entry has another one is refused.
pub(super) const FORM: u8 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IntentText<'a> {
    action: &'a str,
    api_version: &'a str,
    arguments: &'a RawValue,
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    before_may_be_stale: bool,
    caller: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_software: Option<&'a str>,
    form: u8,
    kind: &'static str,
    operation: &'a str,
    policies: &'a [String],
    policy_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_address: Option<String>,
    request_id: &'a str,
    resources: &'a [Resource],
    zec: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zec_time: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeText<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accepted: bool,
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Box<RawValue>>,
    form: u8,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    given_up: bool,
    kind: &'static str,
    operation: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<&'a ToldProblem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zec_request_id: Option<&'a str>,
}

/// The content of an intent's entry. `zec_time` is the time of ZEC's clock at `at`.
pub(super) fn of_intent(
    (id, call): (OperationId, &Call),
    permit: &Permit<WriteCall>,
    intent: &Intent,
    (at, zec_time): (SystemTime, Option<SystemTime>),
) -> String {
    text(&IntentText {
        action: &call.action,
        api_version: &call.api_version,
        arguments: &call.arguments,
        at: millis(at),
        before: intent.before.as_deref(),
        before_may_be_stale: intent.stale,
        caller: intent.caller.id(),
        client_address: intent.peer.map(|peer| peer.client.to_string()),
        client_software: intent.software.as_deref(),
        form: FORM,
        kind: "intent",
        operation: &id.to_string(),
        policies: permit.policies(),
        policy_version: permit.version(),
        proxy_address: intent.peer.and_then(|peer| peer.proxy).map(|proxy| proxy.to_string()),
        request_id: &intent.request_id,
        resources: &call.resources,
        zec: &intent.zec,
        zec_time: zec_time.map(millis),
    })
}

/// The content of an outcome's entry. The outcome was learned at `at`.
pub(super) fn of_ending(id: OperationId, ending: &Ending, at: SystemTime) -> String {
    text(&OutcomeText {
        accepted: ending.accepted,
        at: millis(at),
        code: ending.code.as_deref(),
        detail: ending.detail.as_deref(),
        failed: raw(ending.failed.as_ref()),
        form: FORM,
        given_up: ending.given_up,
        kind: "outcome",
        operation: &id.to_string(),
        outcome: ending.outcome.label(),
        response: raw(ending.response.as_ref()),
        status: ending.status,
        told: ending.told.as_ref(),
        zec_request_id: ending.zec_request_id.as_deref(),
    })
}

/// JSON as it is. It was read as JSON before.
fn raw(text: Option<&String>) -> Option<Box<RawValue>> {
    RawValue::from_string(text?.clone()).ok()
}

/// Texts, numbers and JSON that was parsed before can always be serialised.
fn text(content: &impl Serialize) -> String {
    serde_json::to_string(content).unwrap_or_else(|_| "{}".to_owned())
}

/// The content of an entry, parsed.
#[derive(Debug)]
pub(super) enum Content {
    Intent(Box<IntentContent>),
    Outcome(Box<OutcomeContent>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IntentContent {
    action: String,
    api_version: String,
    arguments: Box<RawValue>,
    pub(super) at: i64,
    #[serde(default)]
    before: Option<Box<RawValue>>,
    #[serde(default)]
    before_may_be_stale: bool,
    pub(super) caller: String,
    #[serde(default)]
    client_software: Option<String>,
    pub(super) operation: String,
    policies: Vec<String>,
    policy_version: String,
    pub(super) request_id: String,
    resources: Vec<Resource>,
    #[serde(default)]
    zec: Option<String>,
    #[serde(default)]
    zec_time: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutcomeContent {
    #[serde(default)]
    accepted: bool,
    pub(super) at: i64,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    /// If a call was done in part: the part that was not done.
    #[serde(default)]
    failed: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) given_up: bool,
    pub(super) operation: String,
    pub(super) outcome: String,
    #[serde(default)]
    response: Option<Box<RawValue>>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    told: Option<ToldProblem>,
    #[serde(default)]
    zec_request_id: Option<String>,
}

impl Content {
    /// Parses the content of an entry.
    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct EntryKind {
            kind: String,
        }
        let EntryKind { kind } = serde_json::from_str(text)?;
        match kind.as_str() {
            "intent" => serde_json::from_str(text).map(Self::Intent),
            _ => serde_json::from_str(text).map(Self::Outcome),
        }
    }

    /// Parses the content of this entry.
    pub(super) fn of(entry: &Entry) -> Result<Self, StoreError> {
        Self::parse(&entry.content)
            .map_err(|error| StoreError(format!("entry {} cannot be read: {error}", entry.seq)))
    }

    /// The label of the operation's outcome as of this entry.
    #[cfg(test)]
    pub(super) fn outcome(&self) -> &str {
        match self {
            Self::Intent(_) => Outcome::Pending.label(),
            Self::Outcome(outcome) => &outcome.outcome,
        }
    }
}

impl IntentContent {
    /// The values by which the operation is found.
    pub(super) fn keys(&self) -> OperationKeys<'_> {
        OperationKeys {
            id: &self.operation,
            at: self.at,
            action: &self.action,
            caller: &self.caller,
            request_id: &self.request_id,
        }
    }

    /// The resources that the call names, each as `type/id`, without duplicates.
    pub(super) fn resources(&self) -> Vec<String> {
        let mut all: Vec<String> = self.resources.iter().map(ToString::to_string).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The values by which an operation is found, besides its resources and its outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct OperationKeys<'a> {
    pub(super) id: &'a str,
    pub(super) at: i64,
    pub(super) action: &'a str,
    pub(super) caller: &'a str,
    pub(super) request_id: &'a str,
}

/// The state of an operation, from its intent and, if there are more entries, its last entry.
pub(super) fn view(intent: &str, last: Option<&str>) -> Result<View, StoreError> {
    let unreadable =
        |what: &dyn std::fmt::Display| StoreError(format!("an operation cannot be read: {what}"));
    let parse = |text| Content::parse(text).map_err(|error| unreadable(&error));
    let Content::Intent(intent) = parse(intent)? else {
        return Err(unreadable(&"it does not begin with an intent"));
    };
    let ended = match last.map(parse).transpose()? {
        Some(Content::Outcome(outcome)) if outcome.operation == intent.operation => Some(*outcome),
        Some(_) => return Err(unreadable(&"its last entry is of another operation")),
        None => None,
    };
    let label = ended.as_ref().map_or(Outcome::Pending.label(), |ended| &ended.outcome);
    let outcome = Outcome::from_label(label);
    let finished_at = ended.as_ref().map(|ended| moment(ended.at));
    let id = OperationId::parse(&intent.operation).map_err(|error| unreadable(&error))?;
    let IntentContent { action, api_version, arguments, resources, .. } = *intent;
    let call = Call { action, api_version, resources, arguments };
    let mut view = View {
        id,
        outcome: outcome.ok_or_else(|| unreadable(&format!("`{label}` is not an outcome")))?,
        change: ChangeIpv4::of(&call),
        call,
        caller: intent.caller,
        policies: intent.policies,
        policy_version: intent.policy_version,
        before: intent.before,
        stale: intent.before_may_be_stale,
        zec: intent.zec,
        zec_time: intent.zec_time.map(moment),
        given_up: false,
        request_id: intent.request_id,
        software: intent.client_software,
        zec_request_id: None,
        code: None,
        status: None,
        detail: None,
        told: None,
        failed: None,
        accepted: false,
        response: None,
        started_at: moment(intent.at),
        finished_at,
    };
    if let Some(ended) = ended {
        add_outcome(&mut view, ended);
    }
    Ok(view)
}

fn add_outcome(view: &mut View, ended: OutcomeContent) {
    view.given_up = ended.given_up;
    view.zec_request_id = ended.zec_request_id;
    view.code = ended.code;
    view.status = ended.status;
    view.detail = ended.detail;
    view.told = ended.told;
    view.failed = ended.failed;
    view.accepted = ended.accepted;
    view.response = ended.response;
}
