//! A literal that can never match is a fault.

use std::path::{Path, PathBuf};

use crate::policy::{Directory, Engine};

/// The faults of one policy file, given the configured issuers' names, if any.
fn faults(issuers: Option<&[&str]>, text: &str) -> Vec<String> {
    let directory = Directory {
        path: Path::new("p"),
        files: vec![(PathBuf::from("p/a.cedar"), Ok(text.as_bytes().to_vec()))],
        others: Vec::new(),
    };
    let issuers = issuers.map(|names| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
    let loaded = Engine::from_directory(directory, issuers.as_deref());
    loaded.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// A policy with that condition, which is on line 3 of its file.
fn when(condition: &str) -> String {
    format!(
        "@id(\"f\")\nforbid (principal, action == Zec::Action::\"UnassignNetworkInterfaceIpv4\", resource)\n\
         when {{ {condition} }};"
    )
}

/// Checks that the policy has exactly this fault, on that line.
#[track_caller]
fn assert_fault(issuers: Option<&[&str]>, text: &str, line: usize, words: &str) {
    let found = faults(issuers, text);
    assert_eq!(found.len(), 1, "{text}: {found:#?}");
    assert!(found[0].starts_with(&format!("p/a.cedar:{line}: ")), "{text}: {found:#?}");
    assert!(found[0].contains(words), "{text}: {found:#?}");
}

const CORP: Option<&[&str]> = Some(&["corp", "lab"]);

/// Every place where a literal may appear, with its line.
fn places(literal: &str) -> Vec<(usize, String)> {
    let scope =
        |part: &str| format!("@id(\"f\")\nforbid (\n{part},\naction, resource is Zec::Nic);");
    let mut places = vec![(3, scope(&format!("principal in {literal}")))];
    places.push((3, scope(&format!("principal is Zec::Caller in {literal}"))));
    for condition in [
        format!("principal in {literal}"),
        format!("!(principal in {literal})"),
        format!("principal in [Zec::Group::\"corp/a\", {literal}]"),
        format!("context.dryRun || (if principal in {literal} then true else false)"),
        format!("[Zec::Group::\"corp/a\"].contains({literal})"),
    ] {
        places.push((3, when(&condition)));
    }
    places
}

#[test]
fn a_group_without_an_issuers_name_is_a_fault_wherever_it_stands() {
    for (line, text) in places("Zec::Group::\"netops\"") {
        for issuers in [CORP, None] {
            assert_fault(issuers, &text, line, "`name` of the configuration before it");
        }
    }
}

#[test]
fn an_issuer_that_the_configuration_does_not_know_is_a_fault_and_offline_nobody_knows() {
    for (line, text) in places("Zec::Group::\"crop/netops\"") {
        let words = "`Zec::Group::\"crop/netops\"` can never match: the configuration has no issuer \
                     `crop`, only `corp`, `lab`";
        assert_fault(CORP, &text, line, words);
        assert_eq!(faults(None, &text), [""; 0]);
    }
}

#[test]
fn a_caller_is_looked_at_as_a_group_is() {
    for (id, words) in [
        ("alice", "`name` of the configuration before it"),
        ("crop/alice", "no issuer `crop`"),
        ("Corp/alice", "`Corp` is not an issuer's name"),
        ("/alice", "`` is not an issuer's name"),
        ("corp/", "the subject is empty"),
        (&format!("corp/{}", "a".repeat(257)), "longer than 256 bytes"),
    ] {
        let scope = format!(
            "@id(\"f\")\nforbid (principal == Zec::Caller::\"{id}\", action, resource is Zec::Nic);"
        );
        assert_fault(CORP, &scope, 2, words);
        assert_fault(CORP, &when(&format!("principal == Zec::Caller::\"{id}\"")), 3, words);
    }
    assert_fault(CORP, &when("principal.issuer == \"crop\""), 3, "no issuer `crop`");
    assert_fault(CORP, &when("\"crop\" != principal.issuer"), 3, "no issuer `crop`");
}

#[test]
fn an_id_that_no_vnic_can_have_is_a_fault() {
    let scope = "@id(\"f\")\nforbid (principal, action, resource == Zec::Nic::\"nic.1\");";
    assert_fault(None, scope, 2, "`nic.1` is not a vNIC id");
    assert_fault(None, &when("resource == Zec::Nic::\"\""), 3, "is not a vNIC id");
    assert_fault(None, &when("resource.id == \"nic 1\""), 3, "is not a vNIC id");
}

#[test]
fn a_network_that_is_compared_with_an_address_is_a_fault() {
    for condition in [
        "context.address == ip(\"10.0.0.21/24\")",
        "ip(\"10.0.0.21/24\") == context.address",
        "context.address != ip(\"10.0.0.21/24\")",
        "[ip(\"10.0.0.1\"), ip(\"10.0.0.21/24\")].contains(context.address)",
        "resource has primaryIpv4 && resource.primaryIpv4 == ip(\"10.0.0.21/24\")",
        "ip(\"10.0.0.21/24\").isInRange(context.address)",
    ] {
        let words = "`ip(\"10.0.0.21/24\")` is not a single IPv4 address";
        assert_fault(None, &when(&format!("context has address && ({condition})")), 3, words);
    }
    assert_fault(None, &when("context.address == ip(\"::1\")"), 3, "is not a single IPv4 address");
    let other = "context has address && context.address.isInRange(ip(\"2001:db8::/32\"))";
    assert_fault(None, &when(other), 3, "holds no IPv4 address");
}

#[test]
fn a_misspelt_name_after_has_is_a_fault() {
    for condition in [
        "context has adress && context.adress == ip(\"10.0.0.1\")",
        "context.request has ipAdresses && context.request.ipAdresses.contains(ip(\"10.0.0.1\"))",
        "!(context has request.cidrBlock)",
        "resource has primaryIPv4",
        // The right name at the wrong place.
        "context has nicId",
        "resource has nicId",
    ] {
        let found = faults(None, &when(condition));
        assert!(found.iter().any(|one| one.contains("is never true")), "{condition}: {found:?}");
    }
    for condition in ["context has request.nicId", "{\"x\": 1} has y || context.dryRun"] {
        assert_eq!(faults(None, &when(condition)), [""; 0], "{condition}");
    }
}

#[test]
fn what_can_be_met_is_no_fault() {
    for condition in [
        "principal in [Zec::Group::\"corp/a\", Zec::Group::\"lab/b/c\"]",
        "principal == Zec::Caller::\"corp/alice@example.com\"",
        "principal.issuer == \"lab\" && resource.id == \"nic-1\" && resource.name == \"a b\"",
        "resource == Zec::Nic::\"1612345678901234567\"",
        "context.address == ip(\"10.0.0.21\") || context.address == ip(\"10.0.0.21/32\")",
        "context.address.isInRange(ip(\"10.0.0.0/24\"))",
        "[ip(\"10.0.0.1\")].contains(context.address)",
        "context.request has ipAddresses && context.request.ipAddresses.contains(ip(\"10.0.0.1\"))",
        "[\"corp\", \"lab\"].contains(principal.issuer) && [\"nic-1\"].contains(resource.id)",
    ] {
        assert_eq!(faults(CORP, &when(condition)), [""; 0], "{condition}");
    }
}

#[test]
fn an_account_or_an_id_that_there_cannot_be_is_a_fault() {
    for (literal, words) in [
        ("Zec::Account::\"main\"", "the only account is `zec`"),
        ("Zec::Vpc::\"prod vpc\"", "an id of ZEC's has"),
    ] {
        let text = format!("@id(\"f\")\nforbid (principal, action, resource == {literal});");
        assert_fault(None, &text, 2, words);
    }
}

/// An argument may be a network, or an address of version 6.
#[test]
fn a_network_that_is_compared_with_an_argument_is_no_fault() {
    for condition in [
        "context.request has cidrBlock && context.request.cidrBlock == ip(\"10.0.0.0/16\")",
        "context.request has cidrBlock && [ip(\"10.0.0.0/16\")].contains(context.request.cidrBlock)",
        "context.request has cidrBlock && context.request.cidrBlock.isInRange(ip(\"2001:db8::/32\"))",
    ] {
        let text = format!(
            "@id(\"f\")\nforbid (principal, action == Zec::Action::\"CreateVpc\", resource)\nwhen {{ {condition} }};"
        );
        assert_eq!(faults(CORP, &text), [""; 0], "{condition}");
    }
}

#[test]
fn a_set_that_holds_what_an_attribute_can_never_be_is_a_fault() {
    for (condition, words) in [
        ("[\"corp\", \"crop\"].contains(principal.issuer)", "no issuer `crop`"),
        ("[\"nic-1\", \"bad id!\"].contains(resource.id)", "is not a vNIC id"),
    ] {
        assert_fault(CORP, &when(condition), 3, words);
    }
}

#[test]
fn every_literal_of_every_policy_is_said_at_once() {
    let text = "permit (principal in Zec::Group::\"a\",\n action, resource);\n@id(\"b\")\nforbid \
                (principal in Zec::Group::\"corp/b\", action, resource == Zec::Nic::\"-\")\nwhen { \
                principal == Zec::Caller::\"c\" };";
    let lines: Vec<_> = faults(CORP, text)
        .iter()
        .filter(|fault| fault.contains("can never match"))
        .filter_map(|fault| fault.split(':').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(lines, ["1", "4", "5"]);
}
