//! ZEC's faults and the resulting answers to the caller: every fault, for a read and for a write.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use zec_gateway::{
    emulator::{Fault, FaultKind, Settings},
    lanes,
};

use crate::{
    real_parts::free_address,
    secure::Authority,
    world::{KEY_ID, NIC, Setup, World},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";
const READ: &str = "DescribeNetworkInterfaces";

/// A world that gives up on ZEC after a moment.
async fn impatient() -> World {
    let zec =
        "request_timeout = \"300ms\"\nconnect_timeout = \"200ms\"\npreflight = false".to_owned();
    Setup { zec, ..Setup::default() }.start().await
}

fn write_target() -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")
}

/// Fault; status, slug and code for a read; how often a read is sent; status, slug and code for a write, which is never
/// sent more than once.
type Row = (FaultKind, (u16, &'static str, &'static str), usize, (u16, &'static str, &'static str));

fn table() -> Vec<Row> {
    const BAD: (u16, &str, &str) = (502, "zec-bad-answer", "UPSTREAM_BAD_ANSWER");
    const OURS: (u16, &str, &str) =
        (502, "zec-credentials-refused", "UPSTREAM_CREDENTIALS_REFUSED");
    const LIMIT: (u16, &str, &str) = (429, "rate-limited", "REQUEST_LIMIT_EXCEEDED");
    const AWAY: (u16, &str, &str) = (503, "zec-unavailable", "SERVICE_TEMPORARY_UNAVAILABLE");
    const SLOW: (u16, &str, &str) = (504, "zec-timeout", "REQUEST_TIMED_OUT");
    const UNKNOWN: (u16, &str, &str) = (504, "outcome-unknown", "REQUEST_TIMED_OUT");
    const LB: (u16, &str, &str) = (409, "zec-rejected", "INVALID_NIC_LB_ASSOCIATED");
    let status = |status, code: &str| FaultKind::UnknownStatus(status, code.to_owned());
    vec![
        (FaultKind::Hang, SLOW, 1, UNKNOWN),
        (FaultKind::HangAfter, SLOW, 1, UNKNOWN),
        (FaultKind::Cut, SLOW, 1, UNKNOWN),
        (FaultKind::CutAfter, SLOW, 1, UNKNOWN),
        (FaultKind::Throttle, LIMIT, 3, LIMIT),
        (FaultKind::Unavailable, AWAY, 3, BAD),
        (FaultKind::Status500, BAD, 1, BAD),
        (FaultKind::Html, BAD, 1, BAD),
        (FaultKind::Challenge, BAD, 1, BAD),
        (FaultKind::Redirect, BAD, 1, BAD),
        (FaultKind::NotJson200, BAD, 1, BAD),
        (FaultKind::NoEnvelope, BAD, 1, BAD),
        (FaultKind::Truncated, BAD, 1, BAD),
        (FaultKind::Huge, BAD, 1, BAD),
        (FaultKind::RefuseCredentials, OURS, 1, OURS),
        (status(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"), OURS, 1, OURS),
        (status(401, "SOMETHING_ELSE"), BAD, 1, BAD),
        (status(409, "INVALID_NIC_LB_ASSOCIATED"), LB, 1, LB),
        (status(451, "SOMETHING_ELSE"), BAD, 1, BAD),
        (status(503, "REQUEST_TIMED_OUT"), BAD, 1, BAD),
    ]
}

#[tokio::test]
async fn every_fault_of_zecs_gives_the_contracts_answer_and_a_write_is_sent_once() {
    for (kind, read, reads, write) in table() {
        // Only cases that wait in vain have a short timeout, because a slow machine needs its time for the others.
        let waits = matches!(kind, FaultKind::Hang | FaultKind::HangAfter);
        let world = if waits { impatient().await } else { World::start().await };
        world.zec.inject(Fault::always(kind.clone()).on(READ));
        world.zec.inject(Fault::always(kind.clone()).on(WRITE));

        let answer = world.alice().get(&format!("/nics/{NIC}")).await;
        let (status, slug, code) = answer.problem();
        assert_eq!((status, slug.as_str(), code.as_str()), read, "read, {kind:?}");
        assert_eq!(world.sent(READ).len(), reads, "{kind:?}");

        // The vNIC can be read again, as it must be before a write.
        world.zec.clear_faults();
        world.zec.inject(Fault::always(kind.clone()).on(WRITE));
        let answer = world.alice().delete(&write_target()).await;
        let (status, slug, code) = answer.problem();
        assert_eq!((status, slug.as_str(), code.as_str()), write, "write, {kind:?}");
        assert_eq!(world.sent(WRITE).len(), 1, "{kind:?}");
        assert_eq!(answer.header("retry-after").is_some(), matches!(status, 429 | 503), "{kind:?}");
        let unknown = slug == "outcome-unknown" || slug == "zec-bad-answer";
        let row = recorded(&world).await;
        let outcome = if unknown { "unknown" } else { "rejected" };
        assert_eq!(row["outcome"], outcome, "{kind:?}");
        assert_eq!(row["code"].is_null(), unknown, "{kind:?}: ZEC's refusal is recorded: {row}");
        if slug == "zec-rejected" {
            assert_eq!(row["code"], code.as_str(), "{kind:?}");
        }
        if unknown {
            assert!(
                answer.json()["operationId"].is_string(),
                "{kind:?} does not say where to look"
            );
            assert!(answer.text().contains("do not repeat it before"), "{kind:?}");
        }
        for secret in [KEY_ID, "Signature=", "cf-mitigated"] {
            assert!(!answer.text().contains(secret), "{kind:?} shows {secret}");
        }
    }
}

/// The one recorded write.
async fn recorded(world: &World) -> serde_json::Value {
    let list = world.alice().get("/operations").await.json();
    let [row] = list["operations"].as_array().unwrap().as_slice() else { panic!("{list}") };
    row.clone()
}

#[tokio::test]
async fn an_answer_that_comes_in_its_own_way_is_an_answer_all_the_same() {
    let soon = Duration::from_millis(30);
    for kind in [
        FaultKind::Delay(soon),
        FaultKind::LateAfter(soon),
        FaultKind::Twice,
        FaultKind::Stale(Duration::from_secs(60)),
    ] {
        let world = World::start().await;
        world.zec.inject(Fault::always(kind.clone()));
        assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200, "{kind:?}");
        assert_eq!(world.alice().delete(&write_target()).await.status, 200, "{kind:?}");
        assert_eq!(world.sent(WRITE).len(), 1, "{kind:?}");
        let row = recorded(&world).await;
        assert_eq!((&row["outcome"], &row["code"]), (&"done".into(), &serde_json::Value::Null));
        assert!(row["zecRequestId"].as_str().unwrap().starts_with('T'), "{kind:?}");
    }
}

#[tokio::test]
async fn outcomes_are_counted_as_what_they_are() {
    let world = impatient().await;
    let series =
        |outcome: &str| format!("zec_requests_total{{action=\"{WRITE}\",outcome=\"{outcome}\"}}");
    for (number, (kind, outcome)) in [
        (FaultKind::Cut, "unknown"),
        (FaultKind::Html, "unknown"),
        (FaultKind::Throttle, "rejected"),
        (FaultKind::RefuseCredentials, "credentials_refused"),
        (FaultKind::UnknownStatus(409, "A".to_owned()), "rejected"),
    ]
    .into_iter()
    .enumerate()
    {
        let before = world.metric(&series(outcome)).await;
        world.zec.inject(Fault::once(kind.clone()));
        // A different address each time, because nothing is sent for an address with an unknown outcome.
        world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.{}", 30 + number)).await;
        assert!(world.metric(&series(outcome)).await > before, "{kind:?}");
    }
    assert!(world.metric("unassigned_addresses_total").await == 0.0);
    assert_eq!(world.alice().delete(&write_target()).await.status, 200);
    assert!(world.metric(&series("ok")).await == 1.0);
    assert!(world.metric("unassigned_addresses_total").await == 1.0);
    assert!(world.metric(r#"rejected_total{reason="zec-bad-answer"}"#).await == 1.0);
}

#[tokio::test]
async fn a_read_recovers_when_zec_does() {
    let world = World::start().await;
    world.zec.inject(Fault::times(FaultKind::Unavailable, 2));
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
    assert_eq!(world.sent(READ).len(), 3);
    let requests = world.zec.requests();
    assert!(requests.iter().all(|request| request.authenticated), "each try is signed afresh");
}

#[tokio::test]
async fn another_vnic_than_the_one_asked_for_is_no_answer() {
    let world = World::start().await;
    world.zec.inject(Fault::always(FaultKind::WrongNic));
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.problem().1, "zec-bad-answer");
}

/// A ZEC that gives every request the same answer.
async fn parrot(response: &'static str) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let body = format!(r#"{{"requestId":"T1","response":{response}}}"#);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Setup { endpoint, ..Setup::default() }.start().await
}

#[tokio::test]
async fn only_a_list_that_is_there_and_empty_means_that_there_is_no_such_vnic() {
    for (response, slug) in [
        (r#"{"requestId":"T1","totalCount":0,"dataSet":[]}"#, "zec-rejected"),
        (r#"{"requestId":"T1","totalCount":0,"dataSet":null}"#, "zec-rejected"),
        (r#"{"requestId":"T1","totalCount":1,"dataSet":[]}"#, "zec-bad-answer"),
        (r#"{"requestId":"T1","totalCount":0}"#, "zec-bad-answer"),
        (r#"{"requestId":"T1","dataSet":[]}"#, "zec-bad-answer"),
        (r#"{"requestId":"T1"}"#, "zec-bad-answer"),
        (r#"{"requestId":"T1","totalCount":1,"dataSet":[{}]}"#, "zec-bad-answer"),
        (r#"{"requestId":"T1","totalCount":1,"dataSet":{}}"#, "zec-bad-answer"),
    ] {
        let world = parrot(response).await;
        let answer = world.alice().get(&format!("/nics/{NIC}")).await;
        assert_eq!(answer.problem().1, slug, "{response}");
    }
}

#[tokio::test]
async fn what_zec_refuses_keeps_zecs_status_code_and_id() {
    let blunt = Setup::without_preflight("ZEC itself refuses");
    let world = blunt.start().await;
    let alice = world.alice();
    let cases = [
        (
            format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.11"),
            409,
            "INVALID_NIC_PRIMARY_IP_CANT_DETACH",
        ),
        (
            format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.77"),
            404,
            "OPERATION_FAILED_RESOURCE_NOT_FOUND",
        ),
        (
            "/nics/1612345678901234569/ipv4?ipAddresses=10.0.0.41".to_owned(),
            409,
            "INVALID_NIC_HAS_PUBLIC_IP_CANT_DETACH",
        ),
        ("/nics/unknown-1/ipv4?ipAddresses=10.0.0.2".to_owned(), 404, "INVALID_NIC_NOT_FOUND"),
    ];
    for (target, status, code) in cases {
        let answer = alice.delete(&target).await;
        let problem = answer.problem();
        assert_eq!(
            (problem.0, problem.1.as_str(), problem.2.as_str()),
            (status, "zec-rejected", code)
        );
        let json = answer.json();
        assert_eq!(json["requestId"], json["zecRequestId"]);
        assert!(json["zecRequestId"].as_str().unwrap().starts_with('T'));
        assert_ne!(answer.header("x-request-id"), json["zecRequestId"].as_str());
    }
    assert_eq!(world.addresses(NIC).len(), 4, "nothing was changed");
}

#[tokio::test]
async fn the_wrong_key_is_our_fault_never_the_callers() {
    let emulator = Settings::new(KEY_ID, SecretString::from("another password"));
    let world = Setup { emulator, ..Setup::default() }.start().await;
    let answer = world.alice().delete(&write_target()).await;
    assert_eq!(answer.problem().1, "zec-credentials-refused");
    assert!(answer.header("www-authenticate").is_none());
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent_and_a_client_may_retry() {
    let endpoint = Some(format!("http://{}", free_address()));
    let blunt = Setup::without_preflight("the vNIC could not be read either");
    let world = Setup { endpoint, ..blunt }.start().await;
    for answer in [
        world.alice().delete(&write_target()).await,
        world.alice().get(&format!("/nics/{NIC}")).await,
    ] {
        assert_eq!(answer.problem().1, "zec-unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(recorded(&world).await["outcome"], "not-sent");
    let series = format!("zec_requests_total{{action=\"{WRITE}\",outcome=\"not_sent\"}}");
    assert!(world.metric(&series).await == 1.0);
    let reads = format!("zec_requests_total{{action=\"{READ}\",outcome=\"not_sent\"}}");
    assert!(world.metric(&reads).await == 3.0, "a read is tried three times");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_nothing_sent() {
    // Accepts the connection and sends no byte of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Some(format!("https://{}", silent.local_addr().unwrap()));
    let held = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            streams.push(stream);
        }
    });
    let zec = "connect_timeout = \"200ms\"\npreflight = false".to_owned();
    let world = Setup { zec, endpoint, ..Setup::default() }.start().await;
    assert_eq!(world.alice().delete(&write_target()).await.problem().1, "zec-unavailable");
    held.abort();
}

#[tokio::test]
async fn connections_to_zec_are_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap();
    let world =
        Setup { endpoint: Some(format!("http://{front}")), ..Setup::default() }.start().await;
    let behind = world.zec_address;
    let opened = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::spawn(async move {
                let mut zec = TcpStream::connect(behind).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut zec).await;
            });
        }
    });
    for _ in 0..4 * lanes::most() {
        assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
    }
    let opened = opened.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..=lanes::most()).contains(&opened), "{opened} connections: a lane keeps its own");
}

#[tokio::test]
async fn https_is_spoken_to_those_whose_certificate_is_trusted_and_to_nobody_else() {
    let zec = zec_gateway::emulator::Emulator::new(Settings::new(
        KEY_ID,
        SecretString::from(crate::world::PASSWORD),
    ))
    .with_demo_nics();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = listener.local_addr().unwrap();
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let authority = Authority::new();
    let front = authority.front(behind).await;
    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();

    let endpoint = Some(format!("https://{front}"));
    let trusting = Setup {
        endpoint: endpoint.clone(),
        zec: format!("ca_file = \"{}\"\npreflight = false", ca.display()),
        ..Setup::default()
    };
    let world = trusting.start().await;
    let answer = world.alice().delete(&write_target()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(zec.requests()[0].authenticated);

    let world = Setup { endpoint, ..Setup::default() }.start().await;
    assert_eq!(world.alice().delete(&write_target()).await.problem().1, "zec-unavailable");
    assert_eq!(zec.requests().len(), 1, "nothing was sent to a stranger");
}

#[tokio::test]
async fn a_clock_that_differs_from_zecs_shows_in_a_metric() {
    let world = World::start().await;
    world.alice().get(&format!("/nics/{NIC}")).await;
    assert!(world.metric("zec_clock_skew_seconds").await.abs() < 5.0);
    world.zec.inject(Fault::always(FaultKind::ClockSkew(120)));
    world.alice().get(&format!("/nics/{NIC}")).await;
    assert!((world.metric("zec_clock_skew_seconds").await - 120.0).abs() < 5.0);
    world.zec.inject(Fault::always(FaultKind::ClockSkew(-400)));
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.problem().1, "zec-credentials-refused");
}

#[tokio::test]
async fn a_write_is_not_started_when_too_little_time_is_left() {
    let hurry = Some(Duration::from_millis(900));
    let world = Setup { hurry, ..Setup::default() }.start().await;
    let answer = world.alice().delete(&write_target()).await;
    assert_eq!(answer.problem().1, "overloaded");
    assert!(world.sent(WRITE).is_empty());
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
}

#[tokio::test]
async fn a_write_has_enough_time_with_the_least_that_a_configuration_may_give() {
    let server = "request_timeout = \"2s\"".to_owned();
    let world = Setup { server, ..Setup::default() }.start().await;
    let answer = world.alice().delete(&write_target()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn an_answer_is_awaited_no_longer_than_the_request_has() {
    // A gateway that waited for ZEC's own timeout would exceed the test's timeout.
    let zec = "request_timeout = \"5m\"\npreflight = false".to_owned();
    let hurry = Some(Duration::from_millis(300));
    let world = Setup { zec, hurry, ..Setup::default() }.start().await;
    world.zec.inject(Fault::always(FaultKind::Hang));
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.problem().1, "zec-timeout");
}

/// Some of ZEC's clients wait ten seconds, and a write may take longer. `server.request_timeout` is the default here.
#[tokio::test]
async fn reads_have_less_time_than_writes() {
    let server = "read_timeout = \"300ms\"".to_owned();
    let world = Setup { server, ..Setup::default() }.start().await;
    let late = FaultKind::LateAfter(Duration::from_secs(1));
    world.zec.inject(Fault::once(late).on(WRITE));
    let answer = world.alice().delete(&write_target()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.zec.inject(Fault::always(FaultKind::Hang));
    let read = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(read.problem().1, "zec-timeout");
    // What is read before a write counts as a read, so nothing was sent.
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.22");
    assert_eq!(world.alice().delete(&target).await.problem().1, "zec-timeout");
    assert_eq!(world.sent(WRITE).len(), 1);
}

#[tokio::test]
async fn a_read_is_not_tried_again_where_no_time_is_left_for_it() {
    // The first retry may come after 200 ms, which is all the time there is.
    let endpoint = Some(format!("http://{}", free_address()));
    let hurry = Some(Duration::from_millis(200));
    let world = Setup { endpoint, hurry, ..Setup::default() }.start().await;
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert!(matches!(answer.status, 503 | 504), "{}", answer.text());
    let mut tries = 0.0;
    for outcome in ["not_sent", "unknown"] {
        let series = format!("zec_requests_total{{action=\"{READ}\",outcome=\"{outcome}\"}}");
        tries += world.metric(&series).await;
    }
    assert!(tries == 1.0, "{tries}");
}

#[tokio::test]
async fn only_addresses_that_were_taken_off_are_counted_as_such() {
    let world = World::start().await;
    let given = r#"{"ipAddresses": ["10.0.0.60", "10.0.0.61"]}"#;
    let answer = world.alice().post(&format!("/nics/{NIC}/ipv4"), given).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(world.metric("unassigned_addresses_total").await == 0.0);
    assert_eq!(world.alice().delete(&write_target()).await.status, 200);
    assert!(world.metric("unassigned_addresses_total").await == 1.0);
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_not_taken_for_the_next_one() {
    let world = World::start().await;
    let other = "1612345678901234568";
    for _ in 0..20 {
        world.zec.inject(Fault::once(FaultKind::Twice));
        for nic in [NIC, other] {
            let answer = world.alice().get(&format!("/nics/{nic}")).await;
            assert_eq!((answer.status, &answer.json()["nicId"]), (200, &nic.into()));
        }
    }
    world.zec.inject(Fault::always(FaultKind::Twice).on(WRITE));
    let mut ids = std::collections::BTreeSet::new();
    for address in world.addresses(NIC) {
        let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4/{address}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(ids.insert(answer.json()["requestId"].to_string()), "an answer of another write");
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_leaves_a_change_of_unknown_outcome() {
    let zec = "request_timeout = \"300ms\"".to_owned();
    let world = Setup { zec, ..Setup::default() }.start().await;
    world.zec.inject(Fault::once(FaultKind::LateAfter(Duration::from_hours(1))).on(WRITE));
    assert_eq!(world.alice().delete(&write_target()).await.problem().1, "outcome-unknown");
    assert_eq!(world.addresses(NIC).len(), 3, "it was done");
    assert_eq!(world.sent(WRITE).len(), 1);
}
