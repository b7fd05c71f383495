//! The actions of other services that ZEC's users need: they change the resource group and the tags of ZEC's resources.

use serde_json::{Value, json};

use crate::{
    client::Answer,
    world::{Caller, Setup, World},
};

const GROUP: (&str, &str, &str) = ("user", "2024-05-29", "AddResourceResourceGroup");
const TAGS: (&str, &str, &str) = ("zrm", "2025-10-14", "ModifyResourceTags");

/// The team may do everything with its VPCs in its own group, and nobody touches what is `locked`.
const POLICY: &str = r#"
@id("all") permit (principal in Zec::Group::"corp/admins", action, resource);
@id("team") permit (
  principal in Zec::Group::"corp/team", action in Zec::Action::"reclassify",
  resource is Zec::Vpc in Zec::ResourceGroup::"team"
);
@id("locked") forbid (
  principal in Zec::Group::"corp/team", action in Zec::Action::"reclassify", resource is Zec::Vpc
) when { resource.hasTag("locked") };
"#;

async fn world() -> World {
    let world = Setup { policy: POLICY.to_owned(), ..Setup::default() }.start().await;
    let tagged = |key: &str| json!({ "tags": [{ "key": key, "value": "" }] });
    let put = |kind: &str, id: &str, members: Value| world.zec.insert_resource(kind, id, &members);
    put("vpc", "1", json!({ "resourceGroupId": "team", "tags": tagged("env") }));
    put("vpc", "2", json!({ "resourceGroupId": "other" }));
    put("vpc", "3", json!({ "resourceGroupId": "team", "tags": tagged("locked") }));
    put("vpc", "4", json!({ "resourceGroupId": "team", "tags": tagged("zec-gateway:protected") }));
    put("disk", "5", json!({ "resourceGroupId": "team" }));
    world
}

async fn call(caller: &Caller, which: (&str, &str, &str), body: &Value) -> Answer {
    let (service, version, action) = which;
    let headers = [
        ("X-ZC-Action", action),
        ("X-ZC-Version", version),
        ("X-ZC-Service", service),
        ("Content-Type", "application/json"),
    ];
    let path = format!("/api/v2/{service}");
    caller.send("POST", &path, &headers, Some(&body.to_string())).await
}

/// Nothing in these calls says of which type a resource is, so the gateway finds it out before it decides.
#[tokio::test]
async fn a_resource_is_decided_by_the_type_that_it_turns_out_to_have() {
    let world = world().await;
    let (team, admin) = (world.caller("t", &["team"]), world.caller("root", &["admins"]));
    let sales = world.caller("s", &["sales"]);
    let to = |id: &str, group: &str| json!({ "resources": [id], "resourceGroupId": group });
    let tag = |id: &str, key: &str| json!({ "resourceUuid": id, "replaceTags": [{ "key": key, "value": "x" }] });
    for (who, which, body, status) in [
        (&team, TAGS, tag("1", "env"), 200),
        (&team, TAGS, tag("2", "env"), 403),
        (&team, TAGS, tag("3", "env"), 403),
        // As it would be counts too: with the tag, and where ZEC leaves it among others.
        (&team, TAGS, tag("1", "locked"), 403),
        (&team, TAGS, json!({ "resourceUuid": "1", "deleteTagKeys": ["env"] }), 200),
        // The tag of the disk's own is fine, but a disk is no VPC. What is not there is nobody's.
        (&team, TAGS, tag("5", "env"), 403),
        (&team, TAGS, tag("404", "env"), 403),
        (&team, GROUP, to("1", "team"), 200),
        (&team, GROUP, to("1", "other"), 403),
        (&team, GROUP, to("2", "team"), 403),
        (&team, GROUP, json!({ "resources": ["1", "5"], "resourceGroupId": "team" }), 403),
        (&sales, TAGS, tag("1", "env"), 403),
        (&admin, TAGS, tag("5", "env"), 200),
        (&admin, GROUP, to("3", "other"), 200),
        (&admin, TAGS, tag("4", "env"), 403),
    ] {
        let sent = world.sent(which.2).len();
        let answer = call(who, which, &body).await;
        assert_eq!(answer.status, status, "{} {body}: {}", which.2, answer.text());
        assert_eq!(world.sent(which.2).len() - sent, usize::from(status == 200), "{body}");
    }
    // The policy decides the calls of a caller whom no rule permits anything without a request to ZEC.
    let sent = world.zec.requests().len();
    assert_eq!(call(&sales, GROUP, &to("1", "team")).await.status, 403);
    assert_eq!(world.zec.requests().len(), sent);
    // The record names the resource as the type that it has.
    let recorded = admin.get("/operations?resource=vpc/3").await.json();
    let resources = &recorded["operations"][0]["resources"];
    assert_eq!(resources, &json!([{ "id": "3", "type": "vpc" }]), "{recorded}");
    assert_eq!(admin.get("/operations?resource=disk/3").await.json()["operations"], json!([]));
}

/// What lies in something that ZEC does not show cannot be judged, whatever else has the same id.
#[tokio::test]
async fn a_type_that_cannot_be_placed_is_denied_though_another_can_be() {
    const PLACED: &str = r#"
    @id("tagged") permit (principal in Zec::Group::"corp/team", action, resource) when {
      resource is Zec::Image && resource.hasTag("env") || resource is Zec::Disk && resource.hasTag("env")
    };
    @id("prod") forbid (principal, action, resource is Zec::Disk in Zec::Instance::"9");"#;
    let world = Setup { policy: PLACED.to_owned(), ..Setup::default() }.start().await;
    let team = world.caller("t", &["team"]);
    let tags = json!({ "tags": [{ "key": "env", "value": "" }] });
    let body = json!({ "resourceUuid": "7", "replaceTags": [{ "key": "env", "value": "x" }] });
    world.zec.insert_resource("image", "7", &json!({ "tags": tags }));
    assert_eq!(call(&team, TAGS, &body).await.status, 200);
    world.zec.insert_resource("disk", "7", &json!({ "tags": tags, "instanceId": "9" }));
    let answer = call(&team, TAGS, &body).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(answer.json()["denied"][0]["resource"], "resource/7");
    assert_eq!(world.sent(TAGS.2).len(), 1);
}

/// A type would tell a caller who may see nothing that the resource is there.
#[tokio::test]
async fn a_refusal_names_each_id_of_an_unsaid_type_once_and_no_type() {
    let world = world().await;
    let (team, sales) = (world.caller("t", &["team"]), world.caller("s", &["sales"]));
    for (who, ids, refused) in [
        (&team, &["5", "404", "1"][..], &["resource/5", "resource/404"][..]),
        (&sales, &["5", "404"], &["resource/5", "resource/404"]),
    ] {
        let body = json!({ "resources": ids, "resourceGroupId": "team" });
        let answer = call(who, GROUP, &body).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        let denied = answer.json()["denied"].as_array().unwrap().clone();
        let named: Vec<_> = denied.iter().map(|one| one["resource"].clone()).collect();
        assert_eq!(named, refused, "{denied:?}");
    }
}

/// The type of an id is found by reads of every type, eight at a time count as a request of the caller.
#[tokio::test]
async fn a_caller_pays_for_each_read_with_the_rate() {
    let (policy, server) = (POLICY.to_owned(), "read_timeout = \"1s\"".to_owned());
    let setup = Setup { policy, server, requests_per_second: Some(1), ..Setup::default() };
    let world = setup.start().await;
    world.zec.insert_resource("vpc", "1", &json!({ "resourceGroupId": "team" }));
    let body = json!({ "resourceUuid": "1", "replaceTags": [{ "key": "env", "value": "x" }] });
    let answer = call(&world.caller("t", &["team"]), TAGS, &body).await;
    assert_eq!(answer.problem().1, "rate-limited", "{}", answer.text());
    assert_eq!((world.sent(TAGS.2).len(), world.zec.requests().len()), (0, 8));
}

#[tokio::test]
async fn zec_is_asked_at_the_path_of_the_service() {
    let world = world().await;
    let admin = world.caller("root", &["admins"]);
    let body = r#"{"resourceUuid":"1","replaceTags":[{"key":"a","value":"b"}]}"#;
    let answer = admin.post("/actions/ModifyResourceTags", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = world.zec.requests().into_iter().filter(|one| one.action == "ModifyResourceTags");
    let sent: Vec<_> = sent.map(|one| (one.path, one.version)).collect();
    assert_eq!(sent, [("/api/v2/zrm".to_owned(), "2025-10-14".to_owned())]);
    let shown = admin.post("/actions/DescribeVpcs", r#"{"vpcIds":["1"]}"#).await.json();
    let tags = &shown["response"]["dataSet"][0]["tags"]["tags"];
    assert_eq!(tags, &json!([{ "key": "env", "value": "" }, { "key": "a", "value": "b" }]));
}

#[tokio::test]
async fn every_other_service_and_action_is_refused() {
    let world = world().await;
    let admin = world.caller("root", &["admins"]);
    for (which, said) in [
        (("bmc", "2022-11-20", "DescribeInstances"), "no action of the service `bmc`"),
        (("zec2", "2025-09-01", "DescribeVpcs"), "no action of the service `zec2`"),
        (("user", "2024-05-29", "DeleteResourceGroup"), "no action `DeleteResourceGroup`"),
        (("user", "2025-09-01", "DescribeVpcs"), "but at the service `zec`; `user` was called"),
        (("zec", "2025-10-14", "ModifyResourceTags"), "no action `ModifyResourceTags`"),
        (("user", "2024-05-30", "AddResourceResourceGroup"), "in version `2024-05-30`"),
    ] {
        let answer = call(&admin, which, &json!({})).await;
        let json = answer.json();
        assert_eq!(answer.status, 403, "{which:?}: {json}");
        assert_eq!(json["code"], "AUTHFAILURE_UNAUTHORIZED_OPERATION", "{which:?}");
        assert!(json["message"].as_str().unwrap().contains(said), "{which:?}: {json}");
        assert!(json["requestId"].as_str().unwrap().starts_with('T'), "{which:?}");
    }
    assert!(world.nothing_was_sent());
}
