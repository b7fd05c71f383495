//! Calls whose answer is lost: the gateway looks at their resources, and says `done` once ZEC shows what proves it.

use std::time::Duration;

use serde_json::{Value, json};
use zec_gateway::{
    emulator::{Fault, FaultKind},
    execute::Patience,
};

use crate::{
    client::{Answer, PATIENCE},
    world::{Setup, World},
};

const POLICY: &str = r#"@id("all") permit (principal, action, resource);"#;

/// Looks often, and gives up after this time.
fn looking(give_up: Duration) -> Patience {
    let often = Duration::from_millis(20);
    Patience { first: often, longest: often, give_up, ..Patience::default() }
}

async fn world(give_up: Duration, zec: &str) -> World {
    let (policy, zec) = (POLICY.to_owned(), zec.to_owned());
    let setup = Setup { policy, zec, patience: looking(give_up), ..Setup::without_rate() };
    let world = setup.start().await;
    for id in ["1", "2"] {
        world.zec.insert_resource("subnet", id, &json!({ "name": "lab" }));
    }
    world
}

/// Deletes subnets, and loses ZEC's answer. Returns the operation's id.
async fn lost(world: &World, fault: FaultKind, ids: &[&str]) -> String {
    lost_call(world, fault, "DeleteSubnets", &json!({ "subnetIds": ids })).await
}

/// Makes a call, and loses ZEC's answer. Returns the operation's id.
async fn lost_call(world: &World, fault: FaultKind, action: &str, arguments: &Value) -> String {
    world.zec.inject(Fault::once(fault).on(action));
    let answer = world.alice().post(&format!("/actions/{action}"), &arguments.to_string()).await;
    assert_eq!(answer.problem().1, "outcome-unknown", "{}", answer.text());
    assert!(answer.text().contains("the gateway looks at the resources"), "{}", answer.text());
    answer.json()["operationId"].as_str().unwrap().to_owned()
}

async fn outcome(world: &World, id: &str) -> Value {
    world.alice().get(&format!("/operations/{id}")).await.json()["outcome"].take()
}

/// Waits until nothing holds the first subnet any more, and returns the answer to its next deletion.
async fn until_free(world: &World) -> Answer {
    until_taken(world, "DeleteSubnets", &json!({ "subnetIds": ["1"] })).await
}

/// Makes a call until it is not refused because an earlier one has no outcome, and returns the answer.
async fn until_taken(world: &World, action: &str, arguments: &Value) -> Answer {
    let (alice, target) = (world.alice(), format!("/actions/{action}"));
    let taken = async {
        loop {
            let again = alice.post(&target, &arguments.to_string()).await;
            if again.status != 409 || again.problem().1 != "operation-in-progress" {
                return again;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("an outcome")
}

#[tokio::test]
async fn a_deletion_is_done_once_zec_shows_the_resources_no_longer() {
    let world = world(Duration::from_hours(1), "").await;
    let id = lost(&world, FaultKind::CutAfter, &["1", "2"]).await;
    world.until_metric("operations_total{outcome=\"done\"}", 1.0).await;
    assert_eq!(outcome(&world, &id).await, "done");
    let again = until_free(&world).await;
    assert_eq!(again.json()["code"], "INVALID_SUBNET_NOT_FOUND", "{}", again.text());
}

#[tokio::test]
async fn what_zec_still_shows_proves_nothing() {
    let world = world(Duration::from_secs(2), "").await;
    let id = lost(&world, FaultKind::Cut, &["1", "2"]).await;
    let again = until_free(&world).await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(outcome(&world, &id).await, "unknown");
    assert!(world.sent("DescribeSubnets").len() > 2, "it was looked for");
}

#[tokio::test]
async fn what_was_not_looked_at_before_cannot_be_found_gone() {
    let world = world(Duration::from_secs(2), "preflight = false").await;
    let id = lost(&world, FaultKind::CutAfter, &["1"]).await;
    until_free(&world).await;
    assert_eq!(outcome(&world, &id).await, "unknown");
    assert!(world.sent("DescribeSubnets").is_empty());
}

#[tokio::test]
async fn a_call_is_done_once_zec_shows_what_it_gives() {
    let world = world(Duration::from_hours(1), "").await;
    world.zec.insert_resource("instance", "7", &json!({ "instanceName": "web", "subnetId": "1" }));
    world.zec.insert_resource("disk", "5", &json!({ "diskName": "data" }));
    let nic = crate::world::NIC;
    let calls = [
        ("AttachDisks", json!({ "diskIds": ["5"], "instanceId": "7" })),
        ("AttachNetworkInterface", json!({ "nicId": nic, "instanceId": "7" })),
        ("ModifyInstancesAttribute", json!({ "instanceIds": ["7"], "instanceName": "web-2" })),
    ];
    for (done, (action, arguments)) in (1_u32..).zip(calls) {
        let id = lost_call(&world, FaultKind::CutAfter, action, &arguments).await;
        world.until_metric("operations_total{outcome=\"done\"}", done.into()).await;
        assert_eq!(outcome(&world, &id).await, "done", "{action}");
    }
}

#[tokio::test]
async fn what_zec_showed_before_the_call_proves_nothing_after_it() {
    let world = world(Duration::from_secs(2), "").await;
    world.zec.insert_resource("disk", "5", &json!({ "diskName": "data" }));
    let name = json!({ "diskIds": ["5"], "diskName": "data" });
    let id = lost_call(&world, FaultKind::Cut, "ModifyDisksAttributes", &name).await;
    assert_eq!(until_taken(&world, "ModifyDisksAttributes", &name).await.status, 200);
    assert_eq!(outcome(&world, &id).await, "unknown");
    assert_eq!(world.sent("DescribeDisks").len(), 2, "one look before each call, and none after");
}

/// ZEC may still work on a call that it answered.
#[tokio::test]
async fn what_may_be_the_effect_of_an_earlier_call_proves_nothing() {
    let world = world(Duration::from_secs(2), "").await;
    world.zec.insert_resource("instance", "7", &json!({ "instanceName": "web", "subnetId": "1" }));
    world.zec.insert_resource("disk", "5", &json!({ "diskName": "data" }));
    let attach = json!({ "diskIds": ["5"], "instanceId": "7" });
    for (action, arguments) in
        [("AttachDisks", attach.clone()), ("DetachDisks", json!({ "diskIds": ["5"] }))]
    {
        let answer =
            world.alice().post(&format!("/actions/{action}"), &arguments.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let id = lost_call(&world, FaultKind::CutAfter, "AttachDisks", &attach).await;
    assert_eq!(until_taken(&world, "AttachDisks", &attach).await.status, 200);
    assert_eq!(outcome(&world, &id).await, "unknown");
}
