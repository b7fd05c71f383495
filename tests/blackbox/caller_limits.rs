//! The limits of one caller, and the freeze on writes.

use std::fs;

use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::{Answer, PATIENCE},
    world::{Caller, NIC, Setup, World},
};

const READ: &str = "DescribeNetworkInterfaces";
const WRITE: &str = "UnassignNetworkInterfaceIpv4";

/// The first refusal of many concurrent requests, and how many were not refused.
async fn burst(caller: &Caller, count: usize) -> (Option<Answer>, usize) {
    let mut asked = JoinSet::new();
    for _ in 0..count {
        let caller = caller.clone();
        asked.spawn(async move { caller.get("/whoami").await });
    }
    let answers = asked.join_all().await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    (answers.into_iter().find(|answer| answer.status != 200), served)
}

fn assert_limited(answer: &Answer, limit: &str) {
    let (status, slug, code) = answer.problem();
    let want = (429, "rate-limited", "REQUEST_LIMIT_EXCEEDED");
    assert_eq!((status, slug.as_str(), code.as_str()), want);
    let wait: u32 = answer.header("retry-after").expect("a time to wait").parse().unwrap();
    assert!(wait >= 1);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(limit) && detail.contains("nothing was sent"), "{detail}");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let world = Setup { requests_per_second: Some(1), ..Setup::default() }.start().await;
    let (refused, served) = burst(&world.alice(), 60).await;
    assert!(served >= 1);
    assert_limited(&refused.expect("a refusal"), "`limits.requests_per_second`, 1,");
    assert_eq!(world.caller("bob", &[]).get("/whoami").await.status, 200);
    for _ in 0..5 {
        // Routes without authentication have no limit per caller.
        assert_eq!(world.alice().get("/problems/internal").await.status, 200);
    }
    assert!(world.metric("rejected_total{reason=\"rate-limited\"}").await >= 1.0);
    let counted = "http_requests_total{code=\"429\",method=\"GET\",route=\"/whoami\"}";
    assert!(world.metric(counted).await >= 1.0);
}

#[tokio::test]
async fn a_request_over_the_rate_reaches_nobody() {
    let world = Setup { requests_per_second: Some(1), ..Setup::default() }.start().await;
    let alice = world.alice();
    let mut answers = Vec::new();
    while answers.last() != Some(&429) && answers.len() < 100 {
        answers.push(alice.get(&format!("/nics/{NIC}")).await.status);
    }
    assert_eq!(answers.pop(), Some(429));
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(world.zec.requests().len(), answers.len());
}

#[tokio::test]
async fn fifty_in_a_second_are_the_default() {
    let world = Setup { requests_per_second: None, ..Setup::default() }.start().await;
    let (refused, served) = burst(&world.alice(), 600).await;
    assert!(served >= 50, "{served}");
    assert_limited(&refused.expect("a refusal"), "`limits.requests_per_second`, 50,");
}

#[tokio::test]
async fn who_has_too_much_running_waits_for_an_answer_and_others_are_served() {
    let limits = "max_concurrent_per_caller = 2".to_owned();
    let world = Setup { limits, ..Setup::default() }.start().await;
    world.zec.inject(Fault::times(FaultKind::Hang, 2).on(READ));
    let mut held = Vec::new();
    for running in 1..=2_u8 {
        assert_eq!(world.alice().get("/whoami").await.status, 200);
        world.until_in_flight(f64::from(running - 1)).await;
        let text = world.alice().text("GET", &format!("/nics/{NIC}"), &[], None);
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        world.until_sent(running.into()).await;
        held.push(stream);
    }
    let refused = world.alice().delete(&format!("/nics/{NIC}/ipv4/10.0.0.21")).await;
    assert_limited(&refused, "`limits.max_concurrent_per_caller`, 2,");
    assert_eq!(world.zec.requests().len(), 2);
    let bob = world.caller("bob", &["netops"]);
    assert_eq!(bob.get(&format!("/nics/{NIC}")).await.status, 200);
    assert_eq!(world.alice().get("/problems/internal").await.status, 200);
    // A caller that hangs up has fewer requests in flight.
    held.pop();
    let served = async { while world.alice().get("/whoami").await.status != 200 {} };
    tokio::time::timeout(PATIENCE, served).await.expect("a place that is free again");
}

#[tokio::test]
async fn a_write_counts_until_it_is_over_although_its_caller_has_hung_up() {
    let in_flight = "http_requests_in_flight";
    for limits in ["max_concurrent_per_caller = 1", "max_concurrent_requests = 1"] {
        let world = Setup { limits: limits.to_owned(), ..Setup::default() }.start().await;
        world.zec.inject(Fault::once(FaultKind::Hang).on(WRITE));
        let text = world.alice().text("DELETE", &write_target(), &[], None);
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        world.until_sent_to(WRITE, 1).await;
        drop(stream);
        let gone = async { while world.metric(in_flight).await > 0.0 {} };
        tokio::time::timeout(PATIENCE, gone).await.expect("the hang-up to be noticed");
        let status = world.alice().get("/whoami").await.status;
        assert!(matches!(status, 429 | 503), "{limits}: {status}");
    }
}

fn write_target() -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")
}

async fn frozen_world(reason: &str) -> World {
    let limits = "freeze_file = \"freeze\"".to_owned();
    let world = Setup { limits, ..Setup::default() }.start().await;
    fs::write(world.files.path().join("freeze"), reason).unwrap();
    world
}

#[tokio::test]
async fn while_the_freeze_file_exists_nothing_is_written_and_everything_read() {
    let world = frozen_world("incident 7: ask alice\nsecond line").await;
    let answer = world.alice().delete(&write_target()).await;
    let (status, slug, code) = answer.problem();
    let want = (503, "frozen", "SERVICE_TEMPORARY_UNAVAILABLE");
    assert_eq!((status, slug.as_str(), code.as_str()), want);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(": incident 7: ask alice; nothing was sent"), "{detail}");
    assert!(answer.header("retry-after").is_some());
    let given = r#"{"ipAddresses": ["10.0.0.60"]}"#;
    let answer = world.alice().post(&format!("/nics/{NIC}/ipv4"), given).await;
    assert_eq!(answer.problem().1, "frozen");
    assert!(world.sent(WRITE).is_empty());
    assert!(world.sent("BatchAssignNetworkInterfaceIpv4").is_empty());
    let ready = world.ready().await;
    assert_eq!(ready.status, 200);
    assert!(
        ready.text().contains("writes frozen: yes, incident 7: ask alice\n"),
        "{}",
        ready.text()
    );
    assert_eq!(world.metric("rejected_total{reason=\"frozen\"}").await, 2.0);
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);

    fs::remove_file(world.files.path().join("freeze")).unwrap();
    assert_eq!(world.alice().delete(&write_target()).await.status, 200);
    assert!(world.ready().await.text().contains("writes frozen: no\n"));
}

#[tokio::test]
async fn who_may_not_write_is_told_so_and_not_of_the_freeze() {
    let world = frozen_world("secret plan").await;
    let answer = world.caller("bob", &["staff"]).delete(&write_target()).await;
    assert_eq!(answer.problem().1, "policy-denied");
    assert!(!answer.text().contains("secret plan"));
}

#[tokio::test]
async fn a_freeze_file_that_is_none_stops_writes_and_holds_nobody_up() {
    let limits = "freeze_file = \"policy\"".to_owned();
    let world = Setup { limits, ..Setup::default() }.start().await;
    let answer = world.alice().delete(&write_target()).await;
    assert_eq!(answer.problem().1, "frozen");
    assert!(world.sent(WRITE).is_empty());
    let text = answer.text();
    assert!(!text.contains(world.files.path().to_str().unwrap()), "no path is shown: {text}");
}
