//! A request for authorization: an action on resources, for addresses.

use std::{borrow::Cow, net::Ipv4Addr};

use serde_json::{Map, Value, json};

use crate::domain::{
    ActionCall, CallRehearsal, ChangeIpv4, NicId, ReadNic, Rehearsal, Resource, Target,
};

/// Something that the policy decides a request on.
#[derive(Clone, Copy, Debug)]
pub enum TargetRef<'a> {
    /// The team's account.
    Account,
    /// A vNIC.
    Nic(&'a NicId),
    /// A resource. There are several if its id can be of several types.
    OneOf(&'a [Resource]),
}

impl<'a> From<&'a Target> for TargetRef<'a> {
    fn from(target: &'a Target) -> Self {
        match target {
            Target::Account => Self::Account,
            Target::OneOf(resources) => Self::OneOf(resources),
        }
    }
}

/// A request that the policy can decide.
pub trait AuthorizationRequest {
    /// The action's name.
    fn action(&self) -> &'static str;
    /// What the request is decided on, each by itself; never nothing.
    fn targets(&self) -> impl Iterator<Item = TargetRef<'_>>;
    /// The addresses to decide one by one; empty for actions that are not decided so.
    fn addresses(&self) -> &[Ipv4Addr] {
        &[]
    }
    /// Whether the action is only a dry run: `context.dryRun`.
    fn is_dry_run(&self) -> bool {
        false
    }
    /// The arguments: `context.request`.
    fn arguments(&self) -> Cow<'_, Map<String, Value>>;
}

/// A request on one vNIC.
pub trait NicRequest: AuthorizationRequest {
    /// The vNIC that the action is for.
    fn nic(&self) -> &NicId;
}

fn members(value: Value) -> Cow<'static, Map<String, Value>> {
    match value {
        Value::Object(members) => Cow::Owned(members),
        _ => Cow::Owned(Map::new()),
    }
}

impl AuthorizationRequest for ReadNic {
    fn action(&self) -> &'static str {
        crate::domain::Action::DescribeNetworkInterfaces.name()
    }

    fn targets(&self) -> impl Iterator<Item = TargetRef<'_>> {
        [TargetRef::Nic(&self.nic)].into_iter()
    }

    fn arguments(&self) -> Cow<'_, Map<String, Value>> {
        members(json!({ "nicIds": [self.nic.as_str()] }))
    }
}

impl NicRequest for ReadNic {
    fn nic(&self) -> &NicId {
        &self.nic
    }
}

impl AuthorizationRequest for ChangeIpv4 {
    fn action(&self) -> &'static str {
        self.change.action().name()
    }

    fn targets(&self) -> impl Iterator<Item = TargetRef<'_>> {
        [TargetRef::Nic(&self.nic)].into_iter()
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        self.addresses.as_slice()
    }

    fn arguments(&self) -> Cow<'_, Map<String, Value>> {
        Cow::Owned(Self::arguments(self))
    }
}

impl NicRequest for ChangeIpv4 {
    fn nic(&self) -> &NicId {
        &self.nic
    }
}

impl AuthorizationRequest for Rehearsal {
    fn action(&self) -> &'static str {
        self.0.action()
    }

    fn targets(&self) -> impl Iterator<Item = TargetRef<'_>> {
        self.0.targets()
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        self.0.addresses()
    }

    fn is_dry_run(&self) -> bool {
        true
    }

    fn arguments(&self) -> Cow<'_, Map<String, Value>> {
        AuthorizationRequest::arguments(&self.0)
    }
}

impl NicRequest for Rehearsal {
    fn nic(&self) -> &NicId {
        &self.0.nic
    }
}

impl AuthorizationRequest for CallRehearsal {
    fn action(&self) -> &'static str {
        self.0.action()
    }

    fn targets(&self) -> impl Iterator<Item = TargetRef<'_>> {
        AuthorizationRequest::targets(&*self.0)
    }

    fn is_dry_run(&self) -> bool {
        true
    }

    fn arguments(&self) -> Cow<'_, Map<String, Value>> {
        AuthorizationRequest::arguments(&*self.0)
    }
}

impl AuthorizationRequest for ActionCall {
    fn action(&self) -> &'static str {
        Self::action(self)
    }

    fn targets(&self) -> impl Iterator<Item = TargetRef<'_>> {
        Self::targets(self).iter().map(TargetRef::from)
    }

    fn arguments(&self) -> Cow<'_, Map<String, Value>> {
        Cow::Borrowed(Self::arguments(self).members())
    }
}
