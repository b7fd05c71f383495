//! Tests of reading arguments: what is refused, and that what is read is what was sent.

use proptest::prelude::*;

use super::{reader::MAX_VALUES, *};
use crate::{catalogue::Catalogue, domain::generated};

fn row(name: &str) -> &'static ActionRow {
    Catalogue::built_in().unwrap().action("2025-09-01", name).unwrap()
}

fn fault(name: &str, body: &str) -> String {
    Arguments::parse(row(name), body.as_bytes()).unwrap_err().to_string()
}

fn named(arguments: &Arguments) -> Vec<(&str, &str, &str)> {
    let named = arguments.named().iter();
    named.map(|one| (one.types[0].as_str(), one.id.as_str(), one.parameter.as_str())).collect()
}

#[test]
fn every_named_resource_is_found_wherever_it_is() {
    let body = br#"{"members":[{"ipType":"Eip","resourceId":"7"},{"resourceId":"8"}],"qosPolicyGroupId":"1"}"#;
    let read = Arguments::parse(row("AddQosPolicyGroupMembers"), body).unwrap();
    assert_eq!(
        named(&read),
        [
            ("eip", "7", "members[].resourceId"),
            ("eip", "8", "members[].resourceId"),
            ("qos-policy-group", "1", "qosPolicyGroupId"),
        ]
    );
    assert_eq!(read.named()[0].types.len(), 3, "the body does not say of which type");
    assert_eq!(read.canonical().as_bytes(), body);
    let read = Arguments::parse(row("AttachDisks"), br#"{"instanceId":"5","diskIds":["3","4"]}"#);
    let read = read.unwrap();
    assert_eq!(read.canonical(), r#"{"diskIds":["3","4"],"instanceId":"5"}"#);
    assert_eq!(named(&read).len(), 3);
}

#[test]
fn null_is_absence_and_an_empty_list_is_kept() {
    let read =
        Arguments::parse(row("DescribeInstances"), br#"{"instanceIds":[],"name":null}"#).unwrap();
    assert_eq!(read.canonical(), r#"{"instanceIds":[]}"#);
    assert_eq!(read.get("name"), None);
}

/// An action, a body, and a text that the error must contain.
const BAD: &[(&str, &str, &str)] = &[
    // A client that sends a request again may have lost the body.
    ("DescribeInstances", "", "the body is empty: send the arguments as a JSON object"),
    ("DescribeInstances", "{", "the body is not JSON"),
    ("DescribeInstances", "[]", "is not a JSON object"),
    ("DescribeInstances", "null", "is not a JSON object"),
    ("DescribeInstances", r#"{"name":"a","name":"a"}"#, "twice"),
    ("DescribeInstances", r#"{"name":"a","\u006eame":"a"}"#, "twice"),
    (
        "DescribeInstances",
        r#"{"instanceids":["1"]}"#,
        "unknown parameter `instanceids`: write `instanceIds`",
    ),
    ("DescribeInstances", r#"{"instance_ids":["1"]}"#, "write `instanceIds`"),
    ("DescribeInstances", r#"{"x\n":1}"#, "unknown parameter `x\\n`: the action takes `"),
    ("DescribeRegions", r#"{"x":{}}"#, "unknown parameter `x`"),
    ("DescribeInstances", r#"{"instanceIds":"1"}"#, "`instanceIds[]` is not a list"),
    ("DescribeInstances", r#"{"instanceIds":[1]}"#, "`instanceIds[]` is not a string"),
    ("DescribeInstances", r#"{"instanceIds":[null]}"#, "`instanceIds[]` is not a string"),
    ("DescribeInstances", r#"{"instanceIds":[""]}"#, "`instanceIds[]` is not an id"),
    ("DescribeInstances", r#"{"instanceIds":["a/b"]}"#, "`instanceIds[]` is not an id"),
    ("DescribeInstances", r#"{"pageSize":"20"}"#, "`pageSize` is not a whole number"),
    ("DescribeInstances", r#"{"pageSize":20.0}"#, "`pageSize` is not a whole number"),
    (
        "DescribeInstances",
        r#"{"pageSize":9223372036854775808}"#,
        "`pageSize` is not a whole number",
    ),
    ("DescribeInstances", r#"{"ipv4Address":"10.0.0.256"}"#, "`ipv4Address` is not an IP address"),
    ("CreateVpc", r#"{"cidrBlock":"10.0.0.0/33"}"#, "`cidrBlock` is not a network or an IP"),
    ("CreateVpc", r#"{"cidrBlock":"10.0.0.0/08"}"#, "`cidrBlock` is not a network or an IP"),
    ("CreateVpc", r#"{"cidrBlock":"10.0.0/8"}"#, "`cidrBlock` is not a network or an IP"),
    ("DescribeInstances", r#"{"ipv4Address":"010.0.0.1"}"#, "`ipv4Address` is not an IP address"),
    ("StopInstances", r#"{"forceShutdown":"true"}"#, "`forceShutdown` is not `true` or `false`"),
    ("StopInstances", r#"{"forceShutdown":1}"#, "`forceShutdown` is not `true` or `false`"),
    ("CreateVpc", r#"{"tags":[]}"#, "`tags` is not an object"),
    ("CreateVpc", r#"{"tags":{"tags":{}}}"#, "`tags.tags[]` is not a list of objects"),
    ("CreateVpc", r#"{"tags":{"tags":["a"]}}"#, "`tags.tags[]` is not a list of objects"),
    (
        "CreateVpc",
        r#"{"tags":{"tags":[{"Key":"a"}]}}"#,
        "unknown parameter `tags.tags[].Key`: write `key`",
    ),
];

#[test]
fn a_body_that_is_not_exactly_the_actions_is_refused() {
    for (action, body, said) in BAD {
        let found = fault(action, body);
        assert!(found.contains(said), "{action} {body}: {found}");
    }
}

#[test]
fn a_fraction_is_what_a_policy_can_see() {
    let row = row("AssignNetworkInterfaceIpv6");
    let read = |number: &str| {
        Arguments::parse(row, format!(r#"{{"nicId":"1","packageSize":{number}}}"#).as_bytes())
    };
    for number in ["1", "0.1", "-1.2345", "1.0", "100.5", "12e1"] {
        read(number).unwrap();
    }
    for number in ["0.12345", "1e300", "1e-7", "1e15", "922337203685478"] {
        let said = read(number).unwrap_err().to_string();
        assert!(said.contains("at most four digits after the point"), "{number}: {said}");
    }
}

#[test]
fn what_would_widen_a_call_must_be_said_openly() {
    let read = |action: &str, body: &str| {
        Arguments::parse(row(action), body.as_bytes()).map(drop).map_err(|error| error.to_string())
    };
    for (action, without, with) in [
        (
            "RemoveQosPolicyGroupMembers",
            r#"{"qosPolicyGroupId":"1","resourceIds":[]}"#,
            r#"{"qosPolicyGroupId":"1","resourceIds":["1"]}"#,
        ),
        (
            "ConfigureSecurityGroupRules",
            r#"{"securityGroupId":"1"}"#,
            r#"{"securityGroupId":"1","ruleInfos":[{"cidrIp":"10.0.0.0/8"}]}"#,
        ),
        (
            "ModifySnatEntry",
            r#"{"snatEntryId":"1","isAllEip":false}"#,
            r#"{"snatEntryId":"1","isAllEip":true}"#,
        ),
        (
            "ModifySnatEntry",
            r#"{"snatEntryId":"1"}"#,
            r#"{"snatEntryId":"1","isAllEip":false,"eipIds":["1"]}"#,
        ),
    ] {
        let said = read(action, without).unwrap_err();
        assert!(said.contains("is missing: without it, ZEC acts on more"), "{action}: {said}");
        read(action, with).unwrap();
    }
}

#[test]
fn a_call_names_what_it_is_about() {
    assert_eq!(fault("DeleteVpc", "{}"), "`vpcId` is missing: it names what the call is about");
    assert!(fault("StartInstances", r#"{"instanceIds":[]}"#).contains("`instanceIds` is missing"));
    // No source says whether ZEC requires these.
    assert!(fault("DeleteSubnets", "{}").contains("`subnetIds` is missing"));
    for replace in
        [r#"[{"ownIp":"203.0.113.9"}]"#, r#"[{"eipId":"1"},{"ownIp":"203.0.113.9"}]"#, "[]"]
    {
        let said = fault("ReplaceEipAddress", &format!(r#"{{"replaceIps":{replace}}}"#));
        assert!(said.contains("`replaceIps[].eipId` is missing"), "{said}");
    }
}

#[test]
fn of_two_parameters_for_one_thing_only_one_may_be_given() {
    for (action, body, said) in [
        (
            "AssociateEipAddress",
            r#"{"nicId":"1","natId":"2"}"#,
            "only one of `nicId`, `natId` may be given",
        ),
        ("ModifySnatEntry", r#"{"isAllEip":true,"eipIds":["1"]}"#, "`isAllEip`, `eipIds`"),
        ("ResetInstances", r#"{"password":"x","keyId":"1"}"#, "`password`, `keyId`"),
    ] {
        assert!(fault(action, body).contains(said), "{action}: {}", fault(action, body));
    }
    let one = br#"{"eipIds":["7"],"nicId":"1","natId":null}"#;
    Arguments::parse(row("AssociateEipAddress"), one).unwrap();
}

#[test]
fn a_body_cannot_name_or_hold_more_than_the_gateway_reads() {
    let ids = |count: usize| format!(r#"{{"instanceIds":[{}"1"]}}"#, r#""1","#.repeat(count - 1));
    Arguments::parse(row("DescribeInstances"), ids(200).as_bytes()).unwrap();
    assert!(fault("DescribeInstances", &ids(201)).contains("more than 200 ids of resources"));
    let keys = |count: usize| format!(r#"{{"tagKeys":[{}"1"]}}"#, r#""1","#.repeat(count - 1));
    Arguments::parse(row("DescribeInstances"), keys(MAX_VALUES - 1).as_bytes()).unwrap();
    assert!(fault("DescribeInstances", &keys(MAX_VALUES)).contains("more than 50000 values"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_of_any_action_is_what_was_sent(seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (row, sent, mut ids) = generated::arguments(&mut random);
        let read = Arguments::parse(row, sent.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&Value::Object(read.members.clone()), &sent, "{}", row.name);
        let mut found: Vec<&str> = read.named().iter().map(|one| one.id.as_str()).collect();
        found.sort_unstable();
        ids.sort_unstable();
        prop_assert_eq!(found, ids, "{}", row.name);
        let again = Arguments::parse(row, read.canonical().as_bytes()).unwrap();
        prop_assert_eq!(again.canonical(), read.canonical());
    }
}

#[test]
fn with_leave_what_the_row_does_not_have_is_passed_on_and_kept_as_a_secret() {
    let row = row("CreateVpc");
    let read = |body: &str| Arguments::parse_with(row, body.as_bytes(), UnknownFields::Pass);
    let body = r#"{"cidrBlock":"10.0.0.0/16","name":"n","newField":{"a":[1,"x",null]},"tags":{"tags":[{"key":"k","new":1.23456}]}}"#;
    let passed = read(body).unwrap();
    assert_eq!(passed.canonical(), body);
    let recorded = passed.without_secrets(row, &|text| format!("digest of {text}"));
    assert_eq!(
        recorded,
        r#"{"cidrBlock":"10.0.0.0/16","name":"n","newField":"digest of {\"a\":[1,\"x\",null]}","tags":{"tags":[{"key":"k","new":"digest of 1.23456"}]}}"#
    );
    // ZEC might take another spelling for the parameter that the policy decides on.
    for other in ["CidrBlock", "cidr_block", "cidr-block"] {
        let error = read(&format!(r#"{{"name":"n","{other}":"10.0.0.0/8"}}"#)).unwrap_err();
        assert!(error.to_string().contains("write `cidrBlock`"), "{error}");
    }
    // Nor is it a spelling that only some readers take for it.
    let padded = format!("cidr{}Block", "_".repeat(60));
    for other in [padded.as_str(), "cidrBloc\u{212a}", "cidrBlock\u{200b}", ""] {
        let error = read(&format!(r#"{{"name":"n","{other}":"10.0.0.0/8"}}"#)).unwrap_err();
        assert!(matches!(error, ArgumentsError::Unknown { .. }), "{other}: {error}");
    }
    let long = format!(r#"{{"name":"n","new":[{}0]}}"#, "[],".repeat(MAX_VALUES));
    assert!(matches!(read(&long), Err(ArgumentsError::TooMany { .. })));
    assert!(matches!(Arguments::parse(row, body.as_bytes()), Err(ArgumentsError::Unknown { .. })));
}

/// Each id is decided as every type that it can have.
#[test]
fn few_ids_of_an_unsaid_type_may_be_named() {
    let row = Catalogue::built_in().unwrap().named("AddResourceResourceGroup", None).unwrap();
    let read = |count: usize| {
        let ids: Vec<_> = (0..count).map(|id| id.to_string()).collect();
        let body = serde_json::json!({ "resources": ids, "resourceGroupId": "g" });
        Arguments::parse(row, body.to_string().as_bytes())
    };
    let most = read(44).unwrap();
    assert_eq!(most.named()[0].types.len(), 18);
    let error = read(45).unwrap_err().to_string();
    assert!(error.contains("more than 44 ids of resources whose type"), "{error}");
}

/// No source says which of two tags with one key remains, or whether ZEC removes before it sets.
#[test]
fn a_write_names_each_tag_once() {
    let refused = |action: &str, body: &str| Arguments::parse(row(action), body.as_bytes()).err();
    let twice = Some(ArgumentsError::RepeatedTag("team".to_owned()));
    let tags = r#"{"policyId":"1","tags":{"tags":[{"key":"team","value":"a"},{"key":"team","value":"b"}]}}"#;
    assert_eq!(refused("ModifyPolicy", tags), twice);
    let own = |body: &str| {
        let row =
            Catalogue::built_in().unwrap().action("2025-10-14", "ModifyResourceTags").unwrap();
        Arguments::parse(row, body.as_bytes()).err()
    };
    for body in [
        r#"{"resourceUuid":"1","replaceTags":[{"key":"team"}],"deleteTagKeys":["team"]}"#,
        r#"{"resourceUuid":"1","replaceTags":[{"key":"team"},{"key":"a"},{"key":"team"}]}"#,
        r#"{"resourceUuid":"1","deleteTagKeys":["team","team"]}"#,
    ] {
        assert_eq!(own(body), twice, "{body}");
    }
    let without = r#"{"resourceUuid":"1","replaceTags":[{"value":"a"}]}"#;
    assert_eq!(own(without), Some(ArgumentsError::Missing("replaceTags[].key".to_owned())));
    let fine =
        r#"{"resourceUuid":"1","replaceTags":[{"key":"a"},{"key":"b"}],"deleteTagKeys":["c"]}"#;
    assert_eq!(own(fine), None);
    // A filter may repeat itself: it leaves nothing behind.
    assert_eq!(refused("DescribeVpcs", r#"{"tagKeys":["team","team"]}"#), None);
}

#[test]
fn a_resource_that_zec_requires_is_named() {
    let refused = |action: &str, body: &str| Arguments::parse(row(action), body.as_bytes()).err();
    let required = |name: &str| Some(ArgumentsError::Required(name.to_owned()));
    for body in ["{}", r#"{"name":"n"}"#, r#"{"subnetId":null}"#] {
        assert_eq!(refused("CreateNetworkInterface", body), required("subnetId"), "{body}");
    }
    assert_eq!(refused("AttachDisks", r#"{"diskIds":["1"]}"#), required("instanceId"));
    assert_eq!(refused("CreateNetworkInterface", r#"{"subnetId":"1"}"#), None);
}

/// A value that no parameter explains may be a secret, however deep it is.
#[test]
fn a_record_has_a_digest_of_each_value_without_a_parameter() {
    let record = |body: &str| {
        let row = row("CreateVpc");
        let read = Arguments::parse_with(row, body.as_bytes(), UnknownFields::Pass).unwrap();
        read.without_secrets(row, &|_| "digest".to_owned())
    };
    assert_eq!(record(r#"{"name":"n"}"#), r#"{"name":"n"}"#);
    assert_eq!(record(r#"{"name":"n","note":"s"}"#), r#"{"name":"n","note":"digest"}"#);
    let nested = record(r#"{"tags":{"note":"s","tags":[{"key":"k","note":"s","value":"v"}]}}"#);
    assert_eq!(
        nested,
        r#"{"tags":{"note":"digest","tags":[{"key":"k","note":"digest","value":"v"}]}}"#
    );
}
