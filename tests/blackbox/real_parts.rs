//! External judges: ZEC's official Python SDK, and a real Prometheus. `scripts/test` installs them; if it cannot, it
//! says so and names them in `ZEC_GATEWAY_TEST_WITHOUT`.

use std::{
    io::Write,
    net::{self, SocketAddr},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use secrecy::SecretString;
use tokio::net::TcpListener;
use zec_gateway::emulator::{Emulator, Settings};

use crate::{prometheus::Prometheus, world::World};

/// Whether to leave out a part. If the part is neither installed nor named, the test fails.
pub fn left_out(part: &str) -> bool {
    let without = std::env::var("ZEC_GATEWAY_TEST_WITHOUT").unwrap_or_default();
    let out = without.split_whitespace().any(|name| name == part);
    if out {
        let _ = writeln!(std::io::stderr(), "NOT RUN: `{part}` could not be installed");
    }
    out
}

pub fn need(path: &Path) -> &Path {
    let hint = "run scripts/test, which installs it";
    assert!(path.exists(), "{} is not there: {hint}", path.display());
    path
}

/// An address at which nothing listens, for a program that does not choose its port itself. Each call returns another
/// one. All are below the range from which Linux chooses ports (32768 to 60999), so no other test gets one meanwhile.
pub fn free_address() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + u16::try_from(process::id() % 200).unwrap() * 100;
    loop {
        let port = first + TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_768, "no port is free");
        if let Ok(listener) = net::TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// A program from the Debian packages that `scripts/test` unpacks, with the libraries beside it.
pub fn unpacked(program: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/unpacked");
    let root = need(&root).canonicalize().unwrap();
    let mut command = Command::new(root.join(program));
    command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
    command
}

pub async fn output(command: &mut Command) -> (bool, String) {
    let mut command = std::mem::replace(command, Command::new("true"));
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_sdk_takes_the_emulator_for_zec() {
    if left_out("sdk") {
        return;
    }
    let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/venv/bin/python");
    let (id, password, bearer) = ("judge-key", "judge-password", "pat_judge");
    let mut settings = Settings::new(id, SecretString::from(password));
    settings.bearer_tokens = vec![SecretString::from(bearer)];
    settings.control = true;
    let emulator = Emulator::new(settings).with_demo_nics();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(emulator.clone().serve(listener, std::future::pending()));

    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/judge.py");
    let mut command = Command::new(need(&python));
    command.args([judge, "--endpoint", &address, "--access-key-id", id]);
    command.args(["--access-key-password", password, "--token", bearer]);
    let (ok, text) = output(&mut command).await;
    assert!(ok, "{text}");
    assert!(text.contains(" passed, 0 failed"), "{text}");
    assert!(emulator.requests().len() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_no_fault_with_the_metrics() {
    if left_out("prometheus") {
        return;
    }
    let world = World::start().await;
    world.alice().get("/whoami").await;
    let metrics = world.metrics().await;
    let check = tokio::task::spawn_blocking(move || {
        let mut promtool = Command::new(need(Path::new("/usr/bin/promtool")))
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
        promtool.wait_with_output().unwrap()
    });
    let done = check.await.unwrap();
    let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && text.trim().is_empty(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_the_gateway_and_answers_a_query() {
    if left_out("prometheus") {
        return;
    }
    let world = World::start().await;
    world.alice().get("/whoami").await;
    let prometheus = Prometheus::start(&[world.admin]);
    let query = "zec_gateway_http_requests_total{method=\"GET\",route=\"/whoami\",code=\"200\"}";
    assert_eq!(prometheus.numbers(query).await, [1.0]);
}
