//! A real OIDC provider: discovery, rotation under traffic, outages, invented keys.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use zec_gateway::issuer::{Grant, Signer};

use crate::{
    client::{self, Answer, PATIENCE},
    idp::{ALGORITHMS, FAILED, FETCHED, NEWEST_ALGORITHMS, Provider, key_id, until_fresh},
    program::{Files, Served},
    real_parts::left_out,
    world::World,
};

/// How long a caller waits for an unknown key.
const WAIT: Duration = Duration::from_secs(1);

async fn whoami(world: &World, token: &str) -> Answer {
    world.bearer(token).get("/whoami").await
}

/// Retries until the status is not 503, which a slow machine may cause.
async fn answered(world: &World, token: &str) -> Answer {
    let asked = async {
        loop {
            let answer = whoami(world, token).await;
            if answer.status != 503 {
                return answer;
            }
            assert_eq!(answer.problem().1, "identity-provider-unavailable");
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("an answer but 503")
}

#[tokio::test]
async fn tokens_of_every_algorithm_count_by_discovery() {
    if left_out("oidc") {
        return;
    }
    let (older, newest) = (Provider::start().await, Provider::start_newest().await);
    for (provider, algorithms) in [(older, ALGORITHMS), (newest, NEWEST_ALGORITHMS)] {
        every_algorithm(&provider, algorithms).await;
    }
}

async fn every_algorithm(provider: &Provider, algorithms: [&str; 3]) {
    let world = provider.setup("1h").start().await;
    for algorithm in algorithms {
        let answer = whoami(&world, &provider.token(algorithm).await).await;
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.text());
        let caller = answer.json();
        assert_eq!(
            (&caller["issuer"], &caller["subject"], &caller["groups"]),
            (&json!("corp"), &json!("billing"), &json!(["netops", "robots"]))
        );
    }
    assert_eq!(world.metric(r#"jwks_keys{issuer="corp"}"#).await, 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_callers_after_a_start_find_keys() {
    if left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    let files = Files::new("http://127.0.0.1:9");
    let text = std::fs::read_to_string(files.config()).unwrap();
    let text = text
        .replace(crate::world::ISSUER, &provider.issuer)
        .replace("jwks_file = \"jwks.json\"", "discovery = true");
    std::fs::write(files.config(), text).unwrap();
    let token = provider.token("ES256").await;
    let head = [("Authorization", &*format!("Bearer {token}"))];
    let request = client::request("GET", "/whoami", &head, None);
    for _ in 0..6 {
        // Its first caller connects before the gateway has logged that it serves.
        let served = Served::start(&files, "info");
        let answer = client::raw(served.gateway, request.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// The state that the clients of a rotation share.
#[derive(Default)]
struct Traffic {
    over: AtomicBool,
    tokens: Mutex<Vec<String>>,
}

impl Traffic {
    fn key_ids(&self) -> BTreeSet<String> {
        self.tokens.lock().unwrap().iter().map(|token| key_id(token)).collect()
    }

    /// Sends requests with a fresh token, then with an old one, as long as the traffic runs.
    async fn client(&self, number: usize, provider: &Provider, world: &World) {
        for round in number.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let fresh = provider.token(ALGORITHMS[round % 3]).await;
            let old = {
                let mut tokens = self.tokens.lock().unwrap();
                tokens.push(fresh.clone());
                tokens[round * 7919 % tokens.len()].clone()
            };
            for token in [fresh, old] {
                let answer = whoami(world, &token).await;
                assert_eq!(answer.status, 200, "{}: {}", key_id(&token), answer.text());
            }
        }
    }

    /// Waits until tokens of this many keys have been used.
    async fn until_keys(&self, count: usize) {
        let wait = async {
            while self.key_ids().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("tokens of the new keys");
    }
}

#[tokio::test]
async fn no_good_token_is_refused_while_announced_keys_take_over() {
    if left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    let world = provider.setup("100ms").start().await;
    let traffic = Traffic::default();
    let rotation = async {
        traffic.until_keys(3).await;
        for time in 2..=4 {
            provider.change("announce").await;
            until_fresh(&world).await;
            provider.change("promote").await;
            traffic.until_keys(3 * time).await;
        }
        traffic.over.store(true, Ordering::Relaxed);
    };
    let client = |number| traffic.client(number, &provider, &world);
    tokio::join!(rotation, client(0), client(1), client(2), client(3));
    assert!(traffic.key_ids().len() >= 12);
}

#[tokio::test]
async fn a_key_that_signs_before_it_was_seen_is_fetched_once_for_all_who_ask() {
    if left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    let world = provider.setup("1h").start().await;
    let old = provider.token("ES256").await;
    provider.change("rotate").await;
    let before = provider.asked().await;
    let new = provider.token("ES256").await;
    assert_ne!(key_id(&old), key_id(&new));
    let asked = Instant::now();
    let first = whoami(&world, &new).await.status;
    assert!(first == 200 || asked.elapsed() >= WAIT, "{first} after {:?}", asked.elapsed());
    let calls: Vec<_> = (0..20).map(|_| answered(&world, &new)).collect();
    for answer in join(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(whoami(&world, &old).await.status, 200);
    let after = provider.asked().await;
    assert_eq!((after.discovery, after.keys), (before.discovery + 1, before.keys + 1));
}

#[tokio::test]
async fn an_outage_is_bridged_and_the_keys_after_it_count() {
    if left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    let world = provider.setup("100ms").start().await;
    let old = provider.token("RS256").await;
    provider.stop().await;
    for _ in 0..3 {
        let failed = world.metric(FAILED).await;
        world.until_metric(FAILED, failed + 1.0).await;
        assert_eq!(whoami(&world, &old).await.status, 200);
    }
    let fetched = world.metric(FETCHED).await;
    provider.start_again().await;
    world.until_metric(FETCHED, fetched + 1.0).await;
    let new = provider.token("RS256").await;
    assert_eq!(whoami(&world, &new).await.status, 200);
    let answer = answered(&world, &old).await;
    assert_eq!(answer.problem().1, "invalid-token");
    assert!(answer.text().contains("does not publish"), "{}", answer.text());
}

#[tokio::test]
async fn keys_too_old_to_be_trusted_serve_nobody_until_the_provider_is_back() {
    if left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    let mut setup = provider.setup("100ms");
    setup.issuers.as_mut().unwrap().push_str("max_stale = \"2s\"\n");
    let world = setup.start().await;
    let token = provider.token("EdDSA").await;
    assert_eq!(answered(&world, &token).await.status, 200);
    provider.change("shut").await;
    let gone = async {
        loop {
            let answer = whoami(&world, &token).await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, gone).await.expect("keys that go stale");
    assert_eq!(answer.problem().1, "identity-provider-unavailable");
    assert!(answer.header("retry-after").is_some());
    provider.change("open").await;
    assert_eq!(answered(&world, &token).await.status, 200);
}

/// How often unknown keys may have caused requests to a provider after this long: once every ten seconds.
fn forced(after: Duration) -> u64 {
    1 + after.as_secs() / 10
}

/// The same for a provider that fails: it is also retried after 2 s, 4 s and 8 s, whatever the callers do.
fn forced_and_tried_again(after: Duration) -> u64 {
    forced(after) + u64::from((after.as_secs() / 2 + 1).ilog2())
}

/// Sends tokens with ever new keys until the provider has received this many requests. Returns the answers' statuses.
async fn flood(
    provider: &Provider,
    world: &World,
    times: u64,
    most: fn(Duration) -> u64,
) -> BTreeSet<u16> {
    let good = provider.token("ES256").await;
    let before = provider.asked().await;
    let mut statuses = BTreeSet::new();
    let started = Instant::now();
    let mut asked = 0;
    while asked < times {
        assert!(started.elapsed() < PATIENCE, "the provider was asked {asked} times");
        let calls: Vec<_> = (0..8).map(|number| stranger(provider, world, number)).collect();
        statuses.extend(join(calls).await.iter().map(|answer| answer.status));
        assert_eq!(whoami(world, &good).await.status, 200);
        let now = provider.asked().await;
        asked = now.discovery - before.discovery;
        // The clock is read last, so a slow machine can only make this check milder.
        let elapsed = started.elapsed();
        assert!(asked <= most(elapsed), "asked {asked} times in {elapsed:?}");
        assert!(now.keys - before.keys <= asked);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    statuses
}

/// A caller who signs with a self-made key.
async fn stranger(provider: &Provider, world: &World, number: usize) -> Answer {
    let grant = Grant {
        issuer: provider.issuer.clone(),
        audience: "zec-gateway".to_owned(),
        subject: format!("stranger-{number}"),
        groups: vec!["netops".to_owned()],
        lifetime: Duration::from_mins(1),
    };
    let token = Signer::es256().unwrap().token(&grant).unwrap();
    let answer = whoami(world, &token).await;
    let kind = answer.problem().1;
    assert!(answer.status == 401 || kind == "identity-provider-unavailable", "{}", answer.text());
    assert!(answer.status == 401 || answer.header("retry-after").is_some());
    answer
}

#[tokio::test]
async fn invented_keys_have_the_provider_asked_once_per_cooldown_also_where_it_fails() {
    if left_out("oidc") {
        return;
    }
    let (well, ill) = tokio::join!(Provider::start(), Provider::start());
    let (well_world, ill_world) = tokio::join!(well.setup("1h").start(), ill.setup("1h").start());
    ill.tell(json!({ "do": "fault", "of": "keys", "fault": "error" })).await;
    let (served, failed) = tokio::join!(
        flood(&well, &well_world, 2, forced),
        flood(&ill, &ill_world, 4, forced_and_tried_again)
    );
    // 503 only if a slow machine did not fetch within the second that a caller waits.
    assert!(served.contains(&401), "{served:?}");
    // It is unknown whether the key is valid, so the token may not be called invalid.
    assert_eq!(failed, BTreeSet::from([503]));
}

async fn join<T>(calls: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut answers = Vec::new();
    // All calls are polled from the start, so they run concurrently; answers are collected as they are ready.
    std::future::poll_fn(|context| {
        calls.retain_mut(|call| match call.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if calls.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    answers
}
