//! A call of any action of ZEC's API, and the resources that a policy decides it on.

use super::{Arguments, ArgumentsError, Call, Resource, UnknownFields};
use crate::catalogue::ActionRow;

/// A call of an action, read completely by the action's row.
#[derive(Clone, Debug)]
pub struct ActionCall {
    row: &'static ActionRow,
    arguments: Arguments,
    targets: Vec<Target>,
}

/// A call that is only to be judged. It can never be sent, because that takes a permit for the call itself.
#[derive(Clone, Debug)]
pub struct CallRehearsal(pub Box<ActionCall>);

impl AsRef<ActionCall> for CallRehearsal {
    fn as_ref(&self) -> &ActionCall {
        &self.0
    }
}

impl AsRef<Self> for ActionCall {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Something that a policy decides a call on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The team's account: what lists and creations are decided on.
    Account,
    /// A resource that the call names. There are several if its id can be of several types.
    OneOf(Vec<Resource>),
}

impl ActionCall {
    /// Reads a call of an action from a body.
    ///
    /// # Errors
    /// When the body is not exactly what the action's row says.
    pub fn parse(row: &'static ActionRow, body: &[u8]) -> Result<Self, ArgumentsError> {
        Self::parse_with(row, body, UnknownFields::Refuse)
    }

    /// As [`Self::parse`], with a choice of what becomes of members that the row does not have.
    ///
    /// # Errors
    /// As there.
    pub fn parse_with(
        row: &'static ActionRow,
        body: &[u8],
        unknown_fields: UnknownFields,
    ) -> Result<Self, ArgumentsError> {
        let arguments = Arguments::parse_with(row, body, unknown_fields)?;
        let targets = targets(row, &arguments);
        Ok(Self { row, arguments, targets })
    }

    /// The row of the action.
    #[must_use]
    pub const fn row(&self) -> &'static ActionRow {
        self.row
    }

    /// The action's name.
    #[must_use]
    pub fn action(&self) -> &'static str {
        &self.row.name
    }

    /// The arguments.
    #[must_use]
    pub const fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// What a policy decides it on, each once, in the order of the body; never nothing.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Of a resource whose type is unsaid, leaves the types of which ZEC shows it. If ZEC shows none, nothing changes.
    pub fn narrow(&mut self, is_shown: impl Fn(&Resource) -> bool) {
        for target in &mut self.targets {
            if let Target::OneOf(resources) = target
                && resources.iter().any(&is_shown)
            {
                resources.retain(&is_shown);
            }
        }
    }

    /// The resources that it names and that this API has, in the order of the body.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.targets.iter().flat_map(|target| match target {
            Target::OneOf(resources) => resources.as_slice(),
            Target::Account => &[],
        })
    }

    /// The id of the first resource that it names, or else the action's name. The breaker tells calls apart by it.
    #[must_use]
    pub fn about(&self) -> &str {
        self.resources().next().map_or(self.action(), |resource| resource.id.as_str())
    }

    /// The call as the journal keeps it; `digest` gives what replaces a secret.
    #[must_use]
    pub fn recorded(&self, digest: &impl Fn(&str) -> String) -> Call {
        let arguments = self.arguments.without_secrets(self.row, digest);
        Call::of(self.row, self.resources().cloned().collect(), arguments)
    }
}

/// Every resource that the arguments name is a target of its own. A call that names no resource of the action's own type
/// is a list or a creation, so the account is one besides.
fn targets(row: &ActionRow, arguments: &Arguments) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut names_itself = false;
    for named in arguments.named() {
        let own = named.types.iter().filter(|kind| !kind.is_of_another_product());
        let resources: Vec<Resource> =
            own.map(|kind| Resource { kind: kind.to_string(), id: named.id.clone() }).collect();
        names_itself |= row.is_about(&named.types);
        if !resources.is_empty() {
            targets.push(Target::OneOf(resources));
        }
    }
    let mut seen = std::collections::HashSet::new();
    targets.retain(|target| match target {
        Target::Account => true,
        Target::OneOf(resources) => seen.insert(resources.clone()),
    });
    if !names_itself || row.creates() {
        targets.push(Target::Account);
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    fn call(action: &str, body: &str) -> ActionCall {
        let row = Catalogue::built_in().unwrap().action("2025-09-01", action).unwrap();
        ActionCall::parse(row, body.as_bytes()).unwrap()
    }

    fn targets(action: &str, body: &str) -> Vec<String> {
        let shown = |target: &Target| match target {
            Target::Account => "account".to_owned(),
            Target::OneOf(resources) => {
                resources.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")
            }
        };
        call(action, body).targets().iter().map(shown).collect()
    }

    #[test]
    fn every_named_resource_is_a_target_and_lists_and_creations_are_the_accounts() {
        for (action, body, wanted) in [
            ("DeleteVpc", r#"{"vpcId":"1"}"#, &["vpc/1"][..]),
            ("DescribeVpcs", "{}", &["account"]),
            ("DescribeVpcs", r#"{"vpcIds":[]}"#, &["account"]),
            ("DescribeVpcs", r#"{"vpcIds":["1","2","1"]}"#, &["vpc/1", "vpc/2"]),
            // The vNICs in a VPC may be anybody's.
            ("DescribeNetworkInterfaces", r#"{"vpcId":"1"}"#, &["vpc/1", "account"]),
            ("CreateVpc", r#"{"name":"n","resourceGroupId":"9"}"#, &["account"]),
            ("CreateSnapshot", r#"{"diskId":"3","snapshotName":"s"}"#, &["disk/3", "account"]),
            ("AttachDisks", r#"{"instanceId":"5","diskIds":["3"]}"#, &["instance/5", "disk/3"]),
            (
                "AddQosPolicyGroupMembers",
                r#"{"qosPolicyGroupId":"1","members":[{"resourceId":"7"}]}"#,
                &["qos-policy-group/1", "eip/7|public-ipv6/7|unmanaged-egress-ip/7"],
            ),
            // A key pair is another product's: a policy sees its id in the request.
            ("DescribeRegions", "{}", &["account"]),
        ] {
            assert_eq!(targets(action, body), wanted, "{action} {body}");
        }
    }

    #[test]
    fn a_record_has_a_digest_in_the_place_of_each_secret() {
        let body = r#"{"instanceIds":["1"],"imageId":"2","password":"hunter2"}"#;
        let recorded = call("ResetInstances", body).recorded(&|_| "digest".to_owned());
        assert_eq!(
            recorded.arguments.get(),
            r#"{"imageId":"2","instanceIds":["1"],"password":"digest"}"#
        );
        let named: Vec<String> = recorded.resources.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["instance/1", "image/2"]);
    }
}
