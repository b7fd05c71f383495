//! Timers, limits and the drain, tested with raw sockets.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::{self, PATIENCE},
    world::{NIC, Setup, World},
};

async fn with(server: &str) -> World {
    Setup { server: server.to_owned(), ..Setup::default() }.start().await
}

/// Waits until the peer closes, and returns the bytes that it sent before.
async fn closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = end.expect("the connection stays open");
    bytes
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let world = with("header_timeout = \"200ms\"").await;
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    assert!(closed(&mut stream).await.is_empty());
    assert_eq!(world.alice().get("/whoami").await.status, 200);
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    let world = with("header_timeout = \"200ms\"").await;
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    let (mut read, mut write) = stream.split();
    let trickle = async {
        // Each byte is in time, but the whole is not.
        write.write_all(b"GET /whoami HTTP/1.1\r\nX: ").await.unwrap();
        while write.write_all(b"y").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut bytes = Vec::new();
    let ends = async { read.read_to_end(&mut bytes).await };
    tokio::time::timeout(PATIENCE, async {
        tokio::select! { () = trickle => {}, _ = ends => {} }
    })
    .await
    .expect("the head may trickle for ever");
}

#[tokio::test]
async fn a_second_head_that_trickles_is_cut_off_as_early_as_the_first() {
    let world = with("header_timeout = \"200ms\"\nidle_timeout = \"1h\"").await;
    let text = world.alice().text("GET", "/whoami", &[], None);
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(client::read(&mut stream).await.expect("an answer").status, 200);
    stream.write_all(b"GET /whoami HTTP/1.1\r\nX: ").await.unwrap();
    // Far sooner than the hour that a pause may last.
    assert!(closed(&mut stream).await.is_empty());
}

#[tokio::test]
async fn a_stranger_with_a_body_that_never_comes_holds_no_place() {
    let server = "body_timeout = \"30s\"".to_owned();
    let limits = "max_concurrent_requests = 1".to_owned();
    let world = Setup { server, limits, ..Setup::default() }.start().await;
    let mut held = Vec::new();
    for target in ["/problems/internal", "/whoami", "/nics/n/ipv4"] {
        let method = if target == "/nics/n/ipv4" { "DELETE" } else { "GET" };
        let text = world.stranger().text(method, target, &[("Content-Length", "5")], None);
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let answer = client::read(&mut stream).await.expect("an answer at once");
        assert!(matches!(answer.status, 400 | 401), "{target}: {}", answer.status);
        held.push(stream);
        world.until_in_flight(0.0).await;
        assert_eq!(world.alice().get("/whoami").await.status, 200, "{target}");
        world.until_in_flight(0.0).await;
    }
}

#[tokio::test]
async fn the_operators_port_cannot_be_kept_busy_by_those_who_do_not_read() {
    let world = World::start().await;
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(world.admin).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.unwrap();
        held.push(stream);
    }
    // All connection slots are taken; the header timeout (10 s) frees them, and then the probe is served.
    let probe = client::request("GET", "/livez", &[], None);
    assert_eq!(client::raw(world.admin, probe.as_bytes()).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn what_begins_after_accepting_has_stopped_is_sent_away() {
    let mut world = with("drain_timeout = \"20s\"").await;
    let text = world.alice().text("GET", "/whoami", &[], None);
    let (early, late) = text.split_at(30);
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(early.as_bytes()).await.unwrap();
    // Once this has its answer, the gateway has accepted the other connection too, and will soon have read from it.
    assert_eq!(world.alice().get("/whoami").await.status, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.ask_to_stop();
    let closed = async { while TcpStream::connect(world.gateway).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("accepting goes on");
    // A slow connection is not closed either, within its header timeout.
    tokio::time::sleep(Duration::from_millis(200)).await;
    stream.write_all(late.as_bytes()).await.unwrap();
    let answer = client::read(&mut stream).await.expect("an answer");
    assert_eq!(answer.problem().1, "draining");
    assert!(answer.header("retry-after").is_some());
    assert!(world.stopped().await);
}

#[tokio::test]
async fn an_idle_connection_outlives_the_head_timer() {
    let world = with("header_timeout = \"100ms\"\nidle_timeout = \"1h\"").await;
    let text = world.alice().text("GET", "/whoami", &[], None);
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    for _ in 0..3 {
        stream.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(client::read(&mut stream).await.expect("an answer").status, 200);
        // Longer than the header timeout; the exact time does not matter.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_its_own_time_is_up() {
    let world = with("header_timeout = \"1h\"\nidle_timeout = \"300ms\"").await;
    let text = world.alice().text("GET", "/whoami", &[], None);
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(client::read(&mut stream).await.expect("an answer").status, 200);
    assert!(closed(&mut stream).await.is_empty());
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let world = with("body_timeout = \"200ms\"").await;
    let json = ("Content-Type", "application/json");
    let text =
        world.alice().text("DELETE", "/nics/n/ipv4", &[json, ("Content-Length", "50")], None);
    let answer =
        client::raw(world.gateway, format!("{text}{{").as_bytes()).await.expect("an answer");
    assert_eq!(answer.problem().0, 400);
    assert!(answer.text().contains("did not arrive in time") && world.nothing_was_sent());
}

#[tokio::test]
async fn connections_are_capped_and_while_all_are_at_work_the_next_one_waits_its_turn() {
    let world = with("max_connections = 2\nheader_timeout = \"30s\"").await;
    world.zec.inject(Fault::always(FaultKind::Hang));
    let look = world.alice().text("GET", &format!("/nics/{NIC}"), &[], None);
    let mut busy = Vec::new();
    for count in 1..=2 {
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(look.as_bytes()).await.unwrap();
        world.until_sent(count).await;
        busy.push(stream);
    }
    let mut third = TcpStream::connect(world.gateway).await.unwrap();
    let text = world.alice().text("GET", "/whoami", &[], None);
    third.write_all(text.as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(300), third.peek(&mut byte)).await;
    assert!(early.is_err(), "a third connection was served");
    drop(busy.remove(0));
    assert_eq!(client::read(&mut third).await.expect("an answer").status, 200);
    let other = tokio::time::timeout(Duration::from_millis(1), busy[0].peek(&mut byte)).await;
    assert!(other.is_err(), "one that was at work ended");
}

#[tokio::test]
async fn more_requests_at_once_than_the_gateway_takes_are_shed() {
    let limits = "max_concurrent_requests = 1".to_owned();
    let world = Setup { limits, ..Setup::default() }.start().await;
    world.zec.inject(Fault::once(FaultKind::Delay(Duration::from_millis(500))));
    let alice = world.alice();
    let slow = tokio::spawn({
        let alice = alice.clone();
        async move { alice.get(&format!("/nics/{NIC}")).await }
    });
    world.until_sent(1).await;
    let answer = alice.get("/whoami").await;
    assert_eq!(answer.problem().1, "overloaded");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(slow.await.unwrap().status, 200);
    // Its slot is free once the gateway knows that the answer has been sent.
    world.until_in_flight(0.0).await;
    assert_eq!(alice.get("/whoami").await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start().await;
    let alice = world.alice();
    let mut all = alice.text("GET", "/whoami", &[], None);
    all.push_str(&alice.text("GET", "/problems/internal", &[], None));
    all.push_str(&alice.text("GET", "/whoami", &[("Connection", "close")], None));
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(all.as_bytes()).await.unwrap();
    let text = String::from_utf8(closed(&mut stream).await).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
}

#[tokio::test]
async fn the_drain_finishes_what_runs_and_takes_nothing_new() {
    let mut world = with("drain_timeout = \"20s\"").await;
    world.zec.inject(Fault::once(FaultKind::Delay(Duration::from_millis(700))));
    // One kept connection in the middle of a write, and one between requests.
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let text = world.alice().text("DELETE", &target, &[], None);
    let mut busy = TcpStream::connect(world.gateway).await.unwrap();
    busy.write_all(text.as_bytes()).await.unwrap();
    let mut idle = TcpStream::connect(world.gateway).await.unwrap();
    let look = world.alice().text("GET", "/whoami", &[], None);
    idle.write_all(look.as_bytes()).await.unwrap();
    client::read(&mut idle).await.unwrap();
    world.until_sent(1).await;

    world.ask_to_stop();
    assert!(closed(&mut idle).await.is_empty());
    let answer = client::read(&mut busy).await.expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(world.stopped().await);
    assert!(TcpStream::connect(world.gateway).await.is_err());
}

#[tokio::test]
async fn readiness_goes_off_before_accepting_stops() {
    let mut world = with("drain_delay = \"700ms\"").await;
    let started = std::time::Instant::now();
    let ready = client::request("GET", "/readyz", &[], None);
    assert_eq!(client::raw(world.admin, ready.as_bytes()).await.unwrap().status, 200);
    world.ask_to_stop();
    let off = async {
        while client::raw(world.admin, ready.as_bytes()).await.is_some_and(|a| a.status == 200) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, off).await.unwrap();
    assert_eq!(world.alice().get("/whoami").await.status, 200, "still served while draining");
    assert!(world.stopped().await);
    assert!(
        started.elapsed() >= Duration::from_millis(700),
        "load balancers had no time to see it"
    );
}

#[tokio::test]
async fn while_the_gateway_leaves_answers_say_that_the_connection_ends() {
    let mut world = with("drain_delay = \"30s\"\ndrain_timeout = \"1s\"").await;
    let mut kept = TcpStream::connect(world.gateway).await.unwrap();
    let text = world.alice().text("GET", "/whoami", &[], None);
    kept.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(client::read(&mut kept).await.unwrap().header("connection"), None);
    world.ask_to_stop();
    world.until_not_ready().await;
    // The kept connection serves one more request, and so does a new one.
    for mut stream in [kept, TcpStream::connect(world.gateway).await.unwrap()] {
        stream.write_all(text.as_bytes()).await.unwrap();
        let answer = client::read(&mut stream).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn the_drain_waits_for_a_write_whose_caller_hung_up() {
    let mut world = with("drain_timeout = \"20s\"").await;
    let write = "UnassignNetworkInterfaceIpv4";
    world.zec.inject(Fault::once(FaultKind::Delay(Duration::from_millis(700))).on(write));
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let text = world.alice().text("DELETE", &target, &[], None);
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    world.until_sent_to(write, 1).await;
    drop(stream);
    world.ask_to_stop();
    assert!(world.stopped().await);
    assert!(!world.addresses(NIC).contains(&"10.0.0.21".to_owned()), "stopped before it was done");
}

#[tokio::test]
async fn the_drain_gives_up_after_its_time() {
    let mut world = with("drain_timeout = \"200ms\"").await;
    world.zec.inject(Fault::always(FaultKind::Hang));
    let text = world.alice().text("GET", &format!("/nics/{NIC}"), &[], None);
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    world.until_sent(1).await;
    world.ask_to_stop();
    assert!(!world.stopped().await, "it says that everything had finished");
}

#[tokio::test]
async fn the_drain_does_not_wait_for_a_peer_that_reads_no_answers() {
    let mut world = with("drain_timeout = \"20s\"").await;
    // No token is needed; these are more answers than all buffers on the way can take.
    let text = world.stranger().text("GET", "/whoami", &[], None).repeat(50_000);
    let stream = TcpStream::connect(world.gateway).await.unwrap();
    let (_never_read, mut write) = stream.into_split();
    let asking = tokio::spawn(async move { write.write_all(text.as_bytes()).await });
    // Until the number of answers does not change any more.
    let counted = r#"http_requests_total{code="401",method="GET",route="/whoami"}"#;
    let mut answered = (-1.0, world.metric(counted).await);
    while answered.0 < answered.1 || answered.1 == 0.0 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        answered = (answered.1, world.metric(counted).await);
    }
    assert!(answered.1 < 50_000.0, "everything fitted into the buffers");
    world.ask_to_stop();
    assert!(world.stopped().await, "a stranger held up the drain by not reading");
    asking.abort();
}

#[tokio::test]
async fn a_second_head_that_trickles_is_cut_off_too() {
    let world = with("header_timeout = \"1s\"\nidle_timeout = \"10m\"").await;
    let first = world.alice().text("GET", "/whoami", &[], None);
    let stream = TcpStream::connect(world.gateway).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let trickle = tokio::spawn(async move {
        write.write_all(format!("{first}GET /whoami HTTP/1.1\r\nX: ").as_bytes()).await.unwrap();
        while write.write_all(b"y").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, read.read_to_end(&mut bytes)).await;
    let _ = end.expect("the second head may trickle for ever");
    assert!(String::from_utf8(bytes).unwrap().starts_with("HTTP/1.1 200 OK"));
    trickle.abort();
}

#[tokio::test]
async fn the_admin_listener_caps_its_connections_too() {
    let world = World::start().await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(TcpStream::connect(world.admin).await.unwrap());
    }
    let mut next = TcpStream::connect(world.admin).await.unwrap();
    let text = client::request("GET", "/livez", &[], None);
    next.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(client::read(&mut next).await.expect("an answer").status, 200);
    // For each connection above 64, one idle connection is closed.
    assert!(closed(&mut held.remove(0)).await.is_empty());
    for stream in &held {
        let read = stream.try_read(&mut [0]);
        let open = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(open, "more of them ended than there was need of");
    }
}
