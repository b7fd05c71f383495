//! HTTP/2: its limits, its timers, and that its answers are the same as over HTTP/1.1.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::body::{Body, Frame};
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::PATIENCE,
    frames::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING,
        PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, block, frame,
        request,
    },
    secure::{Authority, Client, secure},
    world::{NIC, World},
};

const OPENS_AND_ENDS: u8 = END_HEADERS | END_STREAM;

/// Whether another client is served.
async fn others_are_served(world: &World, authority: &Authority) -> bool {
    let mut other = Client::new(authority).http2(world).await;
    other.whoami(&world.alice()).await.is_ok_and(|answer| answer.status == 200)
}

/// A body of undeclared length.
struct Undeclared(Option<Bytes>);

impl Body for Undeclared {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[tokio::test]
async fn the_limits_are_told_to_every_caller() {
    let (world, authority) = secure("").await;
    let mut raw = Raw::connect(&world, &authority).await;
    let settings = raw.until(SETTINGS).await.expect("settings").payload;
    let told: Vec<(u16, u32)> = settings
        .chunks(6)
        .map(|six| {
            (
                u16::from_be_bytes([six[0], six[1]]),
                u32::from_be_bytes(six[2..6].try_into().unwrap()),
            )
        })
        .collect();
    // Concurrent streams, a stream's window, a frame, a list of headers. No extended CONNECT (8).
    for (name, value) in [(3, 100), (4, 64 * 1024), (5, 16 * 1024), (6, 32 * 1024)] {
        assert!(told.contains(&(name, value)), "{name} is not {value}: {told:?}");
    }
    assert!(told.iter().all(|(name, _)| *name != 8), "{told:?}");
    let window = raw.until(WINDOW_UPDATE).await.expect("the connection's window");
    assert_eq!((window.stream, window.code()), (0, 128 * 1024 - 65_535));
}

#[tokio::test]
async fn more_streams_at_once_than_allowed_are_refused_and_the_others_go_on() {
    let (world, authority) = secure("").await;
    world.zec.inject(Fault::always(FaultKind::Delay(Duration::from_secs(2))));
    let mut raw = Raw::connect(&world, &authority).await;
    let bearer = world.alice().bearer();
    let head = request("GET", &format!("/nics/{NIC}"), &[("authorization", &bearer)]);
    let all: Vec<u8> =
        (0..110).flat_map(|n| frame(HEADERS, OPENS_AND_ENDS, 2 * n + 1, &head)).collect();
    raw.send(&all).await;
    let mut refused = Vec::new();
    while refused.len() < 10 {
        let reset = raw.until(RST_STREAM).await.expect("a refusal");
        assert_eq!(reset.code(), REFUSED_STREAM);
        refused.push(reset.stream);
    }
    assert_eq!(refused, (100..110).map(|n| 2 * n + 1).collect::<Vec<_>>());
    let answer = raw.until(HEADERS).await.expect("an answer");
    assert!(answer.stream < 200);
}

#[tokio::test]
async fn a_list_of_headers_that_is_too_large_is_431() {
    let (world, authority) = secure("").await;
    let mut http2 = Client::new(&authority).http2(&world).await;
    let target = "https://localhost/whoami";
    for (size, status) in [(30 * 1024, 401), (33 * 1024, 431)] {
        let value = "x".repeat(size);
        let answer = http2.ask("GET", target, &[("x-large", &value)], Empty::new()).await.unwrap();
        assert_eq!(answer.status, status, "{size}");
    }
    assert_eq!(http2.whoami(&world.alice()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let (world, authority) = secure("").await;
    let mut raw = Raw::connect(&world, &authority).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, &request("GET", "/whoami", &[]))).await;
    let more = block(&[("x", "y")]);
    for _ in 0..64 {
        raw.send(&frame(CONTINUATION, 0, 1, &more)).await;
    }
    let goaway = raw.until(GOAWAY).await.expect("a reason");
    assert_eq!(goaway.code(), ENHANCE_YOUR_CALM);
    assert!(others_are_served(&world, &authority).await);
}

/// A write in flight goes on and its outcome is recorded (docs/threats.md, row 26).
#[tokio::test]
async fn a_write_that_is_taken_back_once_it_was_sent_goes_on() {
    const UNASSIGN: &str = "UnassignNetworkInterfaceIpv4";
    let (world, authority) = secure("").await;
    world.zec.inject(Fault::always(FaultKind::Delay(Duration::from_millis(300))));
    let mut raw = Raw::connect(&world, &authority).await;
    let bearer = world.alice().bearer();
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let head = request("DELETE", &target, &[("authorization", &bearer)]);
    raw.send(&frame(HEADERS, OPENS_AND_ENDS, 1, &head)).await;
    world.until_sent_to(UNASSIGN, 1).await;
    raw.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await;
    world.until_metric("unassigned_addresses_total", 1.0).await;
    assert_eq!(world.sent(UNASSIGN).len(), 1);
    assert!(!world.addresses(NIC).contains(&"10.0.0.21".to_owned()));
}

#[tokio::test]
async fn a_flood_of_requests_that_are_taken_back_ends_the_connection() {
    let (world, authority) = secure("").await;
    let mut raw = Raw::connect(&world, &authority).await;
    let bearer = world.alice().bearer();
    let head = request("GET", &format!("/nics/{NIC}"), &[("authorization", &bearer)]);
    let cancel = 8_u32.to_be_bytes();
    let flood: Vec<u8> = (0..1000)
        .flat_map(|n| {
            let id = 2 * n + 1;
            [frame(HEADERS, OPENS_AND_ENDS, id, &head), frame(RST_STREAM, 0, id, &cancel)].concat()
        })
        .collect();
    raw.send(&flood).await;
    let goaway = raw.until(GOAWAY).await.expect("a reason");
    assert_eq!(goaway.code(), ENHANCE_YOUR_CALM);
    assert!(others_are_served(&world, &authority).await);
}

#[tokio::test]
async fn a_flood_of_streams_that_we_must_reset_ends_the_connection() {
    let (world, authority) = secure("").await;
    let mut raw = Raw::connect(&world, &authority).await;
    // A header that HTTP/2 forbids: the gateway resets each stream, and none ever became a request.
    let head = request("GET", "/whoami", &[("connection", "close")]);
    let flood: Vec<u8> =
        (0..600).flat_map(|n| frame(HEADERS, OPENS_AND_ENDS, 2 * n + 1, &head)).collect();
    raw.send(&flood).await;
    let goaway = raw.until(GOAWAY).await.expect("a reason");
    assert_eq!(goaway.code(), ENHANCE_YOUR_CALM);
    assert!(others_are_served(&world, &authority).await);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_whatever_else_it_says() {
    let (world, authority) = secure("header_timeout = \"300ms\"\nidle_timeout = \"1h\"").await;
    let mut silent = Raw::silent(&world, &authority).await;
    let mut polite = Raw::connect(&world, &authority).await;
    assert!(silent.rest().await.iter().all(|frame| frame.kind != HEADERS));
    while polite.pings().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_goaway_and_pings_do_not_keep_it() {
    let (world, authority) = secure("header_timeout = \"1h\"\nidle_timeout = \"300ms\"").await;
    let alice = world.alice();
    let mut http2 = Client::new(&authority).http2(&world).await;
    assert_eq!(http2.whoami(&alice).await.unwrap().status, 200);
    let end = tokio::time::timeout(PATIENCE, http2.connection).await;
    // An orderly end: an honest client sees no error.
    end.expect("an idle connection stays open").unwrap().unwrap();

    let mut raw = Raw::connect(&world, &authority).await;
    let head = request("GET", "/whoami", &[("authorization", &alice.bearer())]);
    raw.send(&frame(HEADERS, OPENS_AND_ENDS, 1, &head)).await;
    let mut told = false;
    loop {
        raw.send(&frame(PING, 0, 0, b"still me")).await;
        match raw.next().await {
            None => break,
            Some(frame) => told |= frame.kind == GOAWAY,
        }
        // This also answers the gateway's own ping after GOAWAY.
        raw.send(&frame(PING, ACK, 0, &[0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54])).await;
    }
    assert!(told, "closed without a word");
}

#[tokio::test]
async fn a_connection_between_requests_outlives_the_head_timer() {
    let (world, authority) = secure("header_timeout = \"2s\"\nidle_timeout = \"1h\"").await;
    let mut http2 = Client::new(&authority).http2(&world).await;
    for _ in 0..2 {
        assert_eq!(http2.whoami(&world.alice()).await.unwrap().status, 200);
        // Longer than the header timeout; the exact time does not matter.
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}

#[tokio::test]
async fn a_request_that_runs_keeps_its_connection_although_others_end() {
    let (world, authority) = secure("header_timeout = \"2s\"\nidle_timeout = \"2s\"").await;
    world.zec.inject(Fault::once(FaultKind::Delay(Duration::from_secs(6))));
    let mut http2 = Client::new(&authority).http2(&world).await;
    let mut other = crate::secure::Http2 {
        local: http2.local,
        sender: http2.sender.clone(),
        connection: tokio::spawn(async { Ok(()) }),
    };
    let alice = world.alice();
    let slow = tokio::spawn({
        let alice = alice.clone();
        async move { http2.get(&format!("/nics/{NIC}"), &alice).await }
    });
    world.until_sent(1).await;
    assert_eq!(other.whoami(&alice).await.unwrap().status, 200);
    assert_eq!(slow.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn the_drain_says_goaway_and_lets_running_streams_finish() {
    let (mut world, authority) = secure("drain_timeout = \"20s\"").await;
    world.zec.inject(Fault::once(FaultKind::Delay(Duration::from_millis(700))));
    let mut busy = Client::new(&authority).http2(&world).await;
    let mut idle = Client::new(&authority).http2(&world).await;
    let alice = world.alice();
    assert_eq!(idle.whoami(&alice).await.unwrap().status, 200);
    let target = format!("https://localhost/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let asking = tokio::spawn({
        let bearer = alice.bearer();
        async move {
            let headers = [("authorization", bearer.as_str())];
            (busy.ask("DELETE", &target, &headers, Empty::new()).await, busy.connection)
        }
    });
    world.until_sent(1).await;
    world.ask_to_stop();
    idle.connection.await.unwrap().unwrap();
    let (answer, connection) = asking.await.unwrap();
    assert_eq!(answer.unwrap().status, 200);
    connection.await.unwrap().unwrap();
    assert!(world.stopped().await);
}

#[tokio::test]
async fn while_the_gateway_leaves_open_connections_get_goaway_and_new_ones_are_served() {
    let (mut world, authority) = secure("drain_delay = \"30s\"\ndrain_timeout = \"1s\"").await;
    let mut open = Client::new(&authority).http2(&world).await;
    let alice = world.alice();
    assert_eq!(open.whoami(&alice).await.unwrap().status, 200);
    world.ask_to_stop();
    // It ends long before the delay is over.
    tokio::time::timeout(PATIENCE, open.connection).await.expect("GOAWAY").unwrap().unwrap();
    let mut new = Client::new(&authority).http2(&world).await;
    for _ in 0..3 {
        assert_eq!(new.whoami(&alice).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_drain_does_not_wait_for_a_peer_that_ignores_goaway() {
    for header_timeout in ["2s", "1h"] {
        let server = format!("header_timeout = \"{header_timeout}\"\nidle_timeout = \"1h\"");
        let (mut world, authority) = secure(&format!("drain_timeout = \"20s\"\n{server}")).await;
        let mut deaf = Raw::connect(&world, &authority).await;
        let head = request("GET", "/whoami", &[("authorization", &world.alice().bearer())]);
        deaf.send(&frame(HEADERS, OPENS_AND_ENDS, 1, &head)).await;
        deaf.until(HEADERS).await.expect("an answer");
        world.ask_to_stop();
        assert!(world.stopped().await, "it waited for a ping that never came back");
        assert!(deaf.rest().await.iter().any(|frame| frame.kind == GOAWAY));
    }
}

#[tokio::test]
async fn the_drain_does_not_wait_for_a_peer_that_goes_on_asking() {
    let (mut world, authority) =
        secure("drain_timeout = \"20s\"\nheader_timeout = \"2s\"\nidle_timeout = \"1h\"").await;
    let mut deaf = Raw::connect(&world, &authority).await;
    // No token is needed, and the client never answers the ping after GOAWAY.
    let head = request("GET", "/whoami", &[]);
    deaf.send(&frame(HEADERS, OPENS_AND_ENDS, 1, &head)).await;
    deaf.until(HEADERS).await.expect("an answer");
    world.ask_to_stop();
    let asking = tokio::spawn(async move {
        for number in 1.. {
            deaf.send(&frame(HEADERS, OPENS_AND_ENDS, 2 * number + 1, &head)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(world.stopped().await, "a stranger held up the drain by asking on");
    asking.abort();
}

#[tokio::test]
async fn a_body_without_a_length_is_411_unless_it_is_empty() {
    let (world, authority) = secure("").await;
    let mut http2 = Client::new(&authority).http2(&world).await;
    let bearer = world.alice().bearer();
    let ipv4 = format!("https://localhost/nics/{NIC}/ipv4");
    let json = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let list = Bytes::from_static(br#"{"ipAddresses": ["10.0.0.21"]}"#);
    for method in ["DELETE", "POST"] {
        let body = Undeclared(Some(list.clone()));
        let answer = http2.ask(method, &ipv4, &json, body).await.unwrap();
        assert_eq!(answer.problem().1, "length-required");
    }
    assert!(world.nothing_was_sent());
    let answer = http2.ask("DELETE", &ipv4, &json, Full::new(list)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    // No bytes: the addresses are in the query.
    let target = format!("{ipv4}?ipAddresses=10.0.0.22");
    let answer = http2.ask("DELETE", &target, &json, Undeclared(None)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    // A read may not have a body at all.
    let target = "https://localhost/whoami";
    let body = Undeclared(Some(Bytes::from_static(b"x")));
    assert_eq!(http2.ask("GET", target, &json, body).await.unwrap().problem().0, 400);
}

/// okhttp, Firefox, and proxies that do not know the length send an empty frame after the head.
#[tokio::test]
async fn an_empty_frame_behind_the_head_is_no_body() {
    let (world, authority) = secure("").await;
    let bearer = world.alice().bearer();
    let mut raw = Raw::connect(&world, &authority).await;
    for (number, (method, path, parts, status)) in [
        ("GET", "/whoami", &[0][..], 200),
        ("GET", "/problems/internal", &[0, 0, 0], 200),
        ("GET", "/whoami", &[1], 400),
        ("GET", "/whoami", &[0, 1], 400),
        ("DELETE", &format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21"), &[0, 0], 200),
        ("DELETE", &format!("/nics/{NIC}/ipv4/10.0.0.22"), &[0], 200),
    ]
    .into_iter()
    .enumerate()
    {
        let id = u32::try_from(2 * number + 1).unwrap();
        let head = request(method, path, &[("authorization", &bearer)]);
        raw.send(&frame(HEADERS, END_HEADERS, id, &head)).await;
        for (at, length) in parts.iter().enumerate() {
            let ends = if at + 1 == parts.len() { END_STREAM } else { 0 };
            raw.send(&frame(DATA, ends, id, &vec![b'x'; *length])).await;
        }
        let answer = raw.until(DATA).await.unwrap_or_else(|| panic!("closed at {path}"));
        let json: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        let said = json["status"].as_u64().filter(|_| json["title"].is_string() && status != 200);
        assert_eq!((answer.stream, said.unwrap_or(200)), (id, status), "{method} {path}: {json}");
    }
}

#[tokio::test]
async fn head_has_no_body() {
    let (world, authority) = secure("").await;
    let mut http2 = Client::new(&authority).http2(&world).await;
    let bearer = world.alice().bearer();
    let headers = [("authorization", bearer.as_str())];
    let target = "https://localhost/whoami";
    let answer = http2.ask("HEAD", target, &headers, Empty::<Bytes>::new()).await.unwrap();
    let get = http2.ask("GET", target, &headers, Empty::<Bytes>::new()).await.unwrap();
    assert_eq!((answer.status, answer.body.len(), get.status), (200, 0, 200));
    assert_eq!(answer.header("content-length"), Some(&*get.body.len().to_string()));
}

#[tokio::test]
async fn targets_are_judged_as_over_http1() {
    let (world, authority) = secure("").await;
    let mut raw = Raw::connect(&world, &authority).await;
    let bearer = world.alice().bearer();
    let long = format!("/whoami?x={}", "y".repeat(8 * 1024));
    for (number, (method, path, status)) in [
        ("GET", "/whoami", 200),
        ("GET", "/nics/a%2Fb", 400),
        ("GET", "//whoami", 400),
        ("GET", "/./whoami", 400),
        ("GET", "/nics/../whoami", 400),
        ("GET", "/whoami;x", 400),
        ("GET", "/nics/a\\b", 400),
        ("OPTIONS", "*", 400),
        ("GET", &long, 414),
        ("GET", "/beside", 404),
        ("BREW", "/whoami", 405),
    ]
    .into_iter()
    .enumerate()
    {
        let id = u32::try_from(2 * number + 1).unwrap();
        let head = request(method, path, &[("authorization", &bearer)]);
        raw.send(&frame(HEADERS, OPENS_AND_ENDS, id, &head)).await;
        let answer = raw.until(DATA).await.unwrap_or_else(|| panic!("closed at {path}"));
        let json: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        let said = json["status"].as_u64().unwrap_or(200);
        assert_eq!((answer.stream, said), (id, status), "{method} {path}: {json}");
    }
}

#[tokio::test]
async fn nothing_is_tunnelled() {
    let (world, authority) = secure("").await;
    let mut raw = Raw::connect(&world, &authority).await;
    let bearer = world.alice().bearer();
    let who = ("authorization", bearer.as_str());
    let plain = block(&[(":method", "CONNECT"), (":authority", "zec:443"), who]);
    raw.send(&frame(HEADERS, END_HEADERS, 1, &plain)).await;
    let answer = raw.until(DATA).await.expect("an answer");
    let json: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(json["status"], 400, "{json}");
    let extended = block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "gateway"),
        (":path", "/whoami"),
        who,
    ]);
    raw.send(&frame(HEADERS, END_HEADERS, 3, &extended)).await;
    let refused = loop {
        let frame = raw.next().await.expect("a refusal");
        if frame.stream == 3 {
            break frame;
        }
    };
    assert_eq!((refused.kind, refused.code()), (RST_STREAM, PROTOCOL_ERROR), "it was a request");
    assert!(raw.pings().await && world.nothing_was_sent());
}
