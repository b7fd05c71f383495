//! The decisions of the policy.

mod directory;
mod literals;
mod matrix;
mod operations;
mod seen;
mod slicing;

use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::domain::{
    Addresses, Caller, Change, ChangeIpv4, Nic, NicId, ReadNic, Reason, generated,
};

fn engine(text: &str) -> Engine {
    let source = Source { path: PathBuf::from("test.cedar"), text: text.to_owned() };
    Engine::from_sources(&[source]).unwrap().0
}

fn faults(text: &str) -> Vec<String> {
    let source = Source { path: PathBuf::from("test.cedar"), text: text.to_owned() };
    Engine::from_sources(&[source]).unwrap_err().iter().map(ToString::to_string).collect()
}

fn warnings(text: &str) -> Vec<String> {
    let source = Source { path: PathBuf::from("test.cedar"), text: text.to_owned() };
    Engine::from_sources(&[source]).unwrap().1.iter().map(ToString::to_string).collect()
}

fn caller(groups: &[&str]) -> Caller {
    Caller::vouch("corp", "alice", groups.iter().map(|group| (*group).to_owned())).unwrap()
}

fn unassign(addresses: &[&str]) -> ChangeIpv4 {
    ChangeIpv4 {
        change: Change::Unassign,
        nic: NicId::parse("nic-1").unwrap(),
        addresses: Addresses::parse(addresses.iter().copied(), 50).unwrap(),
    }
}

fn read() -> ReadNic {
    ReadNic { nic: NicId::parse("nic-1").unwrap() }
}

fn nic(tags: &[(&str, &str)]) -> Nic {
    let tags: Vec<_> =
        tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let object = json!({
        "nicId": "nic-1", "name": "lab", "status": "USED", "nicType": "Secondary", "regionId": "r",
        "vpcId": "v", "subnetId": "s", "publicIpList": [], "primaryIpv4": "10.0.0.1",
        "secondaryIpv4s": [],
        "instanceId": "i", "resourceGroup": {"resourceGroupId": "g"}, "tags": {"tags": tags}
    });
    Nic::parse(serde_json::value::to_raw_value(&object).unwrap()).unwrap()
}

fn ids(reasons: &[Reason]) -> Vec<&str> {
    reasons.iter().map(|reason| reason.id.as_str()).collect()
}

const LAB: &str = r#"
@id("lab") @reason("netops owns the lab")
permit (principal in Zec::Group::"corp/netops", action == Zec::Action::"UnassignNetworkInterfaceIpv4", resource)
when { context.address.isInRange(ip("10.0.0.0/24")) };
"#;

#[test]
fn what_no_policy_allows_is_denied() {
    let engine = engine(LAB);
    let Verdict::Denied(denial) = engine.ask(&caller(&[]), unassign(&["10.0.0.2"])) else {
        panic!("not denied")
    };
    assert!(denial.denied[0].policies.is_empty());
    assert!(matches!(engine.ask(&caller(&["netops"]), read()), Verdict::Denied(_)));
}

#[test]
fn every_address_must_be_allowed_and_each_denied_one_is_named() {
    let engine = engine(LAB);
    let netops = caller(&["netops", "other"]);
    let Verdict::Allowed(permit) = engine.ask(&netops, unassign(&["10.0.0.2", "10.0.0.3"])) else {
        panic!("not allowed")
    };
    assert_eq!(permit.policies(), ["lab"]);
    let asked = unassign(&["10.0.0.2", "10.9.0.1", "10.0.0.3", "10.9.0.2"]);
    let Verdict::Denied(denial) = engine.ask(&netops, asked) else { panic!("not denied") };
    let addresses: Vec<_> = denial.denied.iter().map(|d| d.address.unwrap().to_string()).collect();
    assert_eq!(addresses, ["10.9.0.1", "10.9.0.2"]);
}

#[test]
fn the_issuer_is_part_of_every_name() {
    let engine = engine(LAB);
    let other = Caller::vouch("partner", "alice", ["netops".to_owned()]).unwrap();
    assert!(matches!(engine.ask(&other, unassign(&["10.0.0.2"])), Verdict::Denied(_)));
    // `corp` + `x/netops` is not `corp/x` + `netops`: an issuer's name contains no slash.
    let slashed = Caller::vouch("corp", "a", ["/netops".to_owned()]).unwrap();
    assert!(matches!(engine.ask(&slashed, unassign(&["10.0.0.2"])), Verdict::Denied(_)));
}

#[test]
fn a_forbid_wins_and_says_why() {
    let engine = engine(&format!(
        "{LAB}{}",
        r#"@id("gateway") @reason("the subnet's gateway") forbid (principal, action, resource)
        when { context has address && context.address == ip("10.0.0.1") };"#
    ));
    let Verdict::Denied(denial) = engine.ask(&caller(&["netops"]), unassign(&["10.0.0.1"])) else {
        panic!("not denied")
    };
    assert_eq!(ids(&denial.denied[0].policies), ["gateway"]);
    assert_eq!(denial.denied[0].policies[0].reason.as_deref(), Some("the subnet's gateway"));
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies_and_is_named() {
    // Valid by the schema, but overflows during evaluation: Cedar would skip the forbid.
    let engine = engine(&format!(
        "{LAB}{}",
        r#"@id("odd") forbid (principal, action == Zec::Action::"UnassignNetworkInterfaceIpv4", resource)
        when { context.addressCount + 9223372036854775807 < 0 };"#
    ));
    let Verdict::Denied(denial) = engine.ask(&caller(&["netops"]), unassign(&["10.0.0.2"])) else {
        panic!("an erring forbid was skipped")
    };
    assert!(denial.is_error());
    assert_eq!(ids(&denial.denied[0].failed), ["odd"]);
}

/// One test for each form in which a forbid can read a vNIC (docs/threats.md, row 27).
#[test]
fn a_forbid_that_looks_at_the_vnic_never_vanishes_for_want_of_data() {
    for condition in [
        r#"when { resource.hasTag("protected") }"#,
        r#"when { resource in Zec::Subnet::"s" }"#,
        r#"when { resource in [Zec::Region::"r", Zec::Region::"q"] }"#,
        r#"when { resource is Zec::Nic in Zec::Vpc::"v" }"#,
        r#"when { resource has primaryIpv4 && resource.primaryIpv4.isInRange(ip("10.0.0.0/8")) }"#,
        r#"when { resource.attached }"#,
        r#"unless { resource.hasPublicIp }"#,
        r#"when { resource.name like "l*" }"#,
        r#"when { resource.hasTag("protected") && resource.getTag("protected") == "yes" }"#,
    ] {
        let engine = engine(&format!(
            "{LAB}@id(\"look\") forbid (principal, action, resource is Zec::Nic) {condition};"
        ));
        let netops = caller(&["netops"]);
        let Verdict::DependsOnData(pending) = engine.ask(&netops, unassign(&["10.0.0.2"])) else {
            panic!("decided without the vNIC: {condition}")
        };
        let denial = engine.decide(&netops, pending, &nic(&[("protected", "yes")])).unwrap_err();
        assert_eq!(ids(&denial.denied[0].policies), ["look"], "{condition}");
    }
    let engine = engine(&format!(
        "{LAB}@id(\"look\") forbid (principal, action, resource in Zec::ResourceGroup::\"g\");"
    ));
    let asked = engine.ask(&caller(&["netops"]), unassign(&["10.0.0.2"]));
    assert!(matches!(asked, Verdict::DependsOnData(_)));
}

#[test]
fn the_vnic_is_not_read_for_a_caller_whom_no_policy_could_allow() {
    let engine = engine(
        r#"
        @id("tagged") permit (principal in Zec::Group::"corp/netops", action, resource is Zec::Nic)
        when { resource.hasTag("lab") };
        @id("other-nic") permit (principal == Zec::Caller::"corp/alice", action, resource == Zec::Nic::"nic-2")
        when { resource.attached };
        @id("look") forbid (principal, action, resource is Zec::Nic) when { resource.hasTag("protected") };
        @id("never") forbid (principal, action, resource)
        when { context has address && context.address == ip("10.0.0.1") };"#,
    );
    // Only forbids read the vNIC, and her only permit is about another vNIC.
    assert!(matches!(engine.ask(&caller(&[]), unassign(&["10.0.0.2"])), Verdict::Denied(_)));
    // Forbidden, whatever the vNIC's data.
    let netops = caller(&["netops"]);
    assert!(matches!(engine.ask(&netops, unassign(&["10.0.0.1"])), Verdict::Denied(_)));
    // Only here can the vNIC's data change the answer.
    let Verdict::DependsOnData(pending) = engine.ask(&netops, unassign(&["10.0.0.2"])) else {
        panic!("decided without the vNIC")
    };
    let permit = engine.decide(&netops, pending, &nic(&[("lab", "")])).unwrap();
    assert_eq!(permit.policies(), ["tagged"]);
}

#[test]
fn reads_and_action_groups_are_policed_too() {
    let engine = engine(
        r#"@id("r") permit (principal, action in Zec::Action::"read", resource);
        @id("w") permit (principal in Zec::Group::"corp/w", action in Zec::Action::"write", resource);
        @id("d") permit (principal in Zec::Group::"corp/d", action in [Zec::Action::"destructive"], resource);"#,
    );
    let allowed = |groups: &[&str], change: Change| {
        let asked = ChangeIpv4 { change, ..unassign(&["10.0.0.2"]) };
        matches!(engine.ask(&caller(groups), asked), Verdict::Allowed(_))
    };
    assert!(matches!(engine.ask(&caller(&[]), read()), Verdict::Allowed(_)));
    assert!(!allowed(&[], Change::Assign) && !allowed(&[], Change::Unassign));
    assert!(allowed(&["w"], Change::Assign) && allowed(&["w"], Change::Unassign));
    assert!(!allowed(&["d"], Change::Assign) && allowed(&["d"], Change::Unassign));
}

#[test]
fn every_form_of_a_scope_finds_its_caller() {
    for scope in [
        "principal",
        "principal is Zec::Caller",
        r#"principal == Zec::Caller::"corp/alice""#,
        r#"principal in Zec::Caller::"corp/alice""#,
        r#"principal in Zec::Group::"corp/netops""#,
        r#"principal is Zec::Caller in Zec::Caller::"corp/alice""#,
        r#"principal is Zec::Caller in Zec::Group::"corp/netops""#,
    ] {
        let engine = Engine::unvalidated(&format!(
            "@id(\"p\") permit (principal, action, resource);
             @id(\"f\") forbid ({scope}, action, resource);"
        ));
        let Verdict::Denied(denial) = engine.ask(&caller(&["netops"]), read()) else {
            panic!("a forbid was not found: {scope}")
        };
        assert_eq!(ids(&denial.denied[0].policies), ["f"], "{scope}");
    }
}

#[test]
fn a_caller_whom_a_policy_might_forbid_to_see_a_vnic_does_not_learn_of_its_absence() {
    let see = r#"@id("see") permit (principal, action in Zec::Action::"read", resource);"#;
    assert!(engine(see).may_learn_of_absence(&caller(&[]), read()));
    let secret = r#"@id("secret") forbid (principal, action, resource is Zec::Nic)
        when { resource.hasTag("secret") };"#;
    assert!(!engine(&format!("{see}{secret}")).may_learn_of_absence(&caller(&[]), read()));
    assert!(!engine(LAB).may_learn_of_absence(&caller(&["netops"]), read()));
}

#[test]
fn a_directory_without_policies_is_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("lab.cedar.bak"), LAB).unwrap();
    let faults = Engine::load(directory.path()).unwrap_err();
    assert!(faults[0].to_string().contains("no *.cedar file"), "{faults:?}");
    std::fs::write(directory.path().join("lab.cedar"), LAB).unwrap();
    assert_eq!(Engine::load(directory.path()).unwrap().0.len(), 1);
}

#[test]
fn every_fault_is_said_at_once_with_its_line() {
    let found = faults(
        r#"permit (principal, action, resource);

@id("a") permit (principal, action, resource) when { resource.nmae == "x" };
@id("a") permit (principal, action, resource);
@id("b") permit (principal in Zec::Team::"x", action, resource);
@id("c") permit (principal, action == Zec::Action::"Unassign", resource);"#,
    );
    for (line, word) in [(1, "@id"), (3, "nmae"), (4, "`a`"), (5, "Team"), (6, "Unassign")] {
        let place = format!("test.cedar:{line}: ");
        let said = found.iter().any(|fault| fault.starts_with(&place) && fault.contains(word));
        assert!(said, "line {line}, {word}: {found:#?}");
    }
    let broken = faults("@id(\"a\")\npermit (principal, action resource);");
    assert!(broken[0].starts_with("test.cedar:2: "), "{broken:?}");
    let template = faults("@id(\"a\")\npermit (principal == ?principal, action, resource);");
    assert!(template[0].contains("templates"), "{template:?}");
}

/// Cedar reads a long file in pieces.
#[test]
fn faults_far_down_in_a_long_file_have_their_lines() {
    let fine = |number: usize| {
        format!(
            "@id(\"{number}\") permit (principal in Zec::Group::\"corp/a\", action, resource);\n"
        )
    };
    let long: String = (0..2_000).map(fine).collect();
    let far = faults(&format!(
        "{long}@id(\"x\") permit (principal, action, resource is Nic)\nwhen {{ resource.nmae == \"x\" }};\n\
         @id(\"y\") permit (principal, action, resource)\nwhen {{ principal in Zec::Group::\"a\" }};\n\
         @id(\"1\") permit (principal, action, resource);"
    ));
    for (line, word) in [(2_001, "Nic"), (2_004, "issuer"), (2_005, "`1`")] {
        let place = format!("test.cedar:{line}: ");
        let said = far.iter().any(|fault| fault.starts_with(&place) && fault.contains(word));
        assert!(said, "line {line}, {word}: {far:#.300?}");
    }
    let broken = faults(&format!("{long}permit (principal, action resource);\n{long}"));
    assert!(broken[0].starts_with("test.cedar:2001: "), "{:.300}", broken[0]);
}

/// Cedar's own advice, to put `hasTag` and `&&` in front, would reverse the meaning.
#[test]
fn the_opposite_of_a_tag_is_told_how_it_is_written() {
    let forbid = |condition: &str| {
        format!(
            "@id(\"f\") forbid (principal, action, resource is Zec::Nic) when {{ {condition} }};"
        )
    };
    let refused = forbid(r#"!resource.hasTag("env") || resource.getTag("env") != "lab""#);
    let said = faults(&refused);
    assert_eq!(said.len(), 1, "{said:?}");
    let advice = r#"the opposite as `!(resource.hasTag("x") && resource.getTag("x") == "y")`"#;
    assert!(said[0].contains(advice), "{said:?}");
    assert!(!said[0].contains("try testing"), "{said:?}");
    // The advised form loads, and forbids both vNICs without the tag and vNICs with another value.
    let permit = r#"@id("p") permit (principal, action, resource is Zec::Nic);"#;
    let good = forbid(r#"!(resource.hasTag("env") && resource.getTag("env") == "lab")"#);
    let engine = engine(&format!("{permit}{good}"));
    for (tags, allowed) in
        [(&[("env", "lab")][..], true), (&[("env", "prod")], false), (&[], false)]
    {
        let decided = engine.judge(&caller(&[]), read(), &nic(tags));
        assert_eq!(decided.is_ok(), allowed, "{tags:?}");
    }
}

#[test]
fn a_policy_that_permits_everybody_everything_is_warned_of() {
    let told = warnings("@id(\"a\")\npermit (principal, action, resource);");
    assert!(
        told.iter().any(|w| w.starts_with("test.cedar:1: ") && w.contains("everybody")),
        "{told:?}"
    );
    let told =
        warnings("@id(\"a\") permit (principal is Zec::Caller, action, resource is Zec::Nic);");
    assert_eq!(told.len(), 1);
    assert!(warnings(LAB).is_empty());
}

#[test]
fn the_version_follows_the_text() {
    assert_eq!(engine(LAB).version(), engine(LAB).version());
    assert_ne!(engine(LAB).version(), engine(&format!("{LAB} ")).version());
}
