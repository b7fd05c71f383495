//! A ZEC in trouble is left alone, and found again.

use std::time::Duration;

use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::{Answer, PATIENCE},
    world::{NIC, World},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";
const READ: &str = "DescribeNetworkInterfaces";

/// So many failures are too many.
const FAILURES: u32 = 20;

fn broken(action: &str) -> Fault {
    Fault { action: Some(action.to_owned()), ..Fault::times(FaultKind::Status500, FAILURES) }
}

async fn write(world: &World, number: u32) -> Answer {
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.{}", 30 + number);
    world.alice().delete(&target).await
}

fn sent(world: &World, action: &str) -> u32 {
    u32::try_from(world.sent(action).len()).unwrap()
}

#[track_caller]
fn spared(answer: &Answer) {
    let (status, slug, code) = answer.problem();
    assert_eq!((status, slug.as_str()), (503, "zec-unavailable"), "{}", answer.text());
    assert_eq!(code, "SERVICE_TEMPORARY_UNAVAILABLE");
    assert!(answer.header("retry-after").is_some());
    assert!(answer.text().contains("nothing was sent"), "{}", answer.text());
}

#[tokio::test]
async fn after_many_failures_writes_are_refused_unsent_until_a_read_has_succeeded() {
    let world = World::start().await;
    world.zec.inject(broken(WRITE));
    for number in 0..FAILURES {
        assert_eq!(write(&world, number).await.problem().1, "zec-bad-answer");
    }
    spared(&write(&world, FAILURES).await);
    assert_eq!(sent(&world, WRITE), FAILURES, "nothing more is sent");
    let recorded = f64::from(FAILURES);
    let pending = world.metric("operations_total{outcome=\"pending\"}").await;
    assert!((pending - recorded).abs() < 0.1, "what is spared leaves no record: {pending}");
    assert!(world.metric("zec_breaker_open{kind=\"write\"}").await > 0.5);
    assert!(world.metric("zec_breaker_open{kind=\"read\"}").await < 0.5, "reads go on");

    // ZEC is well again: it is found out by a read, though nothing else reads here.
    assert_eq!(sent(&world, READ), 0);
    let until_well = async {
        loop {
            let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4/10.0.0.21")).await;
            if answer.status == 200 {
                return;
            }
            spared(&answer);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_well).await.expect("a write that is let through");
    assert_eq!(sent(&world, READ), 1, "a write is no way to find out");
    assert_eq!(sent(&world, WRITE), FAILURES + 1);
    assert!(world.metric("zec_breaker_open{kind=\"write\"}").await < 0.5);
}

#[tokio::test]
async fn after_many_failures_reads_are_refused_unsent() {
    let world = World::start().await;
    world.zec.inject(broken(READ));
    for _ in 0..FAILURES {
        assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 502);
    }
    spared(&world.alice().get(&format!("/nics/{NIC}")).await);
    assert_eq!(sent(&world, READ), FAILURES, "nothing more is sent");
    assert_eq!(write(&world, 0).await.problem().1, "zec-rejected", "writes go on");
}

#[tokio::test]
async fn refusals_are_answers_and_stop_nothing() {
    let world = World::start().await;
    let refusal = FaultKind::UnknownStatus(409, "INVALID_NIC_LB_ASSOCIATED".to_owned());
    world.zec.inject(Fault::always(refusal));
    for number in 0..=FAILURES {
        assert_eq!(write(&world, number).await.status, 409);
    }
}
