//! Tests of the client: secrets, pauses between requests, deadlines and ZEC's clock.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use secrecy::SecretString;

use super::*;
use crate::{
    catalogue::ZEC,
    clock,
    domain::{API_VERSION, Action, NicId},
    zec::AccessKey,
};

#[test]
fn the_signature_shows_in_no_debug_output() {
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let (Reader(client), _) = connect(&Settings::for_tests("127.0.0.1:1"), key, metrics).unwrap();
    let action = Action::UnassignNetworkInterfaceIpv4.name();
    let key = &client.keys.now().current;
    let request = client
        .request(
            SignedCall {
                service: ZEC,
                action,
                version: API_VERSION,
                body: Bytes::from_static(b"{}"),
                key,
            },
            clock::now(),
        )
        .unwrap();
    let shown = format!("{request:?}");
    assert!(shown.contains("x-zc-action") && !shown.contains("Signature="), "{shown}");
}

/// Reads a request of the gateway's to the end of its body and answers with success.
fn say_yes(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"}") {
        let read = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..read]);
    }
    let body = r#"{"requestId":"T1","response":{}}"#;
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
}

/// The server closes an idle connection, and the client has not checked its sockets since. The next write
/// still goes out over a new connection, once.
#[test]
fn a_write_after_a_pause_does_not_meet_a_connection_that_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (close, asked) = mpsc::channel();
    let (closed, done) = mpsc::channel();
    thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        say_yes(&mut first);
        asked.recv().unwrap();
        drop(first);
        closed.send(()).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        say_yes(&mut second);
    });
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let (Reader(client), _) = connect(&Settings::for_tests(&authority), key, metrics).unwrap();
    let keys = client.keys.now();
    let attempt = || {
        let deadline = Instant::now() + Duration::from_secs(30);
        let action = Action::UnassignNetworkInterfaceIpv4.name();
        let pass = client.admit(Kind::Write, client.breaker.asker("", "nic-1")).unwrap();
        let call = SignedCall {
            service: ZEC,
            action,
            version: API_VERSION,
            body: Bytes::from_static(b"{}"),
            key: &keys.current,
        };
        client.attempt(call, || Ok(clock::now()), |_: &Node<'_>, _: &Bytes| Ok(()), pass, deadline)
    };
    let scenario = async {
        assert!(attempt().await.is_ok());
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(2)).await;
        // Waits without letting the runtime check its sockets.
        close.send(()).unwrap();
        done.recv().unwrap();
        tokio::time::resume();
        let second = attempt().await;
        assert!(second.is_ok(), "{second:?}");
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(scenario);
}

/// A server that accepts the connection and never greets: without TLS, nothing can be sent.
#[tokio::test(start_paused = true)]
async fn where_the_time_is_up_before_there_is_a_connection_nothing_was_sent() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, certificate.cert.pem()).unwrap();
    let settings = Settings {
        scheme: Scheme::HTTPS,
        ca_file: Some(ca_file),
        connect_timeout: Duration::from_hours(1),
        ..Settings::for_tests(&silent.local_addr().unwrap().to_string())
    };
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let (Reader(client), _) =
        connect(&settings, key, Arc::new(Metrics::new(&[], &[]).unwrap())).unwrap();
    let keys = client.keys.now();
    let (pass, deadline) = (
        client.admit(Kind::Write, client.breaker.asker("", "nic-1")).unwrap(),
        Instant::now() + Duration::from_secs(30),
    );
    let action = Action::UnassignNetworkInterfaceIpv4.name();
    let call = SignedCall {
        service: ZEC,
        action,
        version: API_VERSION,
        body: Bytes::from_static(b"{}"),
        key: &keys.current,
    };
    let attempt = client
        .attempt(call, || Ok(clock::now()), |_: &Node<'_>, _: &Bytes| Ok(()), pass, deadline)
        .await;
    assert!(matches!(attempt, Err(Failure::NotSent(_))), "{attempt:?}");
}

/// A network on which every answer is this one.
#[derive(Debug)]
struct Always {
    status: u16,
    date: Option<SystemTime>,
    body: &'static str,
}

impl net::simulated::Network for Always {
    fn connect(&self) -> net::simulated::Later<()> {
        Box::pin(async { Ok(()) })
    }

    fn exchange(
        &self,
        _: http::Request<http_body_util::Full<Bytes>>,
    ) -> net::simulated::Later<http::Response<Bytes>> {
        let mut answer = http::Response::new(Bytes::from_static(self.body.as_bytes()));
        *answer.status_mut() = self.status.try_into().unwrap();
        if let Some(date) = self.date {
            let date = httpdate::fmt_http_date(date).parse().unwrap();
            answer.headers_mut().insert(http::header::DATE, date);
        }
        Box::pin(async { Ok(answer) })
    }
}

/// ZEC's clock decides what proves an outcome and when a key ends, so no one else's answer may set it.
#[tokio::test]
async fn the_time_is_taken_from_zecs_own_answers_and_without_a_date_from_what_it_signed_off() {
    const NONE: &str = r#"{"requestId":"T1","response":{"totalCount":0,"dataSet":[]}}"#;
    const REFUSED: &str = r#"{"requestId":"T1","code":"INVALID_NIC_NOT_FOUND","message":"no"}"#;
    let time = async |status, date, body| {
        let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        let network = Arc::new(Always { status, date, body });
        let settings = Settings::for_tests("zec");
        let (reader, _) = connect_over(network, &settings, key.into(), metrics).unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        let _ = reader.nic(&NicId::parse("nic-1").unwrap(), deadline).await;
        reader.time()
    };
    let (now, year) = (clock::now(), Duration::from_hours(24 * 365));
    let close = |time: Option<SystemTime>, wanted: SystemTime| {
        let time = time.expect("a time");
        time >= wanted - Duration::from_secs(2) && time <= wanted + Duration::from_mins(1)
    };
    // A proxy's page, and a refusal that may have come before ZEC checked the signature.
    assert_eq!(time(502, Some(now + year), "<html>").await, None);
    assert_eq!(time(404, None, REFUSED).await, None);
    assert!(close(time(200, Some(now + year), NONE).await, now + year));
    assert!(close(time(404, Some(now - year), REFUSED).await, now - year));
    // ZEC accepted the signature, so its clock is at most five minutes behind the gateway's.
    assert!(close(time(200, None, NONE).await, now - super::super::SIGNATURE_LIFETIME));
}
