//! Answers that the client does not read: they count as in flight until they are sent, and end with their connection.

use std::time::Duration;

use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, tcp::OwnedReadHalf},
    task::JoinHandle,
};
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::PATIENCE,
    frames::{
        DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame,
        request,
    },
    secure::{self, Authority, Client, Http2},
    world::{Caller, NIC, Setup, World},
};

/// The identifier of a stream's window, in a SETTINGS frame.
const INITIAL_WINDOW_SIZE: u8 = 4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

async fn world(server: &str, limits: &str) -> (World, Authority) {
    let authority = Authority::new();
    let setup = secure::setup(server, &authority.server(2100));
    (Setup { limits: limits.to_owned(), ..setup }.start().await, authority)
}

/// Connects, and accepts this many bytes of each answer.
async fn takes(window: u8, world: &World, trusts: &Authority) -> Raw {
    let mut raw = Raw::silent(world, trusts).await;
    raw.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    raw.send(&frame(SETTINGS, 0, 0, &[0, INITIAL_WINDOW_SIZE, 0, 0, 0, window])).await;
    raw
}

/// Sends requests on these streams, and waits for the heads of the answers.
async fn ask(raw: &mut Raw, streams: &[u32], path: &str, headers: &[(&str, &str)]) {
    let head = request("GET", path, headers);
    for stream in streams {
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, *stream, &head)).await;
    }
    for _ in streams {
        raw.until(HEADERS).await.expect("the head of an answer");
    }
}

async fn another(world: &World, trusts: &Authority) -> Http2 {
    Client::new(trusts).http2(world).await
}

/// Sends requests until the caller has a free slot again.
async fn until_served(world: &World, trusts: &Authority, caller: &Caller) {
    let served =
        async { while another(world, trusts).await.whoami(caller).await.unwrap().status != 200 {} };
    tokio::time::timeout(PATIENCE, served).await.expect("the places are not free again");
}

#[tokio::test]
async fn unread_answers_hold_only_the_slots_of_their_own_caller() {
    let (world, authority) = world("idle_timeout = \"1h\"", "max_concurrent_per_caller = 5").await;
    let (alice, bob) = (world.alice(), world.caller("bob", &[]));
    let bearer = alice.bearer();
    for window in [0, 1] {
        let mut raw = takes(window, &world, &authority).await;
        ask(&mut raw, &[1, 3, 5, 7, 9], "/whoami", &[("authorization", &bearer)]).await;
        world.until_in_flight(5.0).await;
        let refused = another(&world, &authority).await.whoami(&alice).await.unwrap();
        assert_eq!(refused.problem().1, "rate-limited");
        assert!(refused.text().contains("max_concurrent_per_caller"), "{}", refused.text());
        assert_eq!(another(&world, &authority).await.whoami(&bob).await.unwrap().status, 200);
        // Three of them are read after all, and two are cancelled.
        for stream in [1, 3, 5] {
            raw.send(&frame(WINDOW_UPDATE, 0, stream, &[0, 1, 0, 0])).await;
        }
        let mut whole = 0;
        while whole < 3 {
            let data = raw.until(DATA).await.expect("the answers");
            whole += usize::from(data.flags & END_STREAM != 0);
        }
        world.until_in_flight(2.0).await;
        for stream in [7, 9] {
            raw.send(&frame(RST_STREAM, 0, stream, &CANCEL)).await;
        }
        world.until_in_flight(0.0).await;
        until_served(&world, &authority, &alice).await;
    }
}

#[tokio::test]
async fn unread_answers_count_for_the_limit_of_all_requests() {
    let (world, authority) = world("idle_timeout = \"1h\"", "max_concurrent_requests = 3").await;
    let bob = world.caller("bob", &[]);
    let bearer = world.alice().bearer();
    let mut raw = takes(1, &world, &authority).await;
    ask(&mut raw, &[1, 3, 5], "/whoami", &[("authorization", &bearer)]).await;
    let refused = another(&world, &authority).await.whoami(&bob).await.unwrap();
    assert_eq!(refused.problem().1, "overloaded");
    drop(raw);
    until_served(&world, &authority, &bob).await;
    world.until_in_flight(0.0).await;
}

#[tokio::test]
async fn strangers_who_take_no_answer_keep_no_caller_out_and_are_bounded_themselves() {
    const MOST: usize = 1024;
    let (world, authority) = world("idle_timeout = \"1h\"", "max_concurrent_requests = 3").await;
    let streams: Vec<u32> = (0..100).map(|number| 2 * number + 1).collect();
    let (mut held, mut count) = (Vec::new(), 0);
    while count < MOST {
        let some = &streams[..100.min(MOST - count)];
        let mut raw = takes(1, &world, &authority).await;
        ask(&mut raw, some, "/whoami", &[]).await;
        count += some.len();
        held.push(raw);
    }
    let mut caller = another(&world, &authority).await;
    assert_eq!(caller.whoami(&world.alice()).await.unwrap().status, 200);
    // One more answer is not kept.
    let mut raw = takes(1, &world, &authority).await;
    let head = request("GET", "/whoami", &[]);
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await;
    assert_eq!(raw.until(RST_STREAM).await.expect("a reset").stream, 1);
    world.until_in_flight(1024.0).await;
    assert_eq!(caller.whoami(&world.alice()).await.unwrap().status, 200);
    drop(held);
    world.until_in_flight(0.0).await;
    let whole = caller.ask("GET", "https://localhost/whoami", &[], Full::default()).await.unwrap();
    assert_eq!(whole.problem().1, "missing-token");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_its_connection_though_others_on_it_are() {
    let (world, authority) = world("idle_timeout = \"1s\"", "max_concurrent_per_caller = 2").await;
    let bearer = world.alice().bearer();
    let mut raw = takes(1, &world, &authority).await;
    ask(&mut raw, &[1], "/whoami", &[("authorization", &bearer)]).await;
    let head = request("GET", "/whoami", &[("authorization", &bearer)]);
    let busy = async {
        for number in 1.. {
            let stream = 2 * number + 1;
            raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)).await;
            raw.send(&frame(WINDOW_UPDATE, 0, stream, &[0, 1, 0, 0])).await;
            loop {
                let Some(frame) = raw.next().await else { return };
                if frame.stream == stream && frame.flags & END_STREAM != 0 {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, busy).await.expect("it stays unread for ever");
    world.until_in_flight(0.0).await;
}

#[tokio::test]
async fn what_runs_beside_an_answer_that_is_not_taken_is_answered_before_the_end() {
    let (world, authority) = world("idle_timeout = \"300ms\"\nheader_timeout = \"1s\"", "").await;
    world.zec.inject(Fault::once(FaultKind::Delay(Duration::from_secs(3))));
    let bearer = world.alice().bearer();
    let headers = [("authorization", bearer.as_str())];
    let mut raw = takes(1, &world, &authority).await;
    ask(&mut raw, &[1], "/whoami", &headers).await;
    let head = request("GET", &format!("/nics/{NIC}"), &headers);
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &head)).await;
    raw.send(&frame(WINDOW_UPDATE, 0, 3, &[0, 1, 0, 0])).await;
    let frames = raw.rest().await;
    let whole = |frame: &crate::frames::Frame| frame.stream == 3 && frame.flags & END_STREAM != 0;
    assert!(frames.iter().any(whole), "it was cut off");
}

/// Sends requests over HTTP/1.1 without end, and reads no answer. The task ends when the gateway closes the connection.
async fn ask_and_read_nothing(world: &World, caller: &Caller) -> (OwnedReadHalf, JoinHandle<()>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let (read, mut write) = socket.connect(world.gateway).await.unwrap().into_split();
    let text = caller.text("GET", "/whoami", &[], None).repeat(100);
    let asking =
        tokio::spawn(async move { while write.write_all(text.as_bytes()).await.is_ok() {} });
    (read, asking)
}

/// Waits until the answers fill every buffer on the way and their number does not change any more.
async fn until_nothing_moves(world: &World) {
    let answered = "http_request_duration_seconds_count{method=\"GET\",route=\"/whoami\"}";
    let mut seen = (-1.0, world.metric(answered).await);
    while seen.0 != seen.1 || seen.1 == 0.0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        seen = (seen.1, world.metric(answered).await);
    }
}

#[tokio::test]
async fn over_http1_a_connection_has_one_answer_unread_and_it_counts() {
    let limits = "max_concurrent_per_caller = 2".to_owned();
    let server = "idle_timeout = \"1h\"".to_owned();
    let world = Setup { server, limits, ..Setup::without_rate() }.start().await;
    let alice = world.alice();
    let (mut first, _asking) = ask_and_read_nothing(&world, &alice).await;
    until_nothing_moves(&world).await;
    world.until_in_flight(1.0).await;
    assert_eq!(alice.get("/whoami").await.status, 200, "one place is left");
    let (second, asking) = ask_and_read_nothing(&world, &alice).await;
    until_nothing_moves(&world).await;
    world.until_in_flight(2.0).await;
    assert_eq!(alice.get("/whoami").await.problem().1, "rate-limited");
    assert_eq!(world.caller("bob", &[]).get("/whoami").await.status, 200);
    asking.abort();
    drop((asking.await, second));
    world.until_in_flight(1.0).await;
    // A client that reads after all is served again.
    let mut bytes = vec![0; 64 * 1024];
    let reading = async {
        for _ in 0..1000 {
            assert!(first.read(&mut bytes).await.unwrap() > 0);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("nothing more comes");
}

#[tokio::test]
async fn over_http1_an_answer_that_is_not_read_ends_its_connection() {
    let limits = "max_concurrent_per_caller = 1".to_owned();
    let server = "idle_timeout = \"2s\"".to_owned();
    let world = Setup { server, limits, ..Setup::default() }.start().await;
    let alice = world.alice();
    let (_unread, asking) = ask_and_read_nothing(&world, &alice).await;
    tokio::time::timeout(PATIENCE, asking).await.expect("the connection stays open").unwrap();
    world.until_in_flight(0.0).await;
    assert_eq!(alice.get("/whoami").await.status, 200);
}
