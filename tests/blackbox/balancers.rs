//! Real HAProxy and nginx in front of the gateway, configured as docs/balancers.md describes.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::Empty;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use zec_gateway::emulator::{self, Emulator};

use crate::{
    client::{self, PATIENCE},
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw, frame, request},
    program::{Files, Served, run},
    real_parts::{free_address, left_out, unpacked},
    secure::{Authority, Client},
    world::{KEY_ID, NIC, PASSWORD, World},
};

const PAGE: &str = include_str!("../../docs/balancers.md");

/// The one block in a language under a heading of the page.
fn block(heading: &str, language: &str) -> String {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rest = section.split_once(&format!("```{language}\n")).unwrap().1;
    rest.split_once("```").unwrap().0.to_owned()
}

/// A proxy in front of a gateway; it runs until dropped.
struct Front {
    child: Child,
    address: SocketAddr,
    _files: TempDir,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The replacements for the placeholders in the page's configurations.
struct Places<'a> {
    gateway: SocketAddr,
    admin: SocketAddr,
    authority: &'a Authority,
}

async fn start(program: &str, places: Places<'_>, text: &str) -> Front {
    let files = tempfile::tempdir().unwrap();
    let at = |name: &str| files.path().join(name).display().to_string();
    let pair = places.authority.server(2100);
    fs::write(files.path().join("gateway.pem"), format!("{}{}", pair.cert, pair.key)).unwrap();
    let address = free_address();
    let text = text
        .replace("bind :443", &format!("bind {address}"))
        .replace("listen 443", &format!("listen {address}"))
        .replace("127.0.0.1:8080", &places.gateway.to_string())
        .replace("port 9464", &format!("port {}", places.admin.port()))
        .replace("/etc/haproxy/gateway.pem", &at("gateway.pem"))
        .replace("/etc/nginx/gateway.pem", &at("gateway.pem"));
    let config = at("front.conf");
    let mut command = unpacked(program);
    if program.ends_with("nginx") {
        let whole = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log {} info;\nevents {{}}\nhttp {{\n\
             access_log off;\nclient_body_temp_path {};\nproxy_temp_path {};\n\
             fastcgi_temp_path {};\nuwsgi_temp_path {};\nscgi_temp_path {};\n{text}\n}}\n",
            at("pid"),
            at("error.log"),
            at("b"),
            at("p"),
            at("f"),
            at("u"),
            at("s"),
        );
        fs::write(&config, whole).unwrap();
        command.args(["-p", &at(""), "-c", &config]);
    } else {
        fs::write(&config, text).unwrap();
        command.args(["-db", "-f", &config]);
    }
    let log = fs::File::create(files.path().join("log")).unwrap();
    let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let there = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let said = || fs::read_to_string(files.path().join("log")).unwrap_or_default();
    assert!(tokio::time::timeout(PATIENCE, there).await.is_ok(), "{}", said());
    Front { child, address, _files: files }
}

/// Requests without a length over HTTP/2, as browsers and okhttp send them, and the gateway's answers behind this
/// proxy.
async fn bodiless(front: &Front, world: &World, authority: &Authority) {
    let bearer = world.alice().bearer();
    let stream = Client::new(authority).speaks(&["h2"]).connect(front.address).await.unwrap();
    let mut raw = Raw::over(stream).await;
    for (number, (method, path, status)) in [
        ("GET", "/whoami".to_owned(), "200"),
        ("DELETE", format!("/nics/{NIC}/ipv4/10.0.0.21"), "200"),
        ("DELETE", format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.22"), "200"),
        ("DELETE", format!("/nics/{NIC}/ipv4/10.0.0.21"), "409"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = u32::try_from(2 * number + 1).unwrap();
        let head = request(method, &path, &[("authorization", &bearer)]);
        raw.send(&frame(HEADERS, END_HEADERS, id, &head)).await;
        raw.send(&frame(DATA, END_STREAM, id, b"")).await;
        let answer = raw.until(DATA).await.unwrap_or_else(|| panic!("closed at {path}"));
        let text = String::from_utf8(answer.payload).unwrap();
        let refused = text.contains("\"type\":\"/problems/");
        assert_eq!(refused, status != "200", "{method} {path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_http2_clients_arrive_through_haproxy() {
    if left_out("proxies") {
        return;
    }
    let (world, authority) = (World::start().await, Authority::new());
    let places = Places { gateway: world.gateway, admin: world.admin, authority: &authority };
    let front = start("usr/sbin/haproxy", places, &block("HAProxy", "haproxy")).await;
    bodiless(&front, &world, &authority).await;
    // HAProxy turns a request without a length into one with an empty chunked body.
    let sent = world.sent("UnassignNetworkInterfaceIpv4");
    assert_eq!(sent.len(), 2, "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_http2_clients_arrive_through_nginx() {
    if left_out("proxies") {
        return;
    }
    let (world, authority) = (World::start().await, Authority::new());
    let places = Places { gateway: world.gateway, admin: world.admin, authority: &authority };
    let front = start("usr/sbin/nginx", places, &block("nginx", "nginx")).await;
    bodiless(&front, &world, &authority).await;
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), 2);
}

/// A second request in the tail of the first one: the proxy and the gateway might split them at different places.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_past_a_front() {
    if left_out("proxies") {
        return;
    }
    for (program, heading, language) in
        [("usr/sbin/haproxy", "HAProxy", "haproxy"), ("usr/sbin/nginx", "nginx", "nginx")]
    {
        let (world, authority) = (World::start().await, Authority::new());
        let places = Places { gateway: world.gateway, admin: world.admin, authority: &authority };
        let front = start(program, places, &block(heading, language)).await;
        let tail = world.alice().text(
            "DELETE",
            &format!("/nics/{NIC}/ipv4/10.0.0.21"),
            &[("Connection", "close")],
            None,
        );
        let stranger = world.stranger();
        for lines in [
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: xchunked",
        ] {
            // The first request has no token and its tail has one. If the tail arrives, some party split them
            // differently.
            let target = format!("/nics/{NIC}/ipv4");
            let head =
                stranger.text("DELETE", &target, &[("Content-Type", "application/json")], None);
            let head = head.strip_suffix("\r\n").unwrap();
            let text = format!("{head}{lines}\r\n\r\n0\r\n\r\n{tail}");
            let mut stream = Client::new(&authority).connect(front.address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            let first = client::read(&mut stream).await;
            assert!(first.is_none_or(|answer| answer.status != 200), "{program} {lines:?}");
        }
        // The proxy still works, and both sides accept a plain chunked body.
        let mut http2 = Client::new(&authority).http2_at(front.address).await;
        let headers = [("authorization", &*world.alice().bearer())];
        let answer =
            http2.ask("GET", "https://localhost/whoami", &headers, Empty::<Bytes>::new()).await;
        assert_eq!(answer.unwrap().status, 200, "{program}");
    }
}

/// How often a write reaches a gateway that hangs up on it.
#[tokio::test(flavor = "multi_thread")]
async fn no_front_repeats_a_write() {
    if left_out("proxies") {
        return;
    }
    for (program, heading, language) in
        [("usr/sbin/haproxy", "HAProxy", "haproxy"), ("usr/sbin/nginx", "nginx", "nginx")]
    {
        let world = World::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = listener.local_addr().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    // Answers reads, so that the connection stays open, and hangs up on a write.
                    let mut room = [0; 8192];
                    while let Ok(length @ 1..) = stream.read(&mut room).await {
                        if room[..length].starts_with(b"DELETE") {
                            count.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        let _ = stream.write_all(answer).await;
                    }
                });
            }
        });
        let authority = Authority::new();
        let places = Places { gateway, admin: world.admin, authority: &authority };
        let front = start(program, places, &block(heading, language)).await;
        let mut http2 = Client::new(&authority).http2_at(front.address).await;
        let target = format!("https://localhost/nics/{NIC}/ipv4/10.0.0.21");
        let answer = http2.ask("GET", &target, &[], Empty::<Bytes>::new()).await.unwrap();
        assert_eq!(answer.status, 200, "{program}");
        // nginx answers 502; HAProxy has its client send the request again, as the page says.
        let answer = http2.ask("DELETE", &target, &[], Empty::<Bytes>::new()).await;
        let refused = |error: &hyper::Error| format!("{error:?}").contains("REFUSED_STREAM");
        match &answer {
            Ok(answer) => assert_eq!(answer.status, 502, "{program}"),
            Err(error) => assert!(refused(error) && program.ends_with("haproxy"), "{error:?}"),
        }
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{program}");
    }
}

/// The last log event with a text, from a gateway that runs as a process.
fn answered(served: &mut Served) -> Value {
    served.said.clear();
    served.until("\"answered\"");
    served.event("\"answered\"")
}

/// A gateway as a process with an emulator as its ZEC, and with these lines in its `[server]`.
async fn process(server: &str) -> (Files, Served, Emulator) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let password = SecretString::from(PASSWORD);
    let zec = Emulator::new(emulator::Settings::new(KEY_ID, password)).with_demo_nics();
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let files = Files::new(&endpoint);
    let text = fs::read_to_string(files.config()).unwrap();
    fs::write(files.config(), text.replacen("[server]\n", &format!("[server]\n{server}\n"), 1))
        .unwrap();
    let served = tokio::task::block_in_place(|| Served::start(&files, "info"));
    (files, served, zec)
}

/// The journal's last intent, which has the client's address.
fn recorded(files: &Files) -> Value {
    let journal = files.directory.path().join("journal.db");
    let (code, said, complaints) =
        run(&["journal", "export", journal.to_str().unwrap()], files.directory.path());
    assert_eq!(code, 0, "{complaints}");
    let mut intents = said.lines().filter(|line| line.contains("intent"));
    serde_json::from_str(intents.next_back().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_caller_is_seen_in_the_log_and_in_the_journal() {
    if left_out("proxies") {
        return;
    }
    for version in ["send-proxy", "send-proxy-v2"] {
        let (files, mut served, _zec) = process("trusted_proxies = [\"127.0.0.1\"]").await;
        let authority = Authority::new();
        let places =
            Places { gateway: served.gateway, admin: served.admin(), authority: &authority };
        let text = block("HAProxy", "haproxy");
        let text = text.replace("check port 9464", &format!("check port 9464 {version}"));
        let front = start("usr/sbin/haproxy", places, &text).await;
        let mut http2 = Client::new(&authority).http2_at(front.address).await;
        let bearer = files.bearer(&["netops", "engineers"]);
        let target = format!("https://localhost/nics/{NIC}/ipv4/10.0.0.21");
        let headers = [("authorization", bearer.as_str())];
        let answer = http2.ask("DELETE", &target, &headers, Empty::<Bytes>::new()).await;
        assert_eq!(answer.unwrap().status, 200);
        let event = tokio::task::block_in_place(|| answered(&mut served));
        let client = http2.local.to_string();
        assert_eq!(event["client.address"], client, "{version}: {event}");
        let proxy = event["proxy.address"].as_str().unwrap();
        assert!(proxy.starts_with("127.0.0.1:") && proxy != client, "{event}");
        let entry = recorded(&files);
        let body: Value = serde_json::from_str(entry["content"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&body["clientAddress"], &body["proxyAddress"]),
            (&event["client.address"], &event["proxy.address"]),
            "{entry}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_is_believed_and_it_must_say_for_whom_it_asks() {
    let line = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n";
    let ask = "GET /whoami HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";
    // Without trusted proxies, the line is not a valid request.
    let (_files, served, _zec) = process("").await;
    let answer = client::raw(served.gateway, format!("{line}{ask}").as_bytes()).await;
    assert!(answer.is_none_or(|answer| answer.status == 400));
    let (_files, mut served, _zec) =
        process("trusted_proxies = [\"127.0.0.0/8\"]\nheader_timeout = \"300ms\"").await;
    let admin = served.admin();
    for bytes in [ask, "PROXY TCP4 192.0.2.7\r\n", "PROX"] {
        let answer = client::raw(served.gateway, bytes.as_bytes()).await;
        assert!(answer.is_none(), "{bytes:?}: {answer:?}");
    }
    let answer = client::raw(served.gateway, format!("{line}{ask}").as_bytes()).await.unwrap();
    // The address identifies the client but does not authenticate it.
    assert_eq!(answer.problem().1, "missing-token");
    let event = tokio::task::block_in_place(|| answered(&mut served));
    assert_eq!(event["client.address"], "192.0.2.7:4711", "{event}");
    // The operators' port never accepts the PROXY protocol.
    let answer = client::raw(admin, b"GET /livez HTTP/1.1\r\nHost: g\r\n\r\n").await;
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_and_operators_may_come_over_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // This socket remains from a gateway that was killed.
    drop(std::os::unix::net::UnixListener::bind(at("callers")).unwrap());
    let files = Files::new("http://127.0.0.1:9");
    let text = fs::read_to_string(files.config()).unwrap();
    let text = text
        .replacen(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"unix:{}\"", at("callers").display()),
            1,
        )
        .replacen(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"unix:{}\"", at("operators").display()),
            1,
        );
    fs::write(files.config(), text).unwrap();
    let mut served = tokio::task::block_in_place(|| Served::spawn_anywhere(files.serve("info")));
    for (name, path, status) in [("callers", "/whoami", 401), ("operators", "/readyz", 200)] {
        let mut stream = tokio::net::UnixStream::connect(at(name)).await.unwrap();
        let text = client::request("GET", path, &[("Connection", "close")], None);
        stream.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(client::read(&mut stream).await.unwrap().status, status, "{name}");
    }
    let event = tokio::task::block_in_place(|| answered(&mut served));
    assert_eq!(event["client.address"], "unix", "{event}");
    // A second gateway does not take the socket of a running one, and the first removes its own at its end.
    let (code, _, said) =
        run(&["serve", "--config", files.config().to_str().unwrap()], files.directory.path());
    assert_eq!(code, 1, "{said}");
    assert_eq!(tokio::task::block_in_place(|| served.stop()), Some(0));
    assert!(!at("callers").exists() && !at("operators").exists());
}
