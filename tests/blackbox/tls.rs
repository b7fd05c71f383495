//! The TLS listener: its versions and protocols, the clients that it admits, and its timeouts.

use std::{fs, process::Command, time::Duration};

use rustls::{
    ProtocolVersion,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{self, PATIENCE},
    program::{Files, Served, run},
    secure::{Authority, Client, MUTUAL, TLS, secure, setup, whoami},
    world::{Setup, World},
};

/// Waits until the peer closes, and returns the bytes that it sent before.
async fn closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = end.expect("the connection stays open");
    bytes
}

/// A `ClientHello` of TLS 1.(`version` - 1), with all that is needed for one cipher.
fn hello(version: u8) -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 0x17];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&[0, 16][..], &groups, &signatures].concat();
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    [vec![22, 3, 1, 0, length + 4, 1, 0, 0, length], body].concat()
}

#[tokio::test]
async fn both_protocols_are_answered_over_both_versions() {
    let (world, authority) = secure("").await;
    let alice = world.alice();
    for (version, number) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let client = Client::new(&authority).versions(&[version]).speaks(&["http/1.1"]);
        let mut stream = client.connect(world.gateway).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(number));
        for _ in 0..2 {
            let answer = whoami(&mut stream, &alice).await.expect("an answer");
            assert_eq!(answer.json()["subject"], "alice");
        }
        let mut http2 = client.http2(&world).await;
        for _ in 0..2 {
            assert_eq!(http2.whoami(&alice).await.unwrap().json()["subject"], "alice");
        }
    }
}

#[tokio::test]
async fn what_is_spoken_is_agreed_upon_in_the_handshake() {
    let (world, authority) = secure("").await;
    let client = || Client::new(&authority);
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = client().speaks(offered).connect(world.gateway).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen, "{offered:?}");
    }
    assert!(client().speaks(&["gopher"]).connect(world.gateway).await.is_err());
    // A client that agreed on no protocol gets HTTP/1.1, whatever it sends then.
    let mut stream = client().connect(world.gateway).await.unwrap();
    assert_eq!(whoami(&mut stream, &world.alice()).await.expect("an answer").status, 200);
    let mut stream = client().connect(world.gateway).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let answer = client::read(&mut stream).await;
    assert!(answer.is_none_or(|answer| answer.status >= 400), "HTTP/2 was guessed");
}

#[tokio::test]
async fn older_versions_and_plain_http_are_hung_up_on() {
    let (world, authority) = secure("").await;
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(&hello(3)).await.unwrap();
    let mut said = [0; 6];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!((said[0], said[5]), (22, 2), "no hello for TLS 1.2: {said:?}");
    for version in [0, 1, 2] {
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(&hello(version)).await.unwrap();
        let said = closed(&mut stream).await;
        // An alert: fatal, and about the version.
        assert_eq!((said.first(), &said[5..]), (Some(&21), &[2, 70][..]), "{version}: {said:?}");
    }
    let text = world.alice().text("GET", "/whoami", &[], None);
    assert!(client::raw(world.gateway, text.as_bytes()).await.is_none());
    let mut stream = Client::new(&authority).connect(world.gateway).await.unwrap();
    assert_eq!(whoami(&mut stream, &world.alice()).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_handshake_that_stalls_or_trickles_is_cut_off_while_others_are_served() {
    let (world, authority) = secure("handshake_timeout = \"3s\"\nheader_timeout = \"1h\"").await;
    let mut silent = TcpStream::connect(world.gateway).await.unwrap();
    let trickling = TcpStream::connect(world.gateway).await.unwrap();
    let mut stream = Client::new(&authority).connect(world.gateway).await.unwrap();
    assert_eq!(whoami(&mut stream, &world.alice()).await.expect("an answer").status, 200);
    let (mut read, mut write) = trickling.into_split();
    let trickle = tokio::spawn(async move {
        // A long record that never ends.
        write.write_all(&[22, 3, 1, 0x3f, 0, 1, 0, 0x3e, 0xfc]).await.unwrap();
        while write.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(closed(&mut silent).await.is_empty());
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, read.read_to_end(&mut bytes)).await;
    let _ = end.expect("a handshake may trickle for ever");
    trickle.abort();
    assert_eq!(whoami(&mut stream, &world.alice()).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_handshake_takes_a_place_and_gives_it_up_to_who_comes_next() {
    let (world, authority) = secure("max_connections = 1\nhandshake_timeout = \"1h\"").await;
    let mut silent = TcpStream::connect(world.gateway).await.unwrap();
    world.until_metric("connections{state=\"anonymous\"}", 1.0).await;
    let mut stream = Client::new(&authority).connect(world.gateway).await.unwrap();
    assert_eq!(whoami(&mut stream, &world.alice()).await.expect("an answer").status, 200);
    let mut byte = [0];
    let end = tokio::time::timeout(PATIENCE, silent.read(&mut byte)).await;
    assert!(matches!(end.expect("the silent one stays"), Ok(0) | Err(_)));
}

#[tokio::test]
async fn the_drain_does_not_wait_for_a_handshake_that_stalls() {
    let server = "handshake_timeout = \"1s\"\ndrain_timeout = \"20s\"";
    let (mut world, authority) = secure(server).await;
    let _silent = TcpStream::connect(world.gateway).await.unwrap();
    // Once this connection is through, the gateway has the other one too.
    drop(Client::new(&authority).connect(world.gateway).await.unwrap());
    world.ask_to_stop();
    assert!(world.stopped().await, "it waited for whoever never spoke");
}

#[tokio::test]
async fn the_timers_of_connections_hold_inside_tls_too() {
    let (world, authority) = secure("header_timeout = \"2s\"\nidle_timeout = \"1h\"").await;
    let client = Client::new(&authority).speaks(&["http/1.1"]);
    let mut silent = client.connect(world.gateway).await.unwrap();
    let mut byte = [0];
    let end = tokio::time::timeout(PATIENCE, silent.read(&mut byte)).await;
    let _ = end.expect("a connection that says nothing stays open");
    let mut second = client.connect(world.gateway).await.unwrap();
    assert_eq!(whoami(&mut second, &world.alice()).await.expect("an answer").status, 200);
    // Longer than the header timeout; the exact time does not matter.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(whoami(&mut second, &world.alice()).await.expect("an answer").status, 200);
    second.write_all(b"GET /whoami HTTP/1.1\r\nX: ").await.unwrap();
    let end = tokio::time::timeout(PATIENCE, second.read(&mut byte)).await;
    let _ = end.expect("a head may take for ever");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_form() {
    let (world, authority) = secure("header_timeout = \"1h\"\nidle_timeout = \"200ms\"").await;
    let mut stream = Client::new(&authority).connect(world.gateway).await.unwrap();
    assert_eq!(whoami(&mut stream, &world.alice()).await.expect("an answer").status, 200);
    let mut byte = [0];
    let end = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await;
    // Without `close_notify` this would be an error, because a reader could not distinguish it from a cut connection.
    assert_eq!(end.expect("an idle connection stays open").expect("a proper end"), 0);
}

/// A world that requires client certificates of an authority.
async fn mutual(authority: &Authority, clients: &Authority) -> World {
    let setup = setup("", &authority.server(2100));
    let mut files = setup.files;
    // One authority of several.
    files.push(("clients.pem", [Authority::new().pem(), clients.pem()].concat()));
    Setup { server: MUTUAL.to_owned(), files, ..Setup::default() }.start().await
}

#[tokio::test]
async fn callers_must_show_a_certificate_where_that_is_demanded() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let world = mutual(&authority, &clients).await;
    for version in [&TLS12, &TLS13] {
        let client = || Client::new(&authority).versions(&[version]);
        for (shown, good) in [
            (None, false),
            (Some(Authority::new().client()), false),
            // Issued for a server.
            (Some(clients.server(2100)), false),
            (Some(clients.client()), true),
        ] {
            let client = match shown {
                None => client(),
                Some(pair) => client().shows(pair),
            };
            // With TLS 1.3, the caller learns of it only after the handshake.
            let answer = match client.connect(world.gateway).await {
                Ok(mut stream) => whoami(&mut stream, &world.alice()).await,
                Err(_) => None,
            };
            assert_eq!(answer.map(|answer| answer.status), good.then_some(200));
        }
        // A certificate does not replace a token.
        let mut stream = client().shows(clients.client()).connect(world.gateway).await.unwrap();
        assert_eq!(whoami(&mut stream, &world.stranger()).await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn the_metric_says_when_the_certificate_expires_and_is_not_there_without_one() {
    let (world, _) = secure("").await;
    // 2100-01-01T00:00:00Z
    assert_eq!(world.metric("tls_certificate_expiry_timestamp_seconds").await, 4_102_444_800.0);
    let plain = World::start().await;
    assert!(!plain.metrics().await.contains("tls_certificate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_its_answer_over_http2() {
    let (world, authority) = secure("").await;
    let ca = world.files.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let url = format!("https://{}/whoami", world.gateway);
    let header = format!("Authorization: {}", world.alice().bearer());
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", flag, "--cacert", ca.to_str().unwrap(), "-H", &header]);
        curl.args(["-w", "\n%{http_version} %{http_code}", "--noproxy", "*", &url]);
        let done = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(said.ends_with(&format!("\n{version} 200")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_handshakes_are_logged_only_at_debug_level() {
    let authority = Authority::new();
    let pair = authority.server(2100);
    for (level, told) in [("info", false), ("debug", true)] {
        let files = Files::new("https://console.zenlayer.com");
        fs::write(files.directory.path().join("server.pem"), &pair.cert).unwrap();
        fs::write(files.directory.path().join("server.key"), &pair.key).unwrap();
        let text = fs::read_to_string(files.config()).unwrap();
        fs::write(files.config(), text.replacen("[server]", &format!("[server]\n{TLS}"), 1))
            .unwrap();
        let mut served = Served::start(&files, level);
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &hello(1), b"\0\0\0"] {
            assert!(client::raw(served.gateway, bytes).await.is_none());
        }
        drop(Client::new(&Authority::new()).connect(served.gateway).await.unwrap_err());
        drop(Client::new(&authority).connect(served.gateway).await.unwrap());
        assert_eq!(served.stop(), Some(0), "{}", served.said);
        let count = served.said.matches("a TLS handshake failed").count();
        assert_eq!(count, if told { 4 } else { 0 }, "{}", served.said);
    }
}

#[test]
fn check_says_what_is_wrong_with_the_certificate_beside_all_else() {
    let authority = Authority::new();
    let files = Files::new("https://console.zenlayer.com");
    let at = |name: &str| files.directory.path().join(name);
    let text = fs::read_to_string(files.config()).unwrap();
    fs::write(files.config(), text.replacen("[server]", &format!("[server]\n{MUTUAL}"), 1))
        .unwrap();
    let check = || run(&["check", "--config", files.config().to_str().unwrap()], &at(""));
    fs::write(at("server.pem"), authority.server(2100).cert).unwrap();
    fs::write(at("server.key"), authority.server(2100).key).unwrap();
    fs::remove_file(at("sk")).unwrap();
    let (code, _, said) = check();
    assert_eq!(code, 1);
    for key in [
        "access_key_password_file",
        "tls.key_file: the private key does not match",
        "tls.client_ca_file",
    ] {
        assert!(said.contains(key), "no word of {key}: {said}");
    }
    fs::write(at("sk"), "s").unwrap();
    let (code, _, said) = check();
    assert!(code == 1 && said.contains("tls.key_file") && said.contains("clients.pem"), "{said}");

    let expired = authority.server(2021);
    fs::write(at("server.pem"), expired.cert).unwrap();
    fs::write(at("server.key"), expired.key).unwrap();
    fs::write(at("clients.pem"), authority.pem()).unwrap();
    let (code, _, said) = check();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the certificate expired at 2021-01-01T00:00:00Z"), "{said}");
}
