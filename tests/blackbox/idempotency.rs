//! `Idempotency-Key`: the gateway carries out the request under one key once, and repeats its answer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use secrecy::SecretString;
use zec_gateway::{
    emulator::{Fault, FaultKind, Settings},
    execute::Patience,
};

use crate::{
    client::Answer,
    world::{Caller, KEY_ID, NIC, PASSWORD, Setup, World, nic},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";

fn off(address: &str) -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses={address}")
}

async fn keyed(caller: &Caller, target: &str, key: &str) -> Answer {
    caller.send("DELETE", target, &[("Idempotency-Key", key)], None).await
}

fn fault(kind: FaultKind) -> Fault {
    Fault { action: Some(WRITE.to_owned()), ..Fault::once(kind) }
}

#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", again.text());
    assert_eq!(first.status, again.status, "{}", again.text());
    let without_id = |answer: &Answer| {
        let mut document = answer.json();
        // If ZEC did not answer, the id is that of the request itself.
        if document["zecRequestId"].is_null() && answer.status != 200 {
            document["requestId"].take();
        }
        document
    };
    assert_eq!(without_id(first), without_id(again));
}

/// Even a caller who may only read can demand any number of answers, and each takes room on the disk.
#[tokio::test]
async fn a_thousand_keys_with_nothing_to_do_are_remembered_and_the_next_is_refused() {
    let world = World::start().await;
    world.zec.insert_nic(nic("empty"));
    let (alice, all) = (world.alice(), "/nics/empty/ipv4?all=true");
    assert_eq!(keyed(&alice, all, "first").await.status, 200);
    let journal = rusqlite::Connection::open(world.files.path().join("journal.db")).unwrap();
    journal.busy_timeout(crate::client::PATIENCE).unwrap();
    let copies = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 999) INSERT INTO idempotency_keys SELECT caller, 'copy-' || x, fingerprint, operation, answer, at FROM idempotency_keys, n";
    assert_eq!(journal.execute(copies, []).unwrap(), 999);

    let refused = keyed(&alice, all, "last").await;
    let (status, slug, code) = refused.problem();
    assert_eq!(
        (status, slug.as_str(), code.as_str()),
        (429, "rate-limited", "REQUEST_LIMIT_EXCEEDED")
    );
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((86_000..=86_400).contains(&wait), "{wait}");
    for word in ["nothing was sent", "Idempotency-Key", "1,000", &wait.to_string()] {
        assert!(refused.text().contains(word), "{word}: {}", refused.text());
    }
    // Remembered requests get their answer again; other requests, and those without a key, are served too.
    let again = keyed(&alice, all, "first").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(keyed(&world.caller("bob", &["netops"]), all, "last").await.status, 200);
    assert_eq!(alice.delete(all).await.status, 200);
    assert_eq!(keyed(&alice, &off("10.0.0.21"), "last").await.status, 200, "the key is not held");
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_done_once_and_answered_alike() {
    let world = World::start().await;
    let first = keyed(&world.alice(), &off("10.0.0.21"), "k1").await;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = keyed(&world.alice(), &off("10.0.0.21"), "k1").await;
    same(&first, &again);
    // The same request in another form is still the same request.
    same(&first, &keyed(&world.alice(), &format!("/nics/{NIC}/ipv4/10.0.0.21"), "k1").await);
    assert_eq!(world.sent(WRITE).len(), 1);
    // The opposite change is a different request.
    let body = r#"{"ipAddresses":["10.0.0.21"]}"#;
    let json = ("Content-Type", "application/json");
    let (alice, target) = (world.alice(), format!("/nics/{NIC}/ipv4"));
    let given = async |key| {
        alice.send("POST", &target, &[("Idempotency-Key", key), json], Some(body)).await
    };
    assert_eq!(given("k1").await.status, 422);
    let first = given("k2").await;
    assert_eq!(first.status, 200, "{}", first.text());
    same(&first, &given("k2").await);
    // Each caller has a separate set of keys.
    let other = keyed(&world.caller("eve", &["netops"]), &off("10.0.0.22"), "k1").await;
    assert_eq!((other.status, other.header("idempotency-replayed")), (200, None));
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused_and_nothing_is_sent() {
    let world = World::start().await;
    assert_eq!(keyed(&world.alice(), &off("10.0.0.21"), "k").await.status, 200);
    let elsewhere = format!("/nics/{NIC}/ipv4?all=true");
    for target in [off("10.0.0.22"), elsewhere] {
        let answer = keyed(&world.alice(), &target, "k").await;
        let (status, slug, code) = answer.problem();
        assert_eq!((status, slug.as_str()), (422, "idempotency-key-reused"), "{target}");
        assert_eq!(code, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(world.sent(WRITE).len(), 1);
}

#[tokio::test]
async fn while_the_first_request_runs_the_second_is_told_to_ask_again() {
    let world = World::start().await;
    world.zec.inject(fault(FaultKind::Delay(Duration::from_millis(300))));
    let alice = world.alice();
    let first = tokio::spawn(async move { keyed(&alice, &off("10.0.0.21"), "k").await });
    world.until_sent_to(WRITE, 1).await;
    let second = keyed(&world.alice(), &off("10.0.0.21"), "k").await;
    assert_eq!(second.problem().1, "idempotency-in-progress", "{}", second.text());
    assert!(second.header("retry-after").is_some());
    let operation = second.json()["operationId"].clone();
    let reused = keyed(&world.alice(), &off("10.0.0.22"), "k").await;
    assert_eq!(reused.problem().1, "idempotency-key-reused", "checked before what runs");
    let first = first.await.unwrap();
    assert_eq!((first.status, &first.json()["operationId"]), (200, &operation));
    same(&first, &keyed(&world.alice(), &off("10.0.0.21"), "k").await);
    assert_eq!(world.sent(WRITE).len(), 1);
}

#[tokio::test]
async fn what_zec_refused_or_left_open_is_told_again_as_it_was_told() {
    let world = World::start().await;
    let kinds = [
        FaultKind::UnknownStatus(409, "INVALID_NIC_LB_ASSOCIATED".to_owned()),
        FaultKind::CutAfter,
        FaultKind::Html,
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let (target, key) = (off(&format!("10.0.0.{}", 21 + number)), format!("k{number}"));
        world.zec.inject(fault(kind.clone()));
        let first = keyed(&world.alice(), &target, &key).await;
        assert_ne!(first.status, 200, "{kind:?}");
        same(&first, &keyed(&world.alice(), &target, &key).await);
        assert_eq!(world.sent(WRITE).len(), number + 1, "{kind:?}");
    }
}

#[tokio::test]
async fn once_an_unknown_outcome_is_found_out_that_is_what_the_key_answers() {
    let often = Duration::from_millis(20);
    let patience = Patience {
        first: often,
        longest: often,
        give_up: Duration::from_hours(1),
        proof: Duration::ZERO,
    };
    let world = Setup { patience, ..Setup::default() }.start().await;
    world.zec.inject(fault(FaultKind::CutAfter));
    let first = keyed(&world.alice(), &off("10.0.0.21"), "done").await;
    assert_eq!(first.status, 504);
    world.until_metric("operations_total{outcome=\"done\"}", 1.0).await;
    let again = keyed(&world.alice(), &off("10.0.0.21"), "done").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(again.json()["operationId"], first.json()["operationId"]);

    // A write that was not done frees its key.
    world.zec.inject(fault(FaultKind::Cut));
    assert_eq!(keyed(&world.alice(), &off("10.0.0.22"), "undone").await.status, 504);
    world.until_metric("operations_total{outcome=\"not-done\"}", 1.0).await;
    let again = keyed(&world.alice(), &off("10.0.0.22"), "undone").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, None));
    assert_eq!(world.sent(WRITE).len(), 3);
}

#[tokio::test]
async fn what_was_never_sent_frees_its_key() {
    let world = World::start().await;
    let denied = keyed(&world.alice(), &off("10.9.0.1"), "k").await;
    assert_eq!(denied.status, 403);
    assert_eq!(keyed(&world.alice(), &off("10.0.0.21"), "k").await.status, 200);
}

#[tokio::test]
async fn what_zec_did_not_even_look_at_frees_its_key() {
    let world = World::start().await;
    for (number, kind) in
        [FaultKind::Throttle, FaultKind::RefuseCredentials].into_iter().enumerate()
    {
        let (target, key) = (off(&format!("10.0.0.{}", 21 + number)), format!("k{number}"));
        world.zec.inject(fault(kind));
        assert_ne!(keyed(&world.alice(), &target, &key).await.status, 200);
        let again = keyed(&world.alice(), &target, &key).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, None));
    }
}

#[tokio::test]
async fn a_repeated_request_does_not_delay_those_of_others() {
    let world = Setup::without_rate().start().await;
    let first = keyed(&world.alice(), &off("10.0.0.21"), "k").await;
    assert_eq!(first.status, 200);
    let again = (0..64).map(|number| {
        let alice = world.alice();
        tokio::spawn(async move {
            // A different request under the key is refused, without an effect on the right ones.
            let address = if number % 2 == 0 { "10.0.0.21" } else { "10.0.0.22" };
            (number, keyed(&alice, &off(address), "k").await.status)
        })
    });
    for answer in again.collect::<Vec<_>>() {
        let (number, status) = answer.await.unwrap();
        assert_eq!(status, if number % 2 == 0 { 200 } else { 422 });
    }
}

#[tokio::test]
async fn what_is_hidden_from_a_caller_is_hidden_the_second_time_too() {
    let policy =
        "@id(\"w\") permit (principal, action in Zec::Action::\"write\", resource);".to_owned();
    let blunt = Setup::without_preflight("what ZEC refused is what is hidden");
    let world = Setup { policy, ..blunt }.start().await;
    let first = keyed(&world.alice(), "/nics/no-such-nic/ipv4/10.0.0.21", "k").await;
    assert_eq!(first.problem().1, "policy-denied", "{}", first.text());
    same(&first, &keyed(&world.alice(), "/nics/no-such-nic/ipv4/10.0.0.21", "k").await);
    let list = world.alice().get("/operations").await;
    assert_eq!(list.json()["operations"][0]["outcome"], "rejected");
    assert!(!list.text().contains("NOT_FOUND"), "{}", list.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_outlives_the_gateway_that_took_it() {
    use crate::program::{Files, Served};
    let zec = World::start().await;
    let files = Files::new(&format!("http://{}", zec.zec_address));
    let bearer = files.bearer(&["netops"]);
    let mut bodies = Vec::new();
    for replayed in [None, Some("true")] {
        let mut served = tokio::task::block_in_place(|| Served::start(&files, "info"));
        let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "k")];
        let text = crate::client::request("DELETE", &off("10.0.0.21"), &headers, None);
        let answer = crate::client::raw(served.gateway, text.as_bytes()).await.unwrap();
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (200, replayed));
        bodies.push(answer.json());
        assert_eq!(tokio::task::block_in_place(|| served.stop()), Some(0));
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(zec.sent(WRITE).len(), 1);
}

#[tokio::test]
async fn nothing_to_do_stays_nothing_to_do_under_its_key() {
    let world = World::start().await;
    let empty = nic("empty-nic");
    world.zec.insert_nic(empty);
    let target = "/nics/empty-nic/ipv4?all=true";
    let first = keyed(&world.alice(), target, "k").await;
    assert_eq!((first.status, first.json()["ipAddresses"].as_array().unwrap().len()), (200, 0));
    let given =
        world.alice().post("/nics/empty-nic/ipv4", r#"{"ipAddresses":["10.0.0.77"]}"#).await;
    assert_eq!(given.status, 200, "{}", given.text());
    same(&first, &keyed(&world.alice(), target, "k").await);
    assert_eq!(world.sent(WRITE).len(), 0, "the address came after the question");
    let reused = keyed(&world.alice(), "/nics/empty-nic/ipv4?ipAddresses=10.0.0.77", "k").await;
    assert_eq!(reused.status, 422);
}

#[tokio::test]
async fn a_key_is_never_ignored() {
    let world = World::start().await;
    let long = "k".repeat(256);
    for bad in ["", "a b", long.as_str(), "k\u{e9}"] {
        let answer = keyed(&world.alice(), &off("10.0.0.21"), bad).await;
        assert_eq!(answer.problem().1, "invalid-request", "{bad:?}");
    }
    let json = ("Content-Type", "application/json");
    let twice = [("Idempotency-Key", "k"), ("Idempotency-Key", "k"), json];
    let body = Some(r#"{"ipAddresses":["10.0.0.21"]}"#);
    let answer = world.alice().send("DELETE", &format!("/nics/{NIC}/ipv4"), &twice, body).await;
    assert_eq!(answer.problem().1, "invalid-request", "{}", answer.text());
    let dry = format!("{}&dryRun=true", off("10.0.0.21"));
    let answer = keyed(&world.alice(), &dry, "k").await;
    assert_eq!(answer.problem().1, "invalid-request", "{}", answer.text());
    assert!(world.nothing_was_sent());

    let rest = "[journal]\nenabled = false".to_owned();
    let world = Setup { rest, ..Setup::default() }.start().await;
    let answer = keyed(&world.alice(), &off("10.0.0.21"), "k").await;
    assert_eq!(answer.problem().1, "invalid-request", "{}", answer.text());
    assert!(answer.text().contains("no journal"), "{}", answer.text());
    assert!(world.nothing_was_sent());
}

/// A world whose vNICs have a thousand addresses to unassign, without limits per caller.
async fn wide() -> World {
    let policy = "@id(\"all\") permit (principal, action, resource);\n".to_owned();
    let limits = "addresses_per_hour = 0\nmax_concurrent_per_caller = 1024".to_owned();
    let emulator = Settings::new(KEY_ID, SecretString::from(PASSWORD));
    let world = Setup { policy, limits, emulator, ..Setup::without_rate() }.start().await;
    for number in 0..4_u8 {
        let mut seed = nic(&format!("wide-{number}"));
        seed.subnet.network = [10, 100 + number, 0, 0].into();
        seed.subnet.prefix = 16;
        seed.subnet.id = format!("subnet-{number}");
        seed.secondaries = (1..=250).map(|low| [10, 100 + number, 1, low].into()).collect();
        seed.primary = Some([10, 100 + number, 0, 9].into());
        world.zec.insert_nic(seed);
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_requests_under_a_thousand_keys_one_is_sent_for_each_key() {
    const TASKS: usize = 32;
    const REQUESTS: usize = 10_000;
    let world = Arc::new(wide().await);
    let alice = world.alice();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let alice = alice.clone();
            tokio::spawn(async move {
                let mut done: HashMap<usize, String> = HashMap::new();
                for _ in (task..REQUESTS).step_by(TASKS) {
                    let number = fastrand::usize(0..1000);
                    let (nic, low) = (number / 250, number % 250 + 1);
                    let target = format!("/nics/wide-{nic}/ipv4/10.{}.1.{low}", 100 + nic);
                    let answer = keyed(&alice, &target, &format!("key-{number}")).await;
                    match answer.status {
                        200 => {
                            let id = answer.json()["operationId"].as_str().unwrap().to_owned();
                            let before = done.insert(number, id.clone());
                            assert!(before.is_none_or(|before| before == id), "{number}");
                        }
                        409 => assert_eq!(answer.problem().1, "idempotency-in-progress"),
                        status => panic!("{status}: {}", answer.text()),
                    }
                }
                done
            })
        })
        .collect();
    let mut all: HashMap<usize, String> = HashMap::new();
    for task in tasks {
        for (number, id) in task.await.unwrap() {
            let before = all.insert(number, id.clone());
            assert!(before.is_none_or(|before| before == id), "two operations for key {number}");
        }
    }
    let mut sent = world.sent(WRITE);
    let count = sent.len();
    sent.sort_unstable();
    sent.dedup();
    assert_eq!((sent.len(), count), (all.len(), all.len()), "one send a key");
    assert!(count > 900, "of a thousand keys nearly each was drawn: {count}");
}
