//! Calls of ZEC's API, in the form in which the journal keeps them.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{Action, Addresses, Change, ChangeIpv4, NicId, Resource};
use crate::catalogue::{ActionRow, LATEST};

/// The version of ZEC's API that the gateway speaks.
pub const API_VERSION: &str = LATEST;

/// Every version whose recorded calls the gateway reads. A version that the gateway spoke earlier stays here: its last
/// writes may have no outcome yet, and their addresses count for callers' budgets.
const READABLE: [&str; 1] = [API_VERSION];

/// A call of ZEC's API. This program may not know its action.
#[derive(Clone, Debug)]
pub struct Call {
    /// ZEC's name of the action.
    pub action: String,
    /// The version of ZEC's API.
    pub api_version: String,
    /// The resources that the arguments name, in their order.
    pub resources: Vec<Resource>,
    /// The arguments as canonical JSON: members sorted by name, no white space.
    pub arguments: Box<RawValue>,
}

impl Call {
    /// A call of a row. The arguments were written from values, so they are JSON.
    pub(super) fn of(row: &ActionRow, resources: Vec<Resource>, arguments: String) -> Self {
        Self {
            action: row.name.clone(),
            api_version: row.version.clone(),
            resources,
            arguments: RawValue::from_string(arguments).unwrap_or_default(),
        }
    }
}

/// The arguments of a change of addresses. The names are sorted, as in canonical JSON. The addresses are always a list:
/// `ipAddress` is deprecated, and ZEC prefers the list (docs/threats.md, row 13).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeArguments<'a> {
    ip_addresses: &'a [Ipv4Addr],
    nic_id: &'a str,
}

impl ChangeIpv4 {
    /// The body of the call that makes this change, as canonical JSON.
    #[must_use]
    pub fn body(&self) -> String {
        // Texts and addresses can always be serialised.
        serde_json::to_string(&self.written()).unwrap_or_default()
    }

    /// The arguments of the same call, as values.
    #[must_use]
    pub fn arguments(&self) -> Map<String, Value> {
        match serde_json::to_value(self.written()) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }

    fn written(&self) -> ChangeArguments<'_> {
        ChangeArguments { ip_addresses: self.addresses.as_slice(), nic_id: self.nic.as_str() }
    }

    /// The change that a call makes, if it is one of this kind.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct RecordedArguments {
            ip_addresses: Vec<String>,
            nic_id: String,
        }
        if !READABLE.contains(&call.api_version.as_str()) {
            return None;
        }
        let change = [Change::Assign, Change::Unassign]
            .into_iter()
            .find(|change| Some(change.action()) == Action::from_name(&call.action))?;
        let arguments: RecordedArguments = serde_json::from_str(call.arguments.get()).ok()?;
        let texts = arguments.ip_addresses.iter().map(String::as_str);
        Some(Self {
            change,
            nic: NicId::parse(&arguments.nic_id).ok()?,
            addresses: Addresses::parse(texts, usize::MAX).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::WriteCall;

    fn change() -> ChangeIpv4 {
        ChangeIpv4 {
            change: Change::Unassign,
            nic: NicId::parse("nic-1").unwrap(),
            addresses: Addresses::parse(["10.0.0.3", "10.0.0.2"], 9).unwrap(),
        }
    }

    fn recorded(change: ChangeIpv4) -> Call {
        WriteCall::of_change(change).unwrap().recorded(&|_| panic!("a change has no secret"))
    }

    #[test]
    fn a_change_becomes_a_call_and_a_change_again() {
        let call = recorded(change());
        let arguments = r#"{"ipAddresses":["10.0.0.3","10.0.0.2"],"nicId":"nic-1"}"#;
        assert_eq!(call.arguments.get(), arguments);
        assert_eq!(call.resources, [Resource::parse("nic/nic-1").unwrap()]);
        assert_eq!(ChangeIpv4::of(&call).unwrap(), change());
    }

    #[test]
    fn a_call_that_this_program_does_not_know_is_no_change() {
        let with = |spoil: fn(&mut Call)| {
            let mut call = recorded(change());
            spoil(&mut call);
            ChangeIpv4::of(&call)
        };
        for spoil in [
            (|call| call.action = "ReleaseInstances".to_owned()) as fn(&mut Call),
            |call| call.action = "DescribeNetworkInterfaces".to_owned(),
            |call| call.api_version = "2024-04-01".to_owned(),
            |call| call.arguments = RawValue::from_string("{}".to_owned()).unwrap(),
        ] {
            assert_eq!(with(spoil), None);
        }
    }
}
