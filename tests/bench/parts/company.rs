//! The policies of a company, spread over every action of the catalogue.

use std::{collections::BTreeMap, fmt::Write as _};

use zec_gateway::catalogue::{ActionRow, Catalogue, ResourceRow};

/// The rules for everybody that come first: the two about addresses and destructive actions concern every caller's
/// change, and the other six name single actions.
const EVERYBODY: [&str; 8] = [
    r#"@id("never-infrastructure") forbid (principal, action in Zec::Action::"addresses", resource is Zec::Nic)
when { context.address.isInRange(ip("10.255.0.0/28")) || context.address == ip("10.254.0.1") };"#,
    r#"@id("change-freeze") forbid (principal, action in Zec::Action::"destructive", resource)
when { context.now >= datetime("2025-12-18T16:00:00Z") && context.now < datetime("2026-01-04T08:00:00Z") };"#,
    r#"@id("no-public-addresses") forbid (principal, action in [Zec::Action::"CreateEips",
Zec::Action::"AssociateEipAddress", Zec::Action::"AssignNetworkInterfaceIpv6"], resource)
unless { principal in Zec::Group::"corp/edge" };"#,
    r#"@id("small-machines") forbid (principal, action == Zec::Action::"CreateZecInstances", resource)
when { context.request.instanceCount > 10 };"#,
    r#"@id("no-open-groups") forbid (principal, action == Zec::Action::"ConfigureSecurityGroupRules", resource)
when { context.via == "rest" };"#,
    r#"@id("keep-networks") forbid (principal, action == Zec::Action::"DeleteVpc", resource)
unless { principal in Zec::Group::"corp/netops" };"#,
    r#"@id("keep-disks") forbid (principal, action == Zec::Action::"ApplySnapshot", resource)
unless { principal in Zec::Group::"corp/storage" };"#,
    r#"@id("catalogue-for-all") permit (principal, action in Zec::Action::"catalogue", resource);"#,
];

/// How many of them concern a change of addresses. The smaller set has only these.
const OF_ADDRESSES: usize = 2;

/// The policies of each team, of which three name single actions of the catalogue.
const OF_A_TEAM: usize = 8;
const SINGLE: usize = 3;

/// The team of the caller.
const OWN: usize = 5;

/// Ten policies: the two for everybody that concern a change of addresses, and those of the caller's team.
pub(crate) fn ten() -> String {
    let mut text = EVERYBODY[..OF_ADDRESSES].join("\n");
    text.push_str(&team(&actions(), OWN));
    text
}

/// A thousand policies: the text of those for everybody, and the text of each of 124 teams.
pub(crate) fn thousand() -> Vec<String> {
    let teams = (1000 - EVERYBODY.len()) / OF_A_TEAM;
    let actions = actions();
    assert!(teams * SINGLE > actions.len(), "some actions have no policy");
    let of_teams = (0..teams).map(|number| team(&actions, number));
    [EVERYBODY.join("\n")].into_iter().chain(of_teams).collect()
}

/// Every action that a policy can name.
fn actions() -> Vec<&'static ActionRow> {
    let rows = Catalogue::built_in().unwrap().actions().iter();
    let by_name: BTreeMap<&str, &ActionRow> = rows.map(|row| (row.name.as_str(), row)).collect();
    // The gateway performs this one as another.
    by_name.into_values().filter(|row| row.name != "AssignNetworkInterfaceIpv4").collect()
}

/// The policies of one team. It sees and changes its resource group, lists it, and takes its own addresses off. Its lead
/// destroys what is no production.
fn team(actions: &[&ActionRow], number: usize) -> String {
    let (group, lead) = (
        format!("in Zec::Group::\"corp/team-{number}\""),
        format!("== Zec::Caller::\"corp/lead-{number}\""),
    );
    let place = format!("Zec::ResourceGroup::\"rg-{number}\"");
    let mut text = format!(
        r#"
@id("{number}-reads") permit (principal {group}, action in Zec::Action::"read", resource in {place});
@id("{number}-writes") permit (principal {group}, action in Zec::Action::"write", resource in {place})
unless {{ action in Zec::Action::"destructive" }};
@id("{number}-lists") permit (principal {group}, action in Zec::Action::"read", resource == Zec::Account::"zec")
when {{ context.request has resourceGroupId && context.request.resourceGroupId == {place} }};
@id("{number}-lead") permit (principal {lead}, action in Zec::Action::"destructive", resource is Zec::Instance in {place})
unless {{ resource.hasTag("env") && resource.getTag("env") == "prod" }};
@id("{number}-addresses") permit (principal {group}, action == Zec::Action::"UnassignNetworkInterfaceIpv4", resource)
when {{ context.address.isInRange(ip("10.0.{number}.0/24")) }};
"#
    );
    for single in 0..SINGLE {
        let action = actions[(number * SINGLE + single) % actions.len()];
        let who = if single == 0 { &lead } else { &group };
        let (name, scope) = (&action.name, scope(action));
        let _ = writeln!(
            text,
            "@id(\"{number}-{name}\") permit (principal {who}, action == Zec::Action::\"{name}\", {scope};"
        );
    }
    text
}

/// The resources of a policy about one action: those with a tag or a name, where the action names any.
fn scope(action: &ActionRow) -> String {
    let catalogue = Catalogue::built_in().unwrap();
    let named =
        || action.named_types().into_iter().filter_map(|kind| catalogue.resource(kind.as_str()));
    let of = |row: &ResourceRow, condition: &str| {
        format!("resource is Zec::{}) when {{ {condition} }}", type_name(row.kind.as_str()))
    };
    if let Some(row) = named().find(|row| row.has_tags) {
        of(row, "resource.hasTag(\"env\") && resource.getTag(\"env\") == \"lab\"")
    } else if let Some(row) = named().next() {
        of(row, "resource.id like \"16*\"")
    } else {
        "resource == Zec::Account::\"zec\") unless { context.dryRun }".to_owned()
    }
}

/// The name of a type in the schema: `NatGateway` for `nat-gateway`.
fn type_name(kind: &str) -> String {
    let word = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    kind.split('-').map(word).collect()
}
