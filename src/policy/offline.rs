//! Questions to the policy without a gateway, for test cases and for `explain`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{AuthorizationRequest, Engine, Requester, ResourceData, Verdict};
use crate::{
    catalogue::Catalogue,
    domain::{
        API_VERSION, Action, ActionCall, Addresses, Caller, Change, ChangeIpv4, Denial, Described,
        Nic, NicId, ReadNic, Resource, text::excerpt,
    },
};

/// The most addresses in a question, which is more than any request may name.
const MAX_ADDRESSES: usize = 1000;

/// A question as a person writes it.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// `issuer/subject`, for example `corp/alice`.
    pub caller: String,
    /// The groups as the token names them, for example `netops`.
    pub groups: Vec<String>,
    /// ZEC's name of the action.
    pub action: String,
    /// The vNIC's id, for an action on the addresses of one vNIC or a read of it.
    pub nic: Option<String>,
    /// The addresses, for a change of them.
    pub addresses: Vec<String>,
    /// The arguments as a JSON object, for any other call.
    pub arguments: Option<String>,
}

/// The operation in a [`Question`].
#[derive(Clone, Debug)]
pub enum PolicyQuestion {
    /// A read of a vNIC.
    Read(ReadNic),
    /// A change of a vNIC's addresses.
    Change(ChangeIpv4),
    /// A call of any other kind.
    Call(Box<ActionCall>),
}

impl PolicyQuestion {
    /// The vNIC, if the question is about one.
    #[must_use]
    pub fn nic(&self) -> Option<&NicId> {
        match self {
            Self::Read(read) => Some(&read.nic),
            Self::Change(change) => Some(&change.nic),
            Self::Call(_) => None,
        }
    }

    /// What the policy decides it on, for people.
    pub(super) fn about(&self) -> String {
        match (self, self.nic()) {
            (_, Some(nic)) => nic.to_string(),
            (Self::Call(call), _) => {
                let named: Vec<String> = call.resources().map(Resource::to_string).collect();
                if named.is_empty() { Resource::account().to_string() } else { named.join(", ") }
            }
            (Self::Read(_) | Self::Change(_), None) => String::new(),
        }
    }

    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Read(read) => read.action(),
            Self::Change(change) => change.action(),
            Self::Call(call) => call.action(),
        }
    }

    pub(super) fn considered(&self, engine: &Engine, caller: &Caller) -> Vec<String> {
        match self {
            Self::Read(read) => engine.considered(caller, read),
            Self::Change(change) => engine.considered(caller, change),
            Self::Call(call) => engine.considered(caller, call.as_ref()),
        }
    }
}

/// The policy's answer to a [`Question`].
#[derive(Debug)]
pub enum Told {
    /// Allowed, by the policies with these ids.
    Allowed(Vec<String>),
    /// Denied.
    Denied(Denial),
    /// The answer depends on the vNIC's data, which the question did not give.
    DependsOnData,
}

impl Question {
    /// The caller and the operation.
    ///
    /// # Errors
    /// When a part of the question is malformed.
    pub fn parse(&self) -> Result<(Caller, PolicyQuestion), String> {
        let (issuer, subject) = self
            .caller
            .split_once('/')
            .ok_or_else(|| format!("`{}` is not a caller: write `issuer/subject`", self.caller))?;
        let own = format!("{issuer}/");
        // `corp/netops`, the form that policies use, means the group `netops` of `corp`.
        let bare = |group: &String| group.strip_prefix(&own).unwrap_or(group).to_owned();
        let caller = Caller::vouch(issuer, subject, self.groups.iter().map(bare))
            .map_err(|error| error.to_string())?;
        if let Some(arguments) = &self.arguments {
            return Ok((caller, self.call(arguments)?));
        }
        let action = Action::from_name(&self.action).ok_or_else(|| {
            let known = Action::ALL.map(Action::name).join("`, `");
            format!(
                "`{}` is not an action on a vNIC's addresses: use one of `{known}`, or give the \
                 call's arguments",
                excerpt(&self.action)
            )
        })?;
        let nic = self.nic.as_deref().ok_or("the vNIC is missing: name it")?;
        let nic = NicId::parse(nic).map_err(|error| error.to_string())?;
        let change = match action {
            Action::DescribeNetworkInterfaces if self.addresses.is_empty() => {
                return Ok((caller, PolicyQuestion::Read(ReadNic { nic })));
            }
            Action::DescribeNetworkInterfaces => {
                return Err("a read takes no addresses: leave them out".to_owned());
            }
            Action::BatchAssignNetworkInterfaceIpv4 => Change::Assign,
            Action::UnassignNetworkInterfaceIpv4 => Change::Unassign,
        };
        let addresses = self.addresses.iter().map(String::as_str);
        let addresses =
            Addresses::parse(addresses, MAX_ADDRESSES).map_err(|error| error.to_string())?;
        Ok((caller, PolicyQuestion::Change(ChangeIpv4 { change, nic, addresses })))
    }

    /// The call with these arguments.
    fn call(&self, arguments: &str) -> Result<PolicyQuestion, String> {
        if self.nic.is_some() || !self.addresses.is_empty() {
            return Err(
                "the arguments of a call hold everything: name no vNIC and no address besides"
                    .to_owned(),
            );
        }
        if self.action == Change::Assign.action().name()
            || self.action == Change::Unassign.action().name()
        {
            return Err(format!(
                "`{}` is decided for each address: name the vNIC and the addresses instead of arguments",
                self.action
            ));
        }
        let catalogue = Catalogue::in_use().map_err(|error| error.to_string())?;
        let row = catalogue.action(API_VERSION, &self.action).ok_or_else(|| {
            format!(
                "`{}` is not an action of ZEC's API: ZEC's names are exact, as `DescribeVpcs`",
                excerpt(&self.action)
            )
        })?;
        let call =
            ActionCall::parse(row, arguments.as_bytes()).map_err(|error| error.to_string())?;
        Ok(PolicyQuestion::Call(Box::new(call)))
    }
}

impl Engine {
    /// Answers a question with the same steps as a request: without the data of its resources if that is enough,
    /// otherwise with the data that the question gives.
    #[must_use]
    pub fn tell(
        &self,
        requester: Requester<'_>,
        asked: PolicyQuestion,
        data: Option<ResourceData<'_>>,
    ) -> Told {
        match asked {
            PolicyQuestion::Read(read) => self.tell_about(requester, read, data),
            PolicyQuestion::Change(change) => self.tell_about(requester, change, data),
            PolicyQuestion::Call(call) => self.tell_about(requester, *call, data),
        }
    }

    fn tell_about<O: AuthorizationRequest>(
        &self,
        requester: Requester<'_>,
        operation: O,
        data: Option<ResourceData<'_>>,
    ) -> Told {
        match (self.ask(requester, operation), data) {
            (Verdict::Allowed(permit), _) => Told::Allowed(permit.policies().to_vec()),
            (Verdict::Denied(denial), _) => Told::Denied(denial),
            (Verdict::DependsOnData(_), None) => Told::DependsOnData,
            (Verdict::DependsOnData(pending), Some(data)) => {
                match self.decide(requester, pending, data) {
                    Ok(permit) => Told::Allowed(permit.policies().to_vec()),
                    Err(denial) => Told::Denied(denial),
                }
            }
        }
    }
}

/// A resource as a person writes it; omitted fields are absent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WrittenResource {
    /// As `vpc/1612…`.
    id: String,
    /// Everything that it lies in, each as `resource-group/team`.
    #[serde(default, rename = "in")]
    within: Vec<String>,
    name: Option<String>,
    status: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

impl WrittenResource {
    /// The resource, as if ZEC had described it.
    pub(super) fn described(&self) -> Result<Described, String> {
        let parse = |text: &String| Resource::parse(text).map_err(|error| error.to_string());
        let lineage = self.within.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Described {
            resource: parse(&self.id)?,
            nic: None,
            name: self.name.clone(),
            status: self.status.clone(),
            tags: self.tags.clone(),
            lineages: vec![lineage],
            would_be: Vec::new(),
            proving: BTreeMap::new(),
        })
    }
}

/// The data of a vNIC as a person writes it; omitted fields have harmless values.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Attributes {
    name: Option<String>,
    status: Option<String>,
    nic_type: Option<String>,
    region_id: Option<String>,
    vpc_id: Option<String>,
    subnet_id: Option<String>,
    resource_group_id: Option<String>,
    primary_ipv4: Option<String>,
    #[serde(default)]
    attached: bool,
    #[serde(default)]
    has_public_ip: bool,
    #[serde(default)]
    tags: std::collections::BTreeMap<String, String>,
}

impl Attributes {
    /// The vNIC, as if ZEC had described it.
    pub(super) fn nic(&self, id: &str) -> Result<Nic, String> {
        let text = |value: &Option<String>, default: &str| {
            Value::String(value.clone().unwrap_or_else(|| default.to_owned()))
        };
        let tags = self.tags.iter().map(|(key, value)| json!({ "key": key, "value": value }));
        let group = match &self.resource_group_id {
            Some(id) => json!({ "resourceGroupId": id }),
            None => json!({}),
        };
        let object = json!({
            "nicId": id,
            "name": text(&self.name, "nic"),
            "status": text(&self.status, "USED"),
            "nicType": text(&self.nic_type, "Secondary"),
            "regionId": text(&self.region_id, "region"),
            "vpcId": text(&self.vpc_id, "vpc"),
            "subnetId": text(&self.subnet_id, "subnet"),
            "resourceGroup": group,
            "primaryIpv4": self.primary_ipv4,
            "secondaryIpv4s": [],
            "instanceId": self.attached.then_some("instance"),
            "publicIpList": if self.has_public_ip { json!(["192.0.2.1"]) } else { json!([]) },
            "tags": { "tags": tags.collect::<Vec<_>>() },
        });
        let raw = serde_json::value::to_raw_value(&object).map_err(|error| error.to_string())?;
        Nic::parse(raw).map_err(|error| error.to_string())
    }
}
