//! How many resources a caller may name in destructive calls within an hour.

use serde_json::json;
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::Answer,
    world::{Caller, Setup, World},
};

const POLICY: &str = r#"
@id("team") permit (principal in Zec::Group::"corp/team", action, resource);
@id("netops") permit (principal in Zec::Group::"corp/netops", action in Zec::Action::"write", resource);
"#;

const ACTION: &str = "ReleaseInstances";

fn setup(journal: &str) -> Setup {
    Setup {
        policy: POLICY.to_owned(),
        limits: "destructive_per_hour = 3".to_owned(),
        rest: format!("[journal]\npath = \"{journal}\""),
        ..Setup::default()
    }
}

async fn start(journal: &str) -> World {
    let world = setup(journal).start().await;
    for id in 1..=9 {
        world.zec.insert_resource("instance", &id.to_string(), &json!({}));
    }
    world
}

async fn delete(caller: &Caller, ids: &[&str], query: &str) -> Answer {
    caller
        .post(&format!("/actions/{ACTION}{query}"), &json!({ "instanceIds": ids }).to_string())
        .await
}

fn refused(answer: &Answer) {
    assert_eq!((answer.status, answer.problem().1.as_str()), (429, "budget-exceeded"));
    let message = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(message.contains("`limits.destructive_per_hour` lets one caller name 3"), "{message}");
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 60);
}

#[tokio::test]
async fn a_caller_destroys_no_more_in_an_hour_than_the_budget_whatever_restarts() {
    let files = tempfile::tempdir().unwrap();
    let journal = files.path().join("journal.db").to_str().unwrap().to_owned();
    let mut world = start(&journal).await;
    let team = world.caller("t", &["team"]);
    refused(&delete(&team, &["1", "2", "3", "4"], "").await);
    // What ZEC refuses does not count, nor does what is only rehearsed.
    let refusal = FaultKind::UnknownStatus(409, "OPERATION_DENIED_INSTANCE_IN_USE".to_owned());
    world.zec.inject(Fault { action: Some(ACTION.to_owned()), ..Fault::once(refusal) });
    assert_eq!(delete(&team, &["1", "2"], "").await.status, 409);
    assert_eq!(delete(&team, &["1", "2"], "?dryRun=true").await.status, 200);
    assert_eq!(delete(&team, &["1", "2"], "").await.status, 200);
    refused(&delete(&team, &["3", "4"], "").await);
    refused(&delete(&team, &["3", "4"], "?dryRun=true").await);
    // Other writes, addresses and other callers have their own.
    assert_eq!(team.post("/actions/CreateVpc", r#"{"name":"n"}"#).await.status, 200);
    let off = "/nics/1612345678901234567/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22";
    assert_eq!(team.delete(off).await.status, 200);
    let netops = world.caller("n", &["netops"]);
    assert_eq!(delete(&netops, &["5", "6", "7"], "").await.status, 200);
    // An unknown outcome counts.
    let cut = Fault { action: Some(ACTION.to_owned()), ..Fault::once(FaultKind::Cut) };
    world.zec.inject(cut);
    assert_eq!(delete(&team, &["3"], "").await.status, 504);
    refused(&delete(&team, &["4"], "").await);
    assert_eq!(world.sent(ACTION).len(), 4);

    world.ask_to_stop();
    assert!(world.stopped().await);
    let next = start(&journal).await;
    refused(&delete(&next.caller("t", &["team"]), &["4"], "").await);
    refused(&delete(&next.caller("n", &["netops"]), &["8"], "").await);
    assert_eq!(delete(&next.caller("other", &["team"]), &["8"], "").await.status, 200);
}
