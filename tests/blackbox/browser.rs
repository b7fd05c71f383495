//! Debian's Chromium, on pages of other origins and on the gateway's own pages (`tests/browser/page.mjs`).

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

use crate::{
    client::PATIENCE,
    real_parts::{left_out, need},
    world::Setup,
};

/// The observations of a browser at a gateway that allows one of its two pages and whose writes are frozen.
async fn look() -> Value {
    let part = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/browser");
    need(&part.join("installed.json"));
    need(Path::new("/usr/bin/chromium"));
    let mut node = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/page.mjs"))
        .arg(part.canonicalize().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let pages: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let setup = Setup {
        limits: "freeze_file = \"freeze\"".to_owned(),
        files: vec![("freeze", "maintenance".to_owned())],
        rest: format!("[cors]\nallowed_origins = [{}]", pages["allowed"]),
        ..Setup::default()
    };
    let world = setup.start().await;
    let bearer = world.alice().bearer();
    let line = json!({
        "gateway": format!("http://{}", world.gateway),
        "token": bearer.strip_prefix("Bearer ").unwrap(),
    });
    let mut stdin = node.stdin.take().unwrap();
    stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    let seen = tokio::time::timeout(PATIENCE * 3, lines.next_line()).await;
    let Ok(Ok(Some(seen))) = seen else {
        let _ = node.kill().await;
        let mut said = String::new();
        let _ = node.stderr.take().unwrap().read_to_string(&mut said).await;
        panic!("the browser has nothing to say: {said}");
    };
    serde_json::from_str(&seen).unwrap()
}

fn a_page_that_is_allowed(seen: &Value) {
    for (name, status) in [
        ("read", 200),
        ("dryRun", 200),
        ("plain", 200),
        ("unauthorized", 401),
        ("unknown", 404),
        ("frozen", 503),
    ] {
        let answer = &seen[name];
        assert_eq!(answer["status"], status, "{name}: {answer}");
        assert!(answer["requestId"].is_string(), "{name}: {answer}");
        assert_eq!(answer["hidden"], Value::Null, "{name}: {answer}");
    }
    assert_eq!(seen["read"]["body"]["subject"], "alice");
    assert_eq!(seen["dryRun"]["requestId"], "from-a-page");
    assert_eq!(seen["dryRun"]["body"]["dryRun"], true);
    assert_eq!(seen["unauthorized"]["body"]["type"], "/problems/missing-token");
    assert!(seen["unauthorized"]["challenge"].is_string());
    assert_eq!(seen["frozen"]["body"]["type"], "/problems/frozen");
    assert!(seen["frozen"]["retryAfter"].is_string());
    // A request that the preflight does not allow never leaves the browser.
    for name in ["header", "method"] {
        assert_eq!(seen[name], json!({ "error": "TypeError" }), "{name}");
    }
}

fn a_page_that_is_not(seen: &Value) {
    for (name, answer) in seen.as_object().unwrap() {
        assert_eq!(*answer, json!({ "error": "TypeError" }), "{name}");
    }
}

fn the_gateways_own_page(seen: &Value, background: &str) {
    assert_eq!(seen["requests"], json!(["/docs", "/docs/style.css"]));
    assert_eq!(seen["background"], background);
    assert_eq!(seen["dangling"], json!([]));
    assert_eq!(seen["overflow"], 0, "it must not scroll sideways");
    assert!(seen["headings"].as_u64().unwrap() > 30);
    // The only refused resource is the script that the test inserts.
    assert_eq!((&seen["inline"], &seen["refused"]), (&json!(false), &json!(1)));
    assert_eq!(seen["complaints"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_lets_the_allowed_page_read_everything_and_shows_the_docs_without_a_complaint() {
    if left_out("browser") {
        return;
    }
    let seen = look().await;
    a_page_that_is_allowed(&seen["allowed"]);
    a_page_that_is_not(&seen["foreign"]);
    the_gateways_own_page(&seen["wide"], "rgb(255, 255, 255)");
    the_gateways_own_page(&seen["narrow"], "rgb(20, 24, 28)");
}
