//! Heads that no good client sends, and connections that send little or nothing.

use std::fmt::Write as _;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{self, End, PATIENCE},
    world::{NIC, Setup, World},
};

/// A request without its last empty line, and the statuses until the gateway ends the connection. A plain request
/// follows each of them; if the gateway must not read it, its 200 is missing. `{a}` is a valid `Authorization`, `{h}`
/// adds a valid `Host` to it.
const HEADS: &[(&str, &[u16])] = &[
    ("GET /whoami HTTP/1.1\r\n{h}", &[200, 200]),
    // The request line.
    ("\r\nGET /whoami HTTP/1.1\r\n{h}", &[200, 200]),
    ("\nGET /whoami HTTP/1.1\r\n{h}", &[400]),
    (" GET /whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET  /whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET\t/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET /whoami  HTTP/1.1\r\n{h}", &[400]),
    ("GET /whoami HTTP/1.1 \r\n{h}", &[400]),
    ("GET /whoami HTTP/1.1 HTTP/1.1\r\n{h}", &[400]),
    ("GET /whoami HTTP/1.1\n{h}", &[400]),
    ("GET /whoami HTTP/1.1\r{h}", &[400]),
    ("GET /who\0ami HTTP/1.1\r\n{h}", &[400]),
    ("GET /who\x7fami HTTP/1.1\r\n{h}", &[400]),
    ("GET /who\u{e9}ami HTTP/1.1\r\n{h}", &[400]),
    ("GET /whoami?x=\0 HTTP/1.1\r\n{h}", &[400]),
    // Methods.
    ("get /whoami HTTP/1.1\r\n{h}", &[405, 200]),
    ("BREW /whoami HTTP/1.1\r\n{h}", &[405, 200]),
    ("G\0ET /whoami HTTP/1.1\r\n{h}", &[400]),
    ("G(ET /whoami HTTP/1.1\r\n{h}", &[400]),
    ("{x} /whoami HTTP/1.1\r\n{h}", &[405, 200]),
    ("TRACE /whoami HTTP/1.1\r\n{h}", &[405, 200]),
    // Versions.
    ("GET /whoami", &[400]),
    ("GET /whoami HTTP/0.9\r\n{h}", &[400]),
    ("GET /whoami HTTP/1.0\r\n{a}", &[200]),
    ("GET /whoami HTTP/1.0\r\nConnection: keep-alive\r\n{a}", &[200, 200]),
    ("GET /whoami HTTP/1.0\r\nTransfer-Encoding: chunked\r\n{a}", &[400]),
    ("GET /whoami HTTP/1.2\r\n{h}", &[400]),
    ("GET /whoami HTTP/3.7\r\n{h}", &[400]),
    ("GET /whoami HTTP/2\r\n{h}", &[400]),
    ("GET /whoami http/1.1\r\n{h}", &[400]),
    ("GET /whoami HTTP/1.10\r\n{h}", &[400]),
    ("PRI * HTTP/2.0\r\n\r\nSM", &[400]),
    // Targets.
    ("GET http://gateway/whoami HTTP/1.1\r\n{h}", &[200, 200]),
    ("GET HTTPS://GATEWAY/whoami HTTP/1.1\r\n{h}", &[200, 200]),
    ("GET http://gateway/whoami HTTP/1.0\r\n{a}", &[200]),
    ("GET http://evil/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET http://gateway:81/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET http://evil@gateway/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET ftp://gateway/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET http:/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET http:///whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET gateway:443 HTTP/1.1\r\n{h}", &[400]),
    ("GET whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET gateway/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET ?/whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET * HTTP/1.1\r\n{h}", &[400]),
    ("OPTIONS * HTTP/1.1\r\n{h}", &[400]),
    ("CONNECT gateway:443 HTTP/1.1\r\n{h}", &[400]),
    ("CONNECT /whoami HTTP/1.1\r\n{h}", &[405, 200]),
    ("GET //whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET /./whoami HTTP/1.1\r\n{h}", &[400]),
    ("GET /whoami%00 HTTP/1.1\r\n{h}", &[400]),
    // Hosts.
    ("GET /whoami HTTP/1.1\r\n{a}", &[400]),
    ("GET http://gateway/whoami HTTP/1.1\r\n{a}", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nHost: gateway", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nHOST: evil", &[400]),
    ("GET /whoami HTTP/1.0\r\n{h}\r\nHost: evil", &[400]),
    ("GET /whoami HTTP/1.1\r\n{a}\r\nHost:", &[400]),
    ("GET /whoami HTTP/1.1\r\n{a}\r\nHost: gateway, evil", &[400]),
    ("GET /whoami HTTP/1.1\r\n{a}\r\nHost: gateway/whoami", &[400]),
    ("GET /whoami HTTP/1.1\r\n{a}\r\nHost: evil@gateway", &[400]),
    // Headers.
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: y\n", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\n\n", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: y\nZ: z", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: y\rZ: z", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: y\r", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: y\r\n folded", &[400]),
    ("GET /whoami HTTP/1.1\r\n {h}", &[400]),
    ("GET /whoami HTTP/1.1\r\n\tX: y\r\n{h}", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX : y", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\n: y", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX(: y", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\n\u{e9}: y", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX\0: y", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: \0", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: y\x01", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: \x08y", &[400]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX: \x7f", &[400]),
    // A tab and a byte beyond ASCII are allowed in a value (RFC 9110, 5.5), and so is an empty value.
    ("GET /whoami HTTP/1.1\r\n{h}\r\nX:\ty\u{e9}\r\nY:", &[200, 200]),
    // The gateway upgrades no connection, and waits for no body that is not declared.
    (
        "GET /whoami HTTP/1.1\r\n{h}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        &[200, 200],
    ),
    (
        "GET /whoami HTTP/1.1\r\n{h}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        &[200, 200],
    ),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nExpect: 100-continue", &[200, 200]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nConnection: close", &[200]),
    ("GET /whoami HTTP/1.1\r\n{h}\r\nConnection: keep-alive\r\nConnection: close", &[200]),
];

#[tokio::test]
async fn every_head_gets_its_answer_or_the_end() {
    let world = World::start().await;
    let last = world.alice().text("GET", "/whoami", &[("Connection", "close")], None);
    let bearer = last.lines().find(|line| line.starts_with("Authorization")).unwrap();
    let (host, long) = (format!("Host: gateway\r\n{bearer}"), "X".repeat(4000));
    let mut wrong = Vec::new();
    for (head, want) in HEADS {
        let text = head.replace("{a}", bearer).replace("{h}", &host).replace("{x}", &long);
        let text = format!("{text}\r\n\r\n{last}");
        let (answers, end) = client::exchange(world.gateway, text.as_bytes()).await;
        let got: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let refused = answers.first().filter(|answer| got.len() == 1 && answer.status >= 400);
        let says_so = refused.is_none_or(|answer| answer.header("connection") == Some("close"));
        if got != *want || end != End::Closed || !says_so {
            wrong.push(format!("{head:?}: {got:?} {end:?}, says so: {says_so}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_with_an_answer_that_arrives() {
    let world = World::start().await;
    let alice = world.alice();
    let get =
        |target: &str, name: &str, value: &str| alice.text("GET", target, &[(name, value)], None);
    let many = (0..3000).fold(String::new(), |mut all, n| {
        write!(all, "X-{n}: {}\r\n", "y".repeat(24)).unwrap();
        all
    });
    let few = "X: y\r\n".repeat(101);
    let whoami = get("/whoami", "X", "y");
    let huge = "y".repeat(100 * 1024);
    for (text, status) in [
        (get("/whoami", "X", &huge), 431),
        (get("/whoami", &huge, "y"), 431),
        (get("/whoami", "X", &"y".repeat(33 * 1024)), 431),
        (whoami.replace("X: y\r\n", &many), 431),
        (whoami.replace("X: y\r\n", &few), 431),
        (get(&format!("/{huge}"), "X", "y"), 431),
        (get(&format!("/{}", "y".repeat(9 * 1024)), "X", "y"), 414),
        (format!("{huge} /whoami HTTP/1.1\r\n\r\n"), 431),
        // Line ends without a line.
        ("\r\n".repeat(50 * 1024), 431),
    ] {
        // More data follows than the gateway has read by then: a reset must not destroy the answer.
        let (answers, end) =
            client::exchange(world.gateway, (text.clone() + &huge).as_bytes()).await;
        let [answer] = answers.as_slice() else { panic!("{}: {answers:?}", &text[..40]) };
        assert_eq!((answer.status, end), (status, End::Closed), "{}", &text[..40]);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(alice.get("/whoami").await.status, 200);
    // The token of a large company needs far less.
    let value = "y".repeat(16 * 1024);
    assert_eq!(alice.send("GET", "/whoami", &[("X", &value)], None).await.status, 200);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_only_if_the_body_is_wanted() {
    let world = Setup { server: "body_timeout = \"300ms\"".to_owned(), ..Setup::default() };
    let world = world.start().await;
    let body = r#"{"ipAddresses":["10.0.0.21"]}"#;
    let length = body.len().to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("Expect", "100-Continue"),
        ("Content-Length", &length),
    ];
    let target = format!("/nics/{NIC}/ipv4");
    let text = world.alice().text("DELETE", &target, &headers, None);
    let look = world.alice().text("GET", "/whoami", &[("Connection", "close")], None);
    for (rest, want) in [
        // The body never comes; it comes in part; it comes, followed by another request.
        ("", &[100, 400][..]),
        (&body[..9], &[100, 400]),
        (&format!("{body}{look}"), &[100, 200, 200]),
    ] {
        let (answers, end) =
            client::exchange(world.gateway, format!("{text}{rest}").as_bytes()).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!((statuses.as_slice(), end), (want, End::Closed), "{rest}");
        assert_eq!(answers.last().unwrap().header("connection"), Some("close"));
    }
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), 1);
}

/// The number of connections that send little or nothing.
const CROWD: usize = 1000;

/// Opens that many connections; each sends this text and reads this many answers.
async fn crowd(world: &World, text: &str, answers: usize) -> Vec<TcpStream> {
    // Both ends of each connection belong to this process, and other tests run at the same time.
    let wanted = 2 * CROWD as u64 + 1000;
    let got = rlimit::increase_nofile_limit(wanted).unwrap();
    assert!(got >= wanted, "{wanted} file descriptors are needed, {got} may be had: `ulimit -Hn`");
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        for _ in 0..answers {
            assert_eq!(client::read(&mut stream).await.expect("an answer").status, 200);
        }
        crowd.push(stream);
    }
    crowd
}

/// Texts after which the gateway waits for more, and the number of answers that each gets.
fn little(world: &World) -> [(String, usize); 4] {
    let whole = world.alice().text("GET", "/problems/internal", &[], None);
    let half = whole[..whole.len() / 2].to_owned();
    let behind = format!("{whole}{half}");
    [(String::new(), 0), (half, 0), (whole, 1), (behind, 1)]
}

#[tokio::test]
async fn a_thousand_connections_that_say_little_keep_nobody_else_waiting() {
    let server = "header_timeout = \"1h\"\nidle_timeout = \"1h\"".to_owned();
    let world = Setup { server, ..Setup::default() }.start().await;
    for (text, answers) in little(&world) {
        let held = crowd(&world, &text, answers).await;
        // This connection is accepted after all of them, and none of their timers makes room for it.
        assert_eq!(world.alice().get("/whoami").await.status, 200, "{text:?}");
        drop(held);
    }
}

#[tokio::test]
async fn a_thousand_connections_that_say_little_are_all_ended_in_their_time() {
    let server = "header_timeout = \"1s\"\nidle_timeout = \"1s\"".to_owned();
    let world = Setup { server, ..Setup::default() }.start().await;
    for (text, answers) in little(&world) {
        for mut stream in crowd(&world, &text, answers).await {
            let mut rest = Vec::new();
            let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
            end.expect("the connection stays open").expect("an end in order");
            assert!(rest.is_empty(), "{text:?}: {:?}", String::from_utf8_lossy(&rest));
        }
        assert_eq!(world.alice().get("/whoami").await.status, 200, "{text:?}");
    }
}
