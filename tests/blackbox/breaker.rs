//! The breaker stops requests to a failing ZEC, and closes again after it recovers.

use std::time::Duration;

use zec_gateway::{
    emulator::{Fault, FaultKind, NicSeed},
    execute::Patience,
};

use crate::{
    client::{Answer, PATIENCE},
    world::{NIC, Setup, World, nic},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";
const READ: &str = "DescribeNetworkInterfaces";

/// This many failures open the breaker.
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

/// The values of a metric for reads and for writes.
async fn open(world: &World, name: &str) -> [f64; 2] {
    let of = |kind: &str| format!("{name}{{kind=\"{kind}\"}}");
    [world.metric(&of("read")).await, world.metric(&of("write")).await]
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
    let blunt = Setup::without_preflight("the read before each write would find out");
    // The vNICs are not read for the outcomes of the writes either.
    let patience = Patience { first: Duration::from_hours(1), ..Patience::default() };
    let world = Setup { patience, ..blunt }.start().await;
    world.zec.inject(broken(WRITE));
    for number in 0..FAILURES {
        assert_eq!(write(&world, number).await.problem().1, "zec-bad-answer");
    }
    spared(&write(&world, FAILURES).await);
    assert_eq!(sent(&world, WRITE), FAILURES, "nothing more is sent");
    let recorded = f64::from(FAILURES);
    let pending = world.metric("operations_total{outcome=\"pending\"}").await;
    assert!((pending - recorded).abs() < 0.1, "what is spared leaves no record: {pending}");
    assert_eq!(open(&world, "zec_breaker_open_nics").await, [0.0, 1.0], "reads go on");
    assert_eq!(open(&world, "zec_breaker_open").await, [0.0, 0.0], "and all on other vNICs");

    // ZEC is well again: the gateway finds out by a read of its own, although nothing else reads here.
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
    assert_eq!(open(&world, "zec_breaker_open_nics").await, [0.0, 0.0]);
}

#[tokio::test]
async fn after_many_failures_reads_are_refused_unsent() {
    let blunt = Setup::without_preflight("a write goes on where nothing is read before it");
    let world = blunt.start().await;
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

/// With the defaults, the vNIC is read before each write; here ZEC fails only at the writes.
#[tokio::test]
async fn a_vnic_whose_writes_fail_is_spared_by_itself_and_found_well_again() {
    let world = World::start().await;
    let bob = world.caller("bob", &["netops"]);
    world.zec.insert_nic(nic("bobs"));
    let seed = NicSeed {
        secondaries: (30..=60).map(|low| [10, 0, 0, low].into()).collect(),
        ..nic("many")
    };
    world.zec.insert_nic(seed);
    world.zec.inject(broken(WRITE));
    let off = |number: u32| format!("/nics/many/ipv4/10.0.0.{}", 30 + number);
    for number in 0..FAILURES {
        let answer = world.alice().delete(&off(number)).await;
        assert_eq!(answer.problem().1, "zec-bad-answer", "{number}: {}", answer.text());
    }
    spared(&world.alice().delete(&off(FAILURES)).await);
    assert_eq!(sent(&world, WRITE), FAILURES, "nothing more is sent");
    assert_eq!(open(&world, "zec_breaker_open_nics").await, [0.0, 1.0]);
    let given = bob.post("/nics/bobs/ipv4", r#"{"ipAddresses":["10.0.0.9"]}"#).await;
    assert_eq!(given.status, 200, "{}", given.text());
    let until_well = async {
        while world.alice().delete(&off(FAILURES)).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_well).await.expect("a write that is let through");
    assert_eq!(sent(&world, WRITE), FAILURES + 1);
}

/// ZEC fails at each of mallory's requests, which are for one vNIC, and at no others.
#[tokio::test]
async fn one_vnic_and_one_caller_who_retries_keep_zec_from_nobody() {
    let world = Setup::without_rate().start().await;
    let (mallory, bob) = (world.caller("mallory", &["netops"]), world.caller("bob", &["netops"]));
    world.zec.insert_nic(nic("bobs"));
    for number in 0..5 * FAILURES {
        world.zec.inject(Fault::times(FaultKind::Status500, 2));
        mallory.get(&format!("/nics/{NIC}")).await;
        mallory.delete(&format!("/nics/{NIC}/ipv4/10.0.0.{}", 30 + number)).await;
        world.zec.clear_faults();
        assert_eq!(bob.get("/nics/bobs").await.status, 200, "after {number} requests");
        let given = bob.post("/nics/bobs/ipv4", r#"{"ipAddresses":["10.0.0.9"]}"#).await;
        assert_eq!(given.status, 200, "{}", given.text());
        assert_eq!(bob.delete("/nics/bobs/ipv4/10.0.0.9").await.status, 200);
    }
    spared(&mallory.get(&format!("/nics/{NIC}")).await);
    // If the vNIC cannot be read, nothing is written.
    assert_eq!(open(&world, "zec_breaker_open_nics").await, [1.0, 0.0]);
    assert_eq!(open(&world, "zec_breaker_open").await, [0.0, 0.0]);
}

#[tokio::test]
async fn where_zec_fails_at_several_vnics_all_are_refused_unsent() {
    let world = World::start().await;
    world.zec.inject(broken(READ));
    for number in 0..FAILURES {
        let target = format!("/nics/nic-{}", number % 4);
        assert_eq!(world.alice().get(&target).await.status, 502, "{number}");
    }
    spared(&world.alice().get(&format!("/nics/{NIC}")).await);
    assert_eq!(open(&world, "zec_breaker_open").await, [1.0, 0.0]);
    assert_eq!(sent(&world, READ), FAILURES, "nothing more is sent");
}

#[tokio::test]
async fn where_zec_cannot_be_reached_one_vnic_is_enough() {
    // Nothing listens there.
    let endpoint = Some("http://127.0.0.1:1".to_owned());
    let world = Setup { endpoint, ..Setup::default() }.start().await;
    let mut unreached = 0;
    // Each request makes several attempts.
    while !world.alice().get(&format!("/nics/{NIC}")).await.text().contains("sends it nothing") {
        unreached += 1;
        assert!(unreached <= FAILURES);
    }
    assert_eq!(open(&world, "zec_breaker_open").await, [1.0, 0.0]);
    assert_eq!(open(&world, "zec_breaker_open_nics").await, [0.0, 0.0]);
}
