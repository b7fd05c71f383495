//! The gateway's description of its interface, compared with its behaviour.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    client,
    program::{REPOSITORY, Running, program},
    real_parts::{left_out, need},
    world::World,
};

/// The least number of cases from schemathesis; with fewer, the run proves little.
const CASES: u32 = 1000;

#[tokio::test]
async fn the_document_and_the_page_need_no_token() {
    let world = World::start().await;
    let document = world.stranger().get("/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
    assert_eq!(document.json()["openapi"], "3.1.0");
    let page = world.stranger().get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    let style = world.stranger().get("/docs/style.css").await;
    assert_eq!(
        (style.status, style.header("content-type")),
        (200, Some("text/css; charset=utf-8"))
    );
    for path in ["/openapi.json", "/docs", "/docs/style.css"] {
        let answer = world.stranger().get(&format!("{path}?x=1")).await;
        assert_eq!(answer.problem().1, "invalid-request", "{path}");
    }
}

#[tokio::test]
async fn the_document_says_how_many_addresses_a_request_may_name() {
    let setup =
        crate::world::Setup { limits: "max_addresses = 7".to_owned(), ..Default::default() };
    let document = setup.start().await.stranger().get("/openapi.json").await.json();
    let list = &document["components"]["schemas"]["Assigned"]["properties"]["ipAddresses"];
    assert_eq!(list["maxItems"], 7);
}

/// Runs schemathesis in a separate folder, because it writes folders into the current one.
fn schemathesis(files: &Path, gateway: &str, token: &str, operation: &str) -> (bool, String) {
    let parts = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts");
    let program = parts.join("schemathesis/bin/schemathesis");
    let done = Command::new(need(&program).canonicalize().unwrap())
        .args(["--config-file", &format!("{REPOSITORY}/tests/openapi/schemathesis.toml")])
        .args(["run", &format!("{gateway}/openapi.json"), "--checks", "all"])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "150"])
        .args(["--generation-deterministic", "--no-color"])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", format!("{REPOSITORY}/tests/openapi"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ZEC_GATEWAY_TEST_OPERATION", operation)
        .current_dir(files)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// The number before a word, as in `1234 generated`.
fn number_before(text: &str, word: &str) -> u32 {
    let words: Vec<&str> = text.split_whitespace().map(|part| part.trim_matches(',')).collect();
    let at = words.iter().rposition(|part| *part == word).expect(text);
    words[at - 1].parse().expect(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_that_the_document_does_not_say() {
    if left_out("schemathesis") {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let args = [
        "dev",
        "--json",
        "--no-caller-limits",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ];
    // The log of thousands of requests would fill a pipe that nothing reads.
    let mut command = program(&args, files.path());
    command.env("RUST_LOG", "off");
    let mut dev = Running::start(command);
    let json: Value = serde_json::from_str(&dev.line()).unwrap();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    let (gateway, token) = (text("gateway"), text("token"));

    let target = format!("/nics/{}/ipv4?ipAddresses=10.0.0.21", json["nics"][0].as_str().unwrap());
    let bearer = format!("Bearer {token}");
    let request = client::request("DELETE", &target, &[("Authorization", &bearer)], None);
    let address = gateway.strip_prefix("http://").unwrap().parse().unwrap();
    let written = client::raw(address, request.as_bytes()).await.unwrap();
    let operation = written.json()["operationId"].as_str().unwrap().to_owned();

    let folder = files.path().to_owned();
    let run = move || schemathesis(&folder, &gateway, &token, &operation);
    let (ok, said) = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(ok, "{said}");
    assert!(number_before(&said, "generated") >= CASES, "{said}");
}
