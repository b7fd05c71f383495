//! A real OIDC provider with one fault at a time, and gateways that start during the fault.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    client::PATIENCE,
    idp::{FAILED, FETCHED, Provider, is_ready},
    real_parts::left_out,
    world::{Setup, World},
};

/// The possible faults of either document, or of the provider as a whole.
const FAULTS: [(&str, &str); 12] = [
    ("provider", "refused"),
    ("keys", "error"),
    ("keys", "html"),
    ("keys", "empty"),
    ("keys", "huge"),
    ("keys", "redirect"),
    ("discovery", "error"),
    ("discovery", "html"),
    ("discovery", "empty"),
    ("discovery", "huge"),
    ("discovery", "redirect"),
    ("discovery", "foreign"),
];

async fn spoil(provider: &Provider, (of, fault): (&str, &str)) {
    match fault {
        "refused" => provider.change("shut").await,
        _ => drop(provider.tell(json!({ "do": "fault", "of": of, "fault": fault })).await),
    }
}

async fn mend(provider: &Provider, (of, fault): (&str, &str)) {
    match fault {
        "refused" => provider.change("open").await,
        _ => drop(provider.tell(json!({ "do": "fault", "of": of })).await),
    }
}

async fn served(world: &World, token: &str, when: (&str, &str)) {
    let answer = world.bearer(token).get("/whoami").await;
    assert_eq!(answer.status, 200, "{when:?}: {}", answer.text());
}

/// While keys are at hand, a fault harms no caller.
async fn bridges(provider: &Provider, world: &World, fault: (&str, &str)) {
    let token = provider.token("ES256").await;
    let failed = world.metric(FAILED).await;
    spoil(provider, fault).await;
    world.until_metric(FAILED, failed + 1.0).await;
    served(world, &token, fault).await;
    let fetched = world.metric(FETCHED).await;
    mend(provider, fault).await;
    world.until_metric(FETCHED, fetched + 1.0).await;
    served(world, &token, fault).await;
}

/// A gateway that starts during the fault is not ready and calls no token invalid. It becomes ready without a restart
/// once the fault is corrected.
async fn starts(provider: &Provider, fault: (&str, &str)) {
    let token = provider.token("ES256").await;
    spoil(provider, fault).await;
    let world = provider.setup("50ms").start().await;
    assert!(!is_ready(&world).await, "{fault:?}");
    unavailable(&world, &token).await;
    mend(provider, fault).await;
    until_ready(&world).await;
    served(&world, &token, fault).await;
}

async fn unavailable(world: &World, token: &str) {
    let answer = world.bearer(token).get("/whoami").await;
    assert_eq!(answer.problem().1, "identity-provider-unavailable", "{}", answer.text());
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
}

async fn until_ready(world: &World) {
    let wait = async {
        while !is_ready(world).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("a gateway that gets ready");
}

#[tokio::test]
async fn every_fault_leaves_the_keys_at_hand_in_use() {
    if left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    let world = provider.setup("50ms").start().await;
    for fault in FAULTS {
        bridges(&provider, &world, fault).await;
    }
}

#[tokio::test]
async fn every_fault_from_the_start_is_503_until_it_is_mended() {
    if left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    for fault in FAULTS {
        starts(&provider, fault).await;
    }
}

#[tokio::test]
async fn a_provider_that_hangs_is_like_one_that_is_down() {
    if left_out("oidc") {
        return;
    }
    // A fetch has a timeout of ten seconds, so all cases run concurrently.
    let at_hand = |of| async move {
        let provider = Provider::start().await;
        let world = provider.setup("50ms").start().await;
        bridges(&provider, &world, (of, "hang")).await;
    };
    let from_the_start = |of| async move {
        starts(&Provider::start().await, (of, "hang")).await;
    };
    tokio::join!(
        at_hand("keys"),
        at_hand("discovery"),
        from_the_start("keys"),
        from_the_start("discovery")
    );
}

/// A setup that keeps its key sets in a directory.
fn with_cache(mut setup: Setup, directory: &Path) -> Setup {
    setup.auth = format!("keys_cache_directory = \"{}\"", directory.display());
    setup
}

/// A stopped gateway that has kept its keys, a provider that is down, and one of its tokens.
async fn outage(directory: &Path) -> (Provider, String) {
    let provider = Provider::start().await;
    let mut world = with_cache(provider.setup("50ms"), directory).start().await;
    let wait = async {
        while !directory.join("corp.json").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("keys on disk");
    let token = provider.token("ES256").await;
    world.ask_to_stop();
    assert!(world.stopped().await);
    provider.change("shut").await;
    (provider, token)
}

#[tokio::test]
async fn a_gateway_that_starts_during_an_outage_serves_with_the_keys_it_kept() {
    if left_out("oidc") {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().join("keys");
    let (provider, token) = outage(&directory).await;
    let kept = with_cache(provider.setup("50ms"), &directory).start().await;
    assert!(is_ready(&kept).await);
    served(&kept, &token, ("cache", "kept")).await;
    let without = provider.setup("50ms").start().await;
    assert!(!is_ready(&without).await);
    unavailable(&without, &token).await;
    provider.change("open").await;
    until_ready(&without).await;
    served(&without, &token, ("cache", "none")).await;
}

#[tokio::test]
async fn kept_keys_that_somebody_else_may_have_written_are_not_used() {
    if left_out("oidc") {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().join("keys");
    let (provider, token) = outage(&directory).await;
    let file = directory.join("corp.json");
    let good = fs::read_to_string(&file).unwrap();
    let permit = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let start = || with_cache(provider.setup("50ms"), &directory).start();

    for mode in [0o620, 0o602, 0o666] {
        permit(mode);
        unavailable(&start().await, &token).await;
    }
    permit(0o600);
    let another = good.replace(&provider.issuer, "https://sso.example.net");
    assert_ne!(another, good);
    for garbage in [another.as_str(), "", "{}", "<html>", &good[..good.len() / 2]] {
        fs::write(&file, garbage).unwrap();
        unavailable(&start().await, &token).await;
    }
    // Each of these alone was the reason.
    fs::write(&file, &good).unwrap();
    served(&start().await, &token, ("cache", "mended")).await;
}

#[tokio::test]
async fn kept_keys_are_no_younger_for_a_restart() {
    if left_out("oidc") {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().join("keys");
    let (provider, token) = outage(&directory).await;
    let start = |max_stale: &str| {
        let mut setup = with_cache(provider.setup("50ms"), &directory);
        setup.issuers.as_mut().unwrap().push_str(max_stale);
        setup.start()
    };
    // As if the keys had been kept two hours ago, or two hours from now.
    let file = directory.join("corp.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let now = kept["fetchedAt"].as_u64().unwrap();
    kept["fetchedAt"] = json!(now - 7200);
    fs::write(&file, kept.to_string()).unwrap();
    served(&start("max_stale = \"3h\"\n").await, &token, ("cache", "young")).await;
    unavailable(&start("max_stale = \"1h\"\n").await, &token).await;
    kept["fetchedAt"] = json!(now + 7200);
    fs::write(&file, kept.to_string()).unwrap();
    unavailable(&start("max_stale = \"3h\"\n").await, &token).await;
}
