//! Every action of the catalogue, through the gateway. The tests cover a new row without a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};

use serde_json::{Map, Value, json};
use zec_gateway::{
    catalogue::{ActionRow, Catalogue, Certainty, IfAbsent, Meaning, Parameter, Scalar, Shape},
    emulator::{Fault, FaultKind},
};

use crate::{
    client::Answer,
    real_parts::{left_out, need, output},
    world::{Caller, Setup, World},
};

/// Everything for the administrators. No resource has to be read to decide that.
const ADMINS: &str = r#"
@id("admins") permit (principal in Zec::Group::"corp/admins", action, resource);
"#;

/// One group's resources for the team.
const TEAM: &str = r#"
@id("team") permit (principal in Zec::Group::"corp/team", action, resource in Zec::ResourceGroup::"team");
@id("team-lists") permit (principal in Zec::Group::"corp/team", action in Zec::Action::"read", resource == Zec::Account::"zec")
when { context.request has resourceGroupId && context.request.resourceGroupId == Zec::ResourceGroup::"team" };
@id("prod") forbid (principal, action in Zec::Action::"write", resource in Zec::Vpc::"900000000000000001");
"#;

/// A password that no record, log or answer may hold.
const SECRET: &str = "Only-the-machine-knows-7";

/// The actions on addresses that have tests of their own; they are decided for each address.
const OF_ADDRESSES: [&str; 3] = [
    "AssignNetworkInterfaceIpv4",
    "BatchAssignNetworkInterfaceIpv4",
    "UnassignNetworkInterfaceIpv4",
];

async fn world(policy: &str) -> World {
    Setup { policy: policy.to_owned(), ..Setup::without_rate() }.start().await
}

fn rows() -> impl Iterator<Item = &'static ActionRow> {
    let rows = Catalogue::built_in().unwrap().actions().iter();
    rows.filter(|row| !OF_ADDRESSES.contains(&row.name.as_str()))
}

/// The id of each type that is there for the action with this number.
fn id_of(number: usize) -> String {
    format!("18{number:016}")
}

/// Arguments that ZEC takes: what it requires, what the gateway demands, and every secret.
fn arguments(row: &ActionRow, id: &str) -> Map<String, Value> {
    let mut given = object(&row.parameters, id);
    for group in &row.alternatives {
        let there = group.iter().filter(|name| given.contains_key(*name)).cloned();
        for other in there.skip(1).collect::<Vec<_>>() {
            given.remove(&other);
        }
    }
    given
}

fn object(parameters: &[Parameter], id: &str) -> Map<String, Value> {
    let wanted = |one: &&Parameter| {
        one.required != Certainty::No
            || one.meaning == Meaning::Secret
            || matches!(one.if_absent, IfAbsent::Widens { .. })
    };
    let given = parameters.iter().filter(wanted);
    given.map(|one| (one.name.clone(), value(one, id))).collect()
}

fn value(parameter: &Parameter, id: &str) -> Value {
    let one = |scalar: Scalar| match (scalar, &parameter.meaning) {
        (Scalar::Text, Meaning::Id(_)) => json!(id),
        (Scalar::Text, Meaning::Address | Meaning::Addresses) => json!("10.0.0.77"),
        (Scalar::Text, Meaning::Network) => json!("10.0.0.0/16"),
        (Scalar::Text, Meaning::Secret) => json!(SECRET),
        (Scalar::Text, _) => json!("text"),
        (Scalar::Integer, _) => json!(1),
        (Scalar::Float, _) => json!(1.5),
        (Scalar::Boolean, _) => json!(true),
    };
    match &parameter.shape {
        Shape::One(scalar) => one(*scalar),
        Shape::Many(scalar) => json!([one(*scalar)]),
        Shape::Object(members) => Value::Object(object(members, id)),
        Shape::Objects(members) => json!([object(members, id)]),
    }
}

/// The types of this API whose ids the arguments hold.
fn types_of(parameters: &[Parameter], given: &Map<String, Value>, found: &mut BTreeSet<String>) {
    let own = |kind: &&zec_gateway::catalogue::ResourceType| !kind.is_of_another_product();
    for parameter in parameters {
        let Some(value) = given.get(&parameter.name) else { continue };
        if let Meaning::Id(types) = &parameter.meaning {
            found.extend(types.iter().filter(own).map(ToString::to_string));
        }
        for item in value.as_array().unwrap_or(&vec![value.clone()]) {
            if let Some(members) = item.as_object() {
                types_of(parameter.members(), members, found);
            }
        }
    }
}

/// Puts a resource of every type there, in this group.
fn put_resources(world: &World, id: &str, group: &str) {
    for row in Catalogue::built_in().unwrap().resources() {
        world.zec.insert_resource(row.kind.as_str(), id, &json!({ "resourceGroupId": group }));
    }
}

async fn call(caller: &Caller, row: &ActionRow, arguments: &Map<String, Value>) -> Answer {
    let headers = [
        ("X-ZC-Action", row.name.as_str()),
        ("X-ZC-Version", row.version.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = Value::Object(arguments.clone()).to_string();
    caller.send("POST", &format!("/api/v2/{}", row.service), &headers, Some(&body)).await
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

/// Every write that is on record: with the types that it names, and without any secret. No read is there.
async fn recorded(admin: &Caller, writes: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut recorded = BTreeSet::new();
    let mut target = "/operations?limit=100".to_owned();
    loop {
        let page = admin.get(&target).await;
        assert!(!page.text().contains(SECRET), "a secret is in the record");
        for one in page.json()["operations"].as_array().unwrap() {
            let text = |name: &str| one[name].as_str().unwrap();
            assert_eq!(text("outcome"), "done", "{one}");
            let call = format!("{}/{}", text("action"), text("apiVersion"));
            let named = one["resources"].as_array().unwrap();
            let named: BTreeSet<String> =
                named.iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect();
            assert_eq!(Some(&named), writes.get(&call), "{one}");
            recorded.insert(call);
        }
        match page.json()["next"].as_str() {
            Some(next) => target = format!("/operations?limit=100&before={next}"),
            None => return recorded,
        }
    }
}

/// Nobody gets past the token and the policy with any action, and what is allowed arrives at ZEC as it was judged.
#[tokio::test(flavor = "multi_thread")]
async fn every_action_is_authenticated_decided_sent_and_recorded() {
    let world = world(ADMINS).await;
    let (admin, mallory) = (world.caller("root", &["admins"]), world.caller("m", &["sales"]));
    let mut writes = BTreeMap::new();
    for (number, row) in rows().enumerate() {
        let (name, id) = (format!("{} {}", row.name, row.version), id_of(number));
        put_resources(&world, &id, "other");
        let given = arguments(row, &id);
        let before = world.zec.requests().len();
        let stranger = call(&world.stranger(), row, &given).await;
        assert_eq!(stranger.status, 401, "{name}");
        let refused = call(&mallory, row, &given).await;
        let denied = (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION".to_owned());
        assert_eq!(code(&refused), denied, "{name}: {}", refused.text());
        assert_eq!(world.zec.requests().len(), before, "{name}: something was sent");

        let answer = call(&admin, row, &given).await;
        assert_eq!(answer.status, 200, "{name} {given:?}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["requestId"], json["response"]["requestId"], "{name}");
        // A read is sent as it came; a write is there once more, for its resources are looked at first.
        let sent = world.zec.requests().into_iter().rev().find(|one| one.action == row.name);
        let sent = sent.unwrap_or_else(|| panic!("{name}: nothing was sent"));
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body, Value::Object(given.clone()), "{name}");
        if row.effect.is_change() {
            let mut named = BTreeSet::new();
            types_of(&row.parameters, &given, &mut named);
            writes.insert(format!("{}/{}", row.name, row.version), named);
        }
    }
    assert_eq!(recorded(&admin, &writes).await, writes.keys().cloned().collect());
    // Counted by their names, which are a closed set.
    let counted = world.metrics().await;
    assert!(counted.contains(r#"policy_decisions_total{action="DeleteVpc",decision="deny"} "#));
}

/// A team's own resources, and nobody else's, whatever the action; the resources are read to decide that.
#[tokio::test(flavor = "multi_thread")]
async fn every_action_on_anothers_resource_is_refused() {
    let world = world(TEAM).await;
    let team = world.caller("t", &["team"]);
    let mut own = 0;
    for (number, row) in rows().enumerate() {
        let id = id_of(number);
        put_resources(&world, &id, "other");
        let given = arguments(row, &id);
        let before = world.sent(&row.name).len();
        let answer = call(&team, row, &given).await;
        // Catalogues and prices name nothing, so they are the account's, which is not the team's.
        let denied = (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION".to_owned());
        assert_eq!(code(&answer), denied, "{} {}: {}", row.name, row.version, answer.text());
        let sent = world.sent(&row.name).len();
        assert!(sent == before || !row.effect.is_change(), "{} was sent", row.name);
        // The same call on the team's own is allowed, if it names only what can be read and has a group.
        let mut named = BTreeSet::new();
        types_of(&row.parameters, &given, &mut named);
        let grouped = |kind: &String| {
            let resources = Catalogue::built_in().unwrap().resources();
            let row = resources.iter().find(|row| row.kind.as_str() == kind).unwrap();
            row.group.is_some() && row.read_by.is_some() && kind != "nic"
        };
        if !named.is_empty()
            && named.iter().all(grouped)
            && row.required_id().is_some()
            && !row.creates()
        {
            put_resources(&world, &id, "team");
            let answer = call(&team, row, &given).await;
            let reclassifies = row.reclassifies();
            assert!(answer.status == 200 || reclassifies, "{}: {}", row.name, answer.text());
            own += usize::from(answer.status == 200);
        }
    }
    assert!(own > 50, "{own}");
}

/// What is decided by the group of the resource itself, of its parent, and of what is around that.
#[tokio::test]
async fn a_resource_is_judged_by_what_it_lies_in() {
    let world = world(TEAM).await;
    let team = world.caller("t", &["team"]);
    let put = |kind: &str, id: &str, members: Value| world.zec.insert_resource(kind, id, &members);
    put("vpc", "1", json!({ "resourceGroupId": "team" }));
    put("vpc", "2", json!({ "resourceGroupId": "other" }));
    put("subnet", "11", json!({ "vpcId": "1" }));
    put("subnet", "12", json!({ "vpcId": "2" }));
    put("instance", "21", json!({ "resourceGroupId": "team", "subnetId": "12" }));
    put("instance", "22", json!({ "resourceGroupId": "other", "subnetId": "11" }));
    put("security-group", "31", json!({ "vpcIds": ["1"] }));
    put("security-group", "32", json!({ "vpcIds": ["1", "2"] }));
    // The VPC that nobody may touch, in the team's own group.
    put("vpc", "900000000000000001", json!({ "resourceGroupId": "team" }));
    put("subnet", "13", json!({ "vpcId": "900000000000000001" }));
    put("instance", "23", json!({ "resourceGroupId": "team", "subnetId": "13" }));
    put("disk", "41", json!({ "resourceGroupId": "team", "instanceId": "23" }));
    put("disk", "42", json!({ "resourceGroupId": "team" }));
    put("disk", "43", json!({ "resourceGroupId": "other" }));
    let row = |action: &str| Catalogue::built_in().unwrap().action("2025-09-01", action).unwrap();
    for (action, arguments, status) in [
        ("DescribeSubnets", json!({ "subnetIds": ["11"] }), 200),
        ("DescribeSubnets", json!({ "subnetIds": ["12"] }), 403),
        ("DescribeSubnets", json!({ "subnetIds": ["11", "12"] }), 403),
        ("DescribeSubnets", json!({ "subnetIds": ["11", "404"] }), 403),
        // The group of its own counts, not its VPC's.
        ("StartInstances", json!({ "instanceIds": ["21"] }), 200),
        ("StartInstances", json!({ "instanceIds": ["22"] }), 403),
        // A security group of two VPCs is in both groups.
        ("DescribeSecurityGroups", json!({ "securityGroupIds": ["31"] }), 200),
        ("DescribeSecurityGroups", json!({ "securityGroupIds": ["32"] }), 403),
        // A rule about a VPC reaches what is in it, however deep.
        ("StartInstances", json!({ "instanceIds": ["23"] }), 403),
        ("DescribeInstances", json!({ "instanceIds": ["23"] }), 200),
        ("ModifyDisksAttributes", json!({ "diskIds": ["41"], "diskName": "n" }), 403),
        ("DescribeDisks", json!({ "diskIds": ["41"] }), 200),
        // Both ends count.
        ("AttachDisks", json!({ "diskIds": ["41"], "instanceId": "21" }), 403),
        // Nobody moves a resource out of the reach of those who decide on it, nor into another's.
        ("ModifyDisksResourceGroup", json!({ "diskIds": ["42"], "resourceGroupId": "team" }), 200),
        ("ModifyDisksResourceGroup", json!({ "diskIds": ["42"], "resourceGroupId": "other" }), 403),
        ("ModifyDisksResourceGroup", json!({ "diskIds": ["43"], "resourceGroupId": "team" }), 403),
        // A list is the account's.
        ("DescribeInstances", json!({}), 403),
        ("DescribeInstances", json!({ "resourceGroupId": "other" }), 403),
        ("DescribeInstances", json!({ "resourceGroupId": "team" }), 200),
    ] {
        let answer = call(&team, row(action), arguments.as_object().unwrap()).await;
        assert_eq!(answer.status, status, "{action} {arguments}: {}", answer.text());
    }
}

/// A policy may look at what a call refers to, wherever that is in its arguments.
#[tokio::test]
async fn a_rule_about_a_resource_in_the_request_is_never_without_its_data() {
    const LOCKED: &str = r#"
    @id("all") permit (principal in Zec::Group::"corp/admins", action, resource);
    @id("locked") forbid (principal, action == Zec::Action::"CreateSubnet", resource)
    when { context.request has vpcId && context.request.vpcId.hasTag("locked") };
    @id("shared") forbid (principal, action == Zec::Action::"CreateZecInstances", resource)
    when { context.request has securityGroupId && context.request.securityGroupId in Zec::Vpc::"2" };"#;
    let world = world(LOCKED).await;
    let admin = world.caller("root", &["admins"]);
    let locked = json!({ "tags": { "tags": [{ "key": "locked", "value": "" }] } });
    world.zec.insert_resource("vpc", "1", &locked);
    world.zec.insert_resource("vpc", "2", &json!({}));
    world.zec.insert_resource("security-group", "31", &json!({ "vpcIds": ["2"] }));
    world.zec.insert_resource("security-group", "32", &json!({ "vpcIds": ["1", "2"] }));
    world.zec.insert_resource("security-group", "33", &json!({ "vpcIds": ["1"] }));
    let row = |action: &str| Catalogue::built_in().unwrap().action("2025-09-01", action).unwrap();
    world.zec.insert_resource("subnet", "5", &json!({ "vpcId": "2" }));
    let machine = |group: &str| {
        json!({
            "zoneId": "z", "instanceType": "t", "securityGroupId": group, "imageId": "public", "subnetId": "5",
        })
    };
    for (action, arguments, status) in [
        ("CreateSubnet", json!({ "vpcId": "1", "cidrBlock": "10.0.0.0/24" }), 403),
        ("CreateSubnet", json!({ "vpcId": "2", "cidrBlock": "10.0.0.0/24" }), 200),
        ("CreateSubnet", json!({ "vpcId": "404", "cidrBlock": "10.0.0.0/24" }), 403),
        ("CreateZecInstances", machine("31"), 403),
        ("CreateZecInstances", machine("32"), 403),
    ] {
        let answer = call(&admin, row(action), arguments.as_object().unwrap()).await;
        assert_eq!(answer.status, status, "{action} {arguments}: {}", answer.text());
    }
    // A public image is none of the team's own, and in nothing. The emulator has no such image, so ZEC refuses the call.
    let answer = call(&admin, row("CreateZecInstances"), machine("33").as_object().unwrap()).await;
    assert_eq!(code(&answer), (404, "INVALID_IMAGE_NOT_FOUND".to_owned()), "{}", answer.text());
}

/// Several calls may refer to one resource at once; only what they change waits.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_refer_to_one_resource_do_not_wait_for_each_other() {
    let world = world(ADMINS).await;
    let admin = world.caller("root", &["admins"]);
    world.zec.insert_resource("vpc", "1", &json!({}));
    let row = |action: &str| Catalogue::built_in().unwrap().action("2025-09-01", action).unwrap();
    let lost =
        Fault { action: Some("CreateSubnet".to_owned()), ..Fault::once(FaultKind::CutAfter) };
    world.zec.inject(lost);
    let subnet = json!({ "vpcId": "1", "cidrBlock": "10.0.0.0/24", "name": "n", "regionId": "r" });
    let subnet = subnet.as_object().unwrap();
    let unknown = call(&admin, row("CreateSubnet"), subnet).await;
    assert_eq!(unknown.status, 504, "{}", unknown.text());
    // It says what is so: nothing will find out what became of it.
    let said = unknown.json()["message"].as_str().unwrap().to_owned();
    assert!(
        said.contains("look at the resources yourself") && !said.contains("not-done"),
        "{said}"
    );
    assert_eq!(call(&admin, row("CreateSubnet"), subnet).await.status, 200);
    let vpc = json!({ "vpcId": "1" });
    assert_eq!(call(&admin, row("DeleteVpc"), vpc.as_object().unwrap()).await.status, 409);
}

/// A caller sees of their own calls what was not done.
#[tokio::test]
async fn what_was_not_done_is_told_to_who_asked_for_it() {
    let world = world(
        r#"@id("lab") permit (principal in Zec::Group::"corp/lab", action == Zec::Action::"DescribeVncUrl", resource);"#,
    )
    .await;
    let lab = world.caller("l", &["lab"]);
    world.zec.insert_resource("instance", "1", &json!({}));
    let keyed = [("Idempotency-Key", "k"), ("Content-Type", "application/json")];
    let body = r#"{"instanceId":"1"}"#;
    let first = lab.send("POST", "/actions/DescribeVncUrl", &keyed, Some(body)).await;
    assert_eq!(first.status, 200, "{}", first.text());
    // The answer holds a secret, so it is kept nowhere; the repeated one says only that it was done.
    let id = first.json()["operationId"].as_str().unwrap().to_owned();
    let kept = lab.get(&format!("/operations/{id}")).await.json();
    assert_eq!((kept["outcome"].as_str(), kept.get("response")), (Some("done"), None));
    let again = lab.send("POST", "/actions/DescribeVncUrl", &keyed, Some(body)).await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json()["response"], json!({ "requestId": first.json()["requestId"] }));
}

#[tokio::test]
async fn the_protecting_tag_holds_for_every_type() {
    let world = world(ADMINS).await;
    let admin = world.caller("root", &["admins"]);
    // The disk's machine is gone; its tags count all the same.
    let tags = json!({
        "tags": { "tags": [{ "key": "zec-gateway:protected", "value": "" }] }, "instanceId": "gone",
    });
    let all = Catalogue::built_in().unwrap();
    let readable = |kind: &str| {
        let row = all.resources().iter().find(|row| row.kind.as_str() == kind);
        row.is_some_and(|row| row.has_tags && row.read_by.is_some())
    };
    let mut checked = BTreeSet::new();
    for (number, row) in rows().filter(|row| row.effect.is_change() && !row.creates()).enumerate() {
        let id = id_of(number);
        let mut types = row.resource_types.iter().map(ToString::to_string);
        let Some(own) = types.find(|own| own != "nic" && readable(own)) else { continue };
        let given = arguments(row, &id);
        // What ZEC does not show may be protected.
        let unseen = call(&admin, row, &given).await;
        let not_shown = (409, "OPERATION_FAILED_RESOURCE_NOT_SHOWN".to_owned());
        assert_eq!(code(&unseen), not_shown, "{}: {}", row.name, unseen.text());
        put_resources(&world, &id, "other");
        world.zec.insert_resource(&own, &id, &tags);
        let answer = call(&admin, row, &given).await;
        assert_eq!(answer.json()["type"], "/problems/protected", "{}: {}", row.name, answer.text());
        let said = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(&format!("`{own}/{id}` carries the tag")), "{said}");
        assert!(world.sent(&row.name).is_empty(), "{}", row.name);
        checked.insert(own);
    }
    assert!(checked.len() > 10, "{checked:?}");
}

/// Nothing proves what became of it, so the answer says where to look, and nobody does it twice meanwhile.
#[tokio::test]
async fn an_unknown_outcome_holds_its_resources() {
    let world = world(ADMINS).await;
    let admin = world.caller("root", &["admins"]);
    world.zec.insert_resource("vpc", "1", &json!({ "name": "old" }));
    let row = |action: &str| Catalogue::built_in().unwrap().action("2025-09-01", action).unwrap();
    let lost =
        Fault { action: Some("ModifyVpcAttribute".to_owned()), ..Fault::once(FaultKind::CutAfter) };
    world.zec.inject(lost);
    let change = json!({ "vpcId": "1", "vpcName": "new" });
    let change = change.as_object().unwrap();
    let unknown = call(&admin, row("ModifyVpcAttribute"), change).await;
    assert_eq!(code(&unknown), (504, "REQUEST_TIMED_OUT".to_owned()), "{}", unknown.text());
    let id = unknown.json()["operationId"].as_str().unwrap().to_owned();
    let kept = admin.get(&format!("/operations/{id}")).await.json();
    assert_eq!(kept["outcome"], "unknown");
    assert_eq!(kept["resources"][0], json!({ "id": "1", "type": "vpc" }));
    let again = call(&admin, row("ModifyVpcAttribute"), change).await;
    assert_eq!(again.status, 409, "{}", again.text());
    assert_eq!(again.json()["operationId"], json!(id));
    let destructive = json!({ "vpcId": "1" });
    let destructive = call(&admin, row("DeleteVpc"), destructive.as_object().unwrap()).await;
    assert_eq!(destructive.status, 409);
    let other = world.caller("second", &["admins"]);
    let others = call(&other, row("ModifyVpcAttribute"), change).await;
    assert_eq!((others.status, others.json().get("operationId")), (409, None));
    assert_eq!((world.sent("ModifyVpcAttribute").len(), world.sent("DeleteVpc").len()), (1, 0));
    // Something else that can be changed back may go on.
    let another = json!({ "vpcId": "1", "cidrBlock": "10.0.0.0/8" });
    let another = call(&admin, row("AssociateVpcCidrBlock"), another.as_object().unwrap()).await;
    assert_eq!(another.status, 200, "{}", another.text());
}

/// A write on a vNIC and a change of its addresses wait for each other, because what the vNIC shows proves an outcome.
#[tokio::test]
async fn calls_on_a_vnic_and_changes_of_its_addresses_wait_for_each_other() {
    let world = world(ADMINS).await;
    let admin = world.caller("root", &["admins"]);
    let row = |action: &str| Catalogue::built_in().unwrap().action("2025-09-01", action).unwrap();
    let once = |action: &str| Fault {
        action: Some(action.to_owned()),
        ..Fault::once(FaultKind::CutAfter)
    };
    let nic = crate::world::NIC;
    world.zec.inject(once("ModifyNetworkInterfaceAttribute"));
    let rename = json!({ "nicId": nic, "name": "new" });
    let rename = rename.as_object().unwrap();
    assert_eq!(call(&admin, row("ModifyNetworkInterfaceAttribute"), rename).await.status, 504);
    let addresses = json!({ "nicId": nic, "ipAddresses": ["10.0.0.21"] });
    let addresses = addresses.as_object().unwrap();
    let blocked = call(&admin, row("UnassignNetworkInterfaceIpv4"), addresses).await;
    assert_eq!(blocked.status, 409, "{}", blocked.text());

    let spare = "1612345678901234568";
    world.zec.inject(once("UnassignNetworkInterfaceIpv4"));
    let addresses = json!({ "nicId": spare, "ipAddresses": ["10.1.0.21"] });
    let addresses = addresses.as_object().unwrap();
    assert_eq!(call(&admin, row("UnassignNetworkInterfaceIpv4"), addresses).await.status, 504);
    let rename = json!({ "nicId": spare, "name": "new" });
    let blocked =
        call(&admin, row("ModifyNetworkInterfaceAttribute"), rename.as_object().unwrap()).await;
    assert_eq!(blocked.status, 409, "{}", blocked.text());
}

/// ZEC's official SDK calls every action of its client, and the known ones of other services, with its own models, and
/// reads every answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_sdk_calls_every_action_through_the_gateway() {
    if left_out("sdk") {
        return;
    }
    let world = world(ADMINS).await;
    let mut calls = Vec::new();
    for (number, row) in rows().filter(|row| row.version != "2024-04-01").enumerate() {
        let id = id_of(number);
        put_resources(&world, &id, "other");
        calls.push(json!({
            "service": row.service, "version": row.version, "action": row.name,
            "arguments": arguments(row, &id),
        }));
    }
    let of_zec = calls.iter().filter(|call| call["service"] == "zec").count();
    assert_eq!(of_zec + OF_ADDRESSES.len(), 247, "an action that nobody calls");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Value::from(calls).to_string()).unwrap();
    let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/venv/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/every_action.py");
    let token = world.caller("root", &["admins"]).bearer().replacen("Bearer ", "", 1);
    let mut command = Command::new(need(&python));
    command.args([script, &world.gateway.to_string()]).arg(file.path()).env("TOKEN", token);
    let (ok, text) = output(&mut command).await;
    assert!(ok && text.contains("251 actions were answered"), "{text}");
}

/// For curl and web applications: by name, with the operation's id, under a key, and as a rehearsal.
#[tokio::test]
async fn an_action_is_called_by_its_name() {
    let world = world(ADMINS).await;
    let admin = world.caller("root", &["admins"]);
    let created =
        admin.post("/actions/CreateVpc", r#"{"name":"n","cidrBlock":"10.0.0.0/16"}"#).await;
    assert_eq!(created.status, 200, "{}", created.text());
    let json = created.json();
    let id = json["operationId"].as_str().unwrap();
    assert_eq!(json["requestId"], json["response"]["requestId"]);
    let kept = admin.get(&format!("/operations/{id}")).await.json();
    // What was created is on record.
    assert_eq!(kept["response"]["vpcId"], json["response"]["vpcId"]);
    assert_eq!(kept["resources"], json!([]));

    let vpc = json["response"]["vpcId"].as_str().unwrap();
    let body = json!({ "vpcId": vpc }).to_string();
    let rehearsed = admin.post("/actions/DeleteVpc?dryRun=true", &body).await;
    assert_eq!(
        rehearsed.json(),
        json!({
            "dryRun": true, "action": "DeleteVpc", "version": "2025-09-01",
            "resources": [{ "id": vpc, "type": "vpc" }], "body": { "vpcId": vpc },
        })
    );
    assert!(world.sent("DeleteVpc").is_empty());
    let keyed = [("Idempotency-Key", "k-1"), ("Content-Type", "application/json")];
    let first = admin.send("POST", "/actions/DeleteVpc", &keyed, Some(&body)).await;
    let again = admin.send("POST", "/actions/DeleteVpc", &keyed, Some(&body)).await;
    assert_eq!((first.status, first.json()), (200, again.json()), "{}", again.text());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(world.sent("DeleteVpc").len(), 1);
    let other = admin.send("POST", "/actions/DeleteVpc", &keyed, Some(r#"{"vpcId":"9"}"#)).await;
    assert_eq!(other.status, 422, "{}", other.text());

    // Secrets are in no rehearsal.
    world.zec.insert_resource("instance", "5", &json!({}));
    let body = json!({ "instanceId": "5", "password": SECRET }).to_string();
    let rehearsed = admin.post("/actions/ResetInstancePassword?dryRun=true", &body).await;
    assert_eq!(rehearsed.status, 200, "{}", rehearsed.text());
    assert!(!rehearsed.text().contains(SECRET) && rehearsed.text().contains("(secret)"));

    let read = admin.post("/actions/DescribeVpcs", r#"{"pageSize":1}"#).await;
    assert_eq!((read.status, read.json().get("operationId")), (200, None));
    for (target, body, status) in [
        ("/actions/DescribeVpcs", "", 400),
        ("/actions/describeVpcs", "{}", 404),
        ("/actions/DescribeVpcs?version=2023-01-01", "{}", 404),
        ("/actions/DescribeVpcs?dryRun=perhaps", "{}", 400),
        ("/actions/DeleteVpc", "{}", 400),
    ] {
        assert_eq!(admin.post(target, body).await.status, status, "{target} {body}");
    }
    let keyed = admin.send("POST", "/actions/DescribeVpcs", &keyed, Some("{}")).await;
    assert_eq!(keyed.status, 400);
}

/// The actions on addresses have the same answer by their names, and everything that their own routes have.
#[tokio::test]
async fn the_actions_on_addresses_are_called_by_their_names_too() {
    let world = world(ADMINS).await;
    let admin = world.caller("root", &["admins"]);
    let body = json!({ "nicId": crate::world::NIC, "ipAddresses": ["10.0.0.21"] }).to_string();
    let rehearsed = admin.post("/actions/UnassignNetworkInterfaceIpv4?dryRun=true", &body).await;
    assert_eq!(rehearsed.json()["dryRun"], true, "{}", rehearsed.text());
    let taken = admin.post("/actions/UnassignNetworkInterfaceIpv4", &body).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert!(taken.json()["operationId"].is_string() && taken.json()["response"].is_object());
    let again = admin.post("/actions/UnassignNetworkInterfaceIpv4", &body).await;
    assert_eq!(code(&again), (409, "OPERATION_FAILED_RESOURCE_NOT_FOUND".to_owned()));
}

/// Anybody may see what there is.
#[tokio::test]
async fn every_action_is_listed_and_described_without_a_token() {
    let world = world(ADMINS).await;
    let stranger = world.stranger();
    let listed = stranger.get("/actions").await.json();
    let all = Catalogue::built_in().unwrap().actions();
    assert_eq!(listed["actions"].as_array().unwrap().len(), all.len());
    for row in all {
        let target = format!("/actions/{}?version={}", row.name, row.version);
        let shown = stranger.get(&target).await;
        assert_eq!(shown.status, 200, "{target}");
        let json = shown.json();
        assert_eq!(json["parameters"].as_array().unwrap().len(), row.parameters.len(), "{target}");
        assert!(!json["decidedOn"].as_array().unwrap().is_empty(), "{target}");
    }
    let stop = stranger.get("/actions/StopInstances").await.json();
    let forced = &stop["parameters"].as_array().unwrap()[1];
    assert_eq!(
        (forced["name"].as_str(), forced["default"].as_str()),
        (Some("forceShutdown"), Some("true"))
    );
    assert_eq!(stranger.get("/actions/Nothing").await.status, 404);
    assert_eq!(stranger.post("/actions/DescribeVpcs", "{}").await.status, 401);
}

/// A machine's user data or a set of rules is larger than any request on addresses.
#[tokio::test]
async fn a_call_may_hold_a_mebibyte_and_no_more() {
    let world = world(ADMINS).await;
    let admin = world.caller("root", &["admins"]);
    let body = |length: usize| {
        json!({ "name": "n", "cidrBlock": "10.0.0.0/16", "tags": { "tags": [{ "key": "k", "value": "v".repeat(length) }] } }).to_string()
    };
    let large = admin.post("/actions/CreateVpc", &body(1_000_000)).await;
    assert_eq!(large.status, 200, "{}", large.text());
    assert_eq!(admin.post("/actions/CreateVpc", &body(1_048_576)).await.status, 413);
}
