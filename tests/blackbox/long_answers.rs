//! Long answers of ZEC's: the gateway passes them on piece by piece, and one that breaks off never looks whole.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::{Request, client::conn::http1, header::CONTENT_LENGTH};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client,
    secure::{self, Authority, Client, Sent},
    world::{Caller, Setup, World},
};

const MIB: usize = 1024 * 1024;

const POLICY: &str = r#"@id("all") permit (principal, action, resource);"#;

/// How ZEC announces the length of its answer.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    Chunks,
    /// In another coding than chunks, so the answer ends with the connection.
    Coded,
    /// Not at all: the answer ends with the connection.
    Close,
}

/// What ZEC does after what it sent.
#[derive(Clone, Copy, Debug)]
enum Then {
    Close,
    /// It sends no more, and the connection stays open.
    Hang,
    /// It ends the answer as announced.
    End,
    /// It is silent for longer than a connection without a request keeps its buffers, and then ends the answer.
    Pause,
}

/// A connection at rest frees its buffers earlier, and a drain gives up a caller who does not read earlier.
const LONG_PAUSE: Duration = Duration::from_millis(6_500);

/// ZEC's answer to a list, with this many bytes.
fn list(bytes: usize) -> Vec<u8> {
    let (begin, end) = (r#"{"requestId":"T1","response":{"requestId":"T1","dataSet":[""#, "\"]}}");
    let padding = bytes - begin.len() - end.len();
    [begin.as_bytes(), "x".repeat(padding).as_bytes(), end.as_bytes()].concat()
}

/// A ZEC that answers each request with this body.
async fn zec(framing: Framing, body: Vec<u8>, then: Then) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 8192]).await;
                let said = match framing {
                    Framing::Length(length) => format!("content-length: {length}\r\n"),
                    Framing::Chunks => "transfer-encoding: chunked\r\n".to_owned(),
                    Framing::Coded => "transfer-encoding: identity\r\n".to_owned(),
                    Framing::Close => String::new(),
                };
                let head = format!("HTTP/1.1 200 OK\r\n{said}\r\n");
                stream.write_all(head.as_bytes()).await?;
                for piece in body.chunks(100_000) {
                    if matches!(framing, Framing::Chunks) {
                        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                    }
                    stream.write_all(piece).await?;
                    if matches!(framing, Framing::Chunks) {
                        stream.write_all(b"\r\n").await?;
                    }
                }
                if matches!(then, Then::Pause) {
                    tokio::time::sleep(LONG_PAUSE).await;
                }
                if matches!((framing, then), (Framing::Chunks, Then::End | Then::Pause)) {
                    stream.write_all(b"0\r\n\r\n").await?;
                }
                if matches!(then, Then::Hang) {
                    std::future::pending::<()>().await;
                }
                stream.shutdown().await
            });
        }
    });
    endpoint
}

/// A world whose ZEC gives this answer.
async fn world(framing: Framing, body: Vec<u8>, then: Then, server: &str) -> World {
    let (policy, server) = (POLICY.to_owned(), server.to_owned());
    let endpoint = Some(zec(framing, body, then).await);
    Setup { policy, server, endpoint, ..Setup::default() }.start().await
}

/// The status of an answer, and its body; `None` if it breaks off.
type Seen = (u16, Option<Bytes>);

fn request(caller: &Caller, path: &str) -> Request<Full<Bytes>> {
    let request = Request::post(path)
        .header("host", "gateway")
        .header("authorization", caller.bearer())
        .header("content-type", "application/json")
        .header("x-zc-action", "DescribeVpcs")
        .header("x-zc-version", "2025-09-01");
    request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()
}

/// Asks over a new connection.
async fn asked(gateway: SocketAddr, request: Request<Full<Bytes>>) -> Seen {
    let stream = TokioIo::new(TcpStream::connect(gateway).await.unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    let driven = tokio::spawn(connection);
    let seen = async {
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.into_body().collect().await.ok().map(Collected::to_bytes))
    };
    let seen = tokio::time::timeout(client::PATIENCE, seen).await.expect("an answer");
    driven.abort();
    seen
}

#[tokio::test]
async fn a_long_answer_comes_byte_for_byte_and_one_that_breaks_off_never_looks_whole() {
    let (three, cut) = (list(3 * MIB), list(3 * MIB)[..2 * MIB].to_vec());
    let bad = "zec-bad-answer";
    let ends_early = [cut.as_slice(), b"\"}"].concat();
    // ZEC here sends pieces of 100,000 bytes.
    let lines = [list(2_000_000).as_slice(), b"\n"].concat();
    let other_order = |bytes: usize| {
        let body = String::from_utf8(list(bytes - 15)).unwrap();
        body.replacen(r#"{"requestId":"T1","#, r#"{"a":0,"requestId":"T1","b":0,"#, 1).into_bytes()
    };
    for (framing, body, then, whole, why) in [
        (Framing::Length(3 * MIB), three.clone(), Then::End, Ok(true), "as it should be"),
        (Framing::Chunks, three.clone(), Then::End, Ok(true), "in chunks"),
        (Framing::Length(3 * MIB), cut.clone(), Then::Close, Ok(false), "cut"),
        (Framing::Chunks, cut.clone(), Then::Close, Ok(false), "cut between chunks"),
        (Framing::Chunks, cut.clone(), Then::End, Ok(false), "cut before it was framed"),
        (Framing::Close, three, Then::Close, Err(bad), "its end cannot be told from a cut"),
        (Framing::Close, list(MIB), Then::Close, Ok(true), "the same, read as a whole"),
        (
            Framing::Coded,
            ends_early,
            Then::Close,
            Err(bad),
            "the same, though it ends as an object",
        ),
        (Framing::Chunks, lines, Then::End, Ok(true), "with a line feed in a piece of its own"),
        (Framing::Length(17 * MIB), list(17 * MIB), Then::End, Err(bad), "too long"),
        (Framing::Chunks, list(17 * MIB), Then::End, Ok(false), "too long, and that shows late"),
        (Framing::Chunks, other_order(MIB), Then::End, Ok(true), "read as a whole"),
        (Framing::Chunks, other_order(2 * MIB), Then::End, Err(bad), "too long for that"),
        (Framing::Length(2 * MIB), vec![b'x'; 2 * MIB], Then::End, Err(bad), "no answer of ZEC's"),
    ] {
        let world = world(framing, body.clone(), then, "").await;
        let alice = world.alice();
        for path in ["/api/v2/zec", "/actions/DescribeVpcs"] {
            let (status, seen) = asked(world.gateway, request(&alice, path)).await;
            match whole {
                Ok(true) => assert!(status == 200 && seen.unwrap() == body, "{path}: {why}"),
                Ok(false) => assert_eq!((status, seen), (200, None), "{path}: {why}"),
                Err(slug) => {
                    let seen = String::from_utf8(seen.expect(why).to_vec()).unwrap();
                    assert!(status == 502 && seen.contains(slug), "{path}: {why}: {seen}");
                }
            }
        }
        let broken = if whole == Ok(false) { 2.0 } else { 0.0 };
        assert_eq!(world.metric("zec_broken_answers_total").await, broken, "{why}");
        world.until_in_flight(0.0).await;
    }
}

/// Asks for an answer and reads no more of it than its beginning.
async fn unread(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    let head = [("X-ZC-Action", "DescribeVpcs"), ("Content-Type", "application/json")];
    let text = world.alice().text("POST", "/api/v2/zec", &head, Some("{}"));
    stream.write_all(text.as_bytes()).await.unwrap();
    assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    stream
}

/// A connection without a request keeps nothing but its socket. One that waits for the rest of an answer keeps everything.
#[tokio::test]
async fn an_answer_that_pauses_comes_whole() {
    let body = list(2 * MIB);
    let world = world(Framing::Chunks, body.clone(), Then::Pause, "").await;
    let (status, seen) = asked(world.gateway, request(&world.alice(), "/api/v2/zec")).await;
    assert!(status == 200 && seen.unwrap() == body);
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_a_request_may_breaks_off() {
    let server = "read_timeout = \"1s\"\nrequest_timeout = \"2s\"";
    let world = world(Framing::Chunks, list(2 * MIB), Then::Hang, server).await;
    let (status, seen) = asked(world.gateway, request(&world.alice(), "/api/v2/zec")).await;
    assert_eq!((status, seen), (200, None));
    world.until_in_flight(0.0).await;
}

/// A drain waits for an answer whose rest is still to come.
#[tokio::test]
async fn a_drain_waits_for_the_rest_of_an_answer() {
    let body = list(2 * MIB);
    let mut world =
        world(Framing::Chunks, body.clone(), Then::Pause, "drain_timeout = \"20s\"").await;
    let (gateway, request) = (world.gateway, request(&world.alice(), "/api/v2/zec"));
    let asking = tokio::spawn(asked(gateway, request));
    world.until_in_flight(1.0).await;
    // The head has been answered: only the rest of the answer is in flight.
    let answered = "http_requests_total{code=\"200\",method=\"POST\",route=\"/api/v2/{service}\"}";
    world.until_metric(answered, 1.0).await;
    world.ask_to_stop();
    let (status, seen) = asking.await.unwrap();
    assert!(status == 200 && seen.unwrap() == body);
    assert!(world.stopped().await);
}

/// A drain waits for nobody who does not read.
#[tokio::test]
async fn a_drain_does_not_wait_for_a_caller_who_reads_nothing() {
    let framing = Framing::Length(15 * MIB);
    let server = "drain_timeout = \"25s\"";
    let mut world = world(framing, list(15 * MIB), Then::End, server).await;
    let _unread = unread(&world).await;
    world.ask_to_stop();
    assert!(world.stopped().await, "it was cut off at the end of the drain");
}

/// A head that begins during a long answer waits for its end, whatever `server.header_timeout` is.
#[tokio::test]
async fn a_request_that_comes_during_an_answer_is_served_after_it() {
    let body = list(2 * MIB);
    let server = "header_timeout = \"1s\"";
    let world = world(Framing::Chunks, body.clone(), Then::Pause, server).await;
    let alice = world.alice();
    let head = [("X-ZC-Action", "DescribeVpcs"), ("Content-Type", "application/json")];
    let both = alice.text("POST", "/api/v2/zec", &head, Some("{}"))
        + &alice.text("GET", "/whoami", &[("Connection", "close")], None);
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let read = tokio::time::timeout(client::PATIENCE, stream.read_to_end(&mut all)).await;
    read.expect("the end of the connection").unwrap();
    let second = all.windows(13).rposition(|text| text == b"HTTP/1.1 200 ").unwrap();
    assert!(second > 2 * MIB, "the second answer came after the first");
}

#[tokio::test]
async fn over_http2_the_stream_of_an_answer_that_breaks_off_is_reset() {
    let authority = Authority::new();
    let cut = list(3 * MIB)[..2 * MIB].to_vec();
    let endpoint = Some(zec(Framing::Length(3 * MIB), cut, Then::Close).await);
    let setup = secure::setup("", &authority.server(2100));
    let world = Setup { policy: POLICY.to_owned(), endpoint, ..setup }.start().await;
    let mut http2 = Client::new(&authority).http2(&world).await;
    let target = "https://localhost/api/v2/zec".parse::<hyper::Uri>().unwrap();
    let mut head = request(&world.alice(), "/").map(Sent::new);
    *head.uri_mut() = target;
    head.headers_mut().remove("host");
    let answer = http2.sender.send_request(head).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.into_body().collect().await.is_err(), "it looks whole");
    let whoami = http2.whoami(&world.alice()).await.unwrap();
    assert_eq!(whoami.status, 200, "the connection serves on");
}

/// A caller who does not read holds a slot of their own, and not for longer than `server.idle_timeout`.
#[tokio::test]
async fn an_answer_that_is_not_read_ends_with_its_connection() {
    let framing = Framing::Length(15 * MIB);
    let world = world(framing, list(15 * MIB), Then::End, "idle_timeout = \"1s\"").await;
    let mut stream = unread(&world).await;
    world.until_in_flight(0.0).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 15 * MIB, "it was cut");
}

/// An answer to HTTP/1.0 may end with its connection, which looks like a cut.
#[tokio::test]
async fn a_caller_who_could_not_see_a_cut_gets_no_long_answer() {
    let world = world(Framing::Chunks, list(2 * MIB), Then::End, "").await;
    let text = world.alice().text(
        "POST",
        "/api/v2/zec",
        &[("X-ZC-Action", "DescribeVpcs"), ("Content-Type", "application/json")],
        Some("{}"),
    );
    let text = text.replace("HTTP/1.1", "HTTP/1.0");
    let answer = client::raw(world.gateway, text.as_bytes()).await.unwrap();
    assert_eq!(answer.problem().1, "zec-bad-answer");
}

/// The emulator's own long answer, over HTTP/2 with TLS and again over the same connections.
#[tokio::test]
async fn long_answers_come_over_http2_and_connections_serve_on() {
    let authority = Authority::new();
    let setup = secure::setup("", &authority.server(2100));
    let world = Setup { policy: POLICY.to_owned(), ..setup }.start().await;
    world.zec.inject(Fault::always(FaultKind::Huge));
    let bearer = world.alice().bearer();
    let mut http2 = Client::new(&authority).http2(&world).await;
    for _ in 0..3 {
        let head = [
            ("x-zc-action", "DescribeVpcs"),
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
        ];
        let body = Full::new(Bytes::from_static(b"{}"));
        let target = "https://localhost/api/v2/zec";
        let answer = http2.ask("POST", target, &head, body).await.unwrap();
        let length = answer.header(CONTENT_LENGTH.as_str()).map(|length| length.parse().unwrap());
        assert_eq!((answer.status, length), (200, Some(answer.body.len())));
        assert!(answer.body.len() > MIB && answer.json()["response"]["dataSet"].is_array());
    }
    world.until_in_flight(0.0).await;
}
