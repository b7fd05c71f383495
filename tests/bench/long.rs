//! What a long list costs that is passed on, beside nginx as a plain proxy: `cargo bench --locked --bench long`. The figures
//! are in `docs/performance.md`. It needs the nginx that `scripts/test` unpacks.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot run should say so and stop"
)]

mod parts;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use parts::{ISSUER, process::Process};
use tempfile::TempDir;
use tokio::{net::TcpSocket, runtime};
use zec_gateway::issuer::{Grant, Signer, key_set};

const MIB: usize = 1024 * 1024;

/// How many lists one turn asks for, and how many turns each proxy has.
const LISTS: usize = 1500;
const TURNS: usize = 7;

/// How many lists are in flight for the room that they take, and how long each of them is.
const HELD: usize = 64;
const HELD_LENGTH: usize = 12 * MIB;

/// A running proxy on processor 0. It is killed when it is dropped.
struct Proxy {
    process: Process,
    address: SocketAddr,
    _files: TempDir,
}

impl Proxy {
    fn start(files: TempDir, address: SocketAddr, program: &Path, arguments: &[&str]) -> Self {
        let log = fs::File::create(files.path().join("log")).unwrap();
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { process: Process(child), address, _files: files }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn nginx(zec: SocketAddr) -> Proxy {
    let (files, address) = (tempfile::tempdir().unwrap(), free_address());
    let at = |name: &str| files.path().join(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log {};\nevents {{}}\nhttp {{\n\
         access_log off;\nproxy_max_temp_file_size 0;\n{temporary}keepalive_requests 100000000;\n\
         upstream zec {{ server {zec}; keepalive 64; keepalive_requests 100000000; }}\n\
         server {{ listen {address}; location / {{ proxy_pass http://zec; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; }} }} }}\n",
        at("pid"),
        at("error.log")
    );
    let config = at("nginx.conf");
    fs::write(&config, text).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-parts/unpacked");
    let program = root.join("usr/sbin/nginx");
    assert!(program.exists(), "no nginx: run scripts/test, which unpacks it");
    let prefix = at("");
    Proxy::start(files, address, &program, &["-p", &prefix, "-c", &config])
}

/// The gateway, and the request that asks it for a list.
fn gateway(zec: SocketAddr) -> (Proxy, String) {
    let (files, address) = (tempfile::tempdir().unwrap(), free_address());
    let put = |name: &str, text: &str| fs::write(files.path().join(name), text).unwrap();
    let signer = Signer::es256().unwrap();
    put("jwks.json", &key_set(&[&signer]));
    for name in ["id", "password"] {
        put(name, "BENCHACCESSKEY01");
    }
    fs::create_dir(files.path().join("policy")).unwrap();
    put("policy/all.cedar", "@id(\"all\") permit (principal, action, resource);");
    put(
        "gateway.toml",
        &format!(
            "[server]\nlisten = \"{address}\"\n[admin]\nlisten = \"{}\"\n[[auth.issuers]]\n\
             name = \"corp\"\nissuer = \"{ISSUER}\"\naudiences = [\"zec-gateway\"]\n\
             jwks_file = \"jwks.json\"\n[policy]\ndirectory = \"policy\"\n\
             [zec]\nendpoint = \"http://{zec}\"\naccess_key_id_file = \"id\"\n\
             access_key_password_file = \"password\"\n[limits]\nrequests_per_second = 0\n\
             [journal]\nenabled = false\n",
            free_address()
        ),
    );
    let grant = Grant {
        issuer: ISSUER.to_owned(),
        audience: "zec-gateway".to_owned(),
        subject: "alice".to_owned(),
        groups: vec!["staff".to_owned()],
        lifetime: Duration::from_hours(12),
    };
    let request = format!(
        "POST /api/v2/zec HTTP/1.1\r\nHost: gateway\r\nX-ZC-Action: DescribeVpcs\r\n\
         Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        signer.token(&grant).unwrap()
    );
    let config = files.path().join("gateway.toml").display().to_string();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_zec-gateway"));
    (Proxy::start(files, address, &program, &["serve", "--config", &config]), request)
}

/// A ZEC that answers each request with a list of this many bytes.
fn zec(length: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let begin = r#"{"requestId":"T1","response":{"requestId":"T1","dataSet":[""#;
    let body = format!("{begin}{}\"]}}}}", "x".repeat(length - begin.len() - 4));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    let answer = format!("{head} {}\r\n\r\n{body}", body.len());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut request = [0; 8192];
                // The proxies send each request in one piece.
                while stream.read(&mut request).is_ok_and(|count| count > 0) {
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// Reads an answer with a body of this many bytes.
fn read(stream: &mut TcpStream, length: usize, buffer: &mut [u8]) {
    let mut head = Vec::new();
    let begun = loop {
        let count = stream.read(buffer).unwrap();
        assert!(count > 0, "the answer is cut");
        head.extend_from_slice(&buffer[..count]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.len() - end - 4;
        }
    };
    assert!(head.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&head));
    let mut left = length - begun;
    while left > 0 {
        let count = stream.read(buffer).unwrap();
        assert!(count > 0, "the answer is cut");
        left -= count;
    }
}

/// The processor time for one list, in microseconds.
fn turn(proxy: &Proxy, request: &str) -> f64 {
    let mut stream = TcpStream::connect(proxy.address).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let before = proxy.process.used();
    for _ in 0..LISTS {
        stream.write_all(request.as_bytes()).unwrap();
        read(&mut stream, MIB, &mut buffer);
    }
    (proxy.process.used() - before) / f64::from(u32::try_from(LISTS).unwrap())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The room that a list in flight takes whose caller does not read, in KiB.
fn room() -> f64 {
    let (gateway, request) = gateway(zec(HELD_LENGTH));
    let runtime = runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let ask = || {
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(16 * 1024).unwrap();
            socket.connect(gateway.address).await.unwrap()
        });
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream
    };
    // The first answer makes what is made only once.
    let mut first = TcpStream::connect(gateway.address).unwrap();
    first.write_all(request.as_bytes()).unwrap();
    read(&mut first, HELD_LENGTH, &mut vec![0; 256 * 1024]);
    let before = gateway.process.resident();
    let held: Vec<_> = (0..HELD).map(|_| ask()).collect();
    let until = Instant::now() + Duration::from_secs(5);
    let mut most = 0.0;
    while Instant::now() < until {
        most = gateway.process.resident().max(most);
        thread::sleep(Duration::from_millis(50));
    }
    drop(held);
    (most - before) * 1024.0 / f64::from(u32::try_from(HELD).unwrap())
}

fn main() {
    let zec = zec(MIB);
    let nginx = nginx(zec);
    let (gateway, request) = gateway(zec);
    // The proxy does not read the token; the request has the same length for both.
    for proxy in [&nginx, &gateway] {
        turn(proxy, &request);
    }
    let (mut plain, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let (one, other) = (turn(&nginx, &request), turn(&gateway, &request));
        println!("nginx {one:.0} us, gateway {other:.0} us: {:.2} x", other / one);
        plain.push(one);
        ours.push(other);
        ratios.push(other / one);
    }
    let [plain, ours, ratio] = [plain, ours, ratios].map(median);
    println!(
        "a list of 1 MiB: nginx {plain:.0} us, gateway {ours:.0} us, median of the ratios {ratio:.2}"
    );
    println!("a list in flight that is not read adds {:.0} KiB", room());
}
