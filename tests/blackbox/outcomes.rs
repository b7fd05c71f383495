//! The gateway resolves unknown outcomes, other writes wait for them, and they count in the caller's budget.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use zec_gateway::{
    emulator::{Fault, FaultKind},
    execute::Patience,
};

use crate::{
    client::{Answer, PATIENCE},
    program::run,
    world::{NIC, Setup, World},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";
const READ: &str = "DescribeNetworkInterfaces";

/// Longer than any test.
const NEVER: Duration = Duration::from_hours(1);

/// Polls often; before `proof` has passed since the write, a present address proves nothing.
fn looking(proof: Duration) -> Patience {
    let often = Duration::from_millis(20);
    Patience { first: often, longest: often, give_up: NEVER, proof }
}

/// Never polls.
fn blind() -> Patience {
    Patience { first: NEVER, ..Patience::default() }
}

fn off(address: &str) -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses={address}")
}

fn fault(kind: FaultKind) -> Fault {
    Fault { action: Some(WRITE.to_owned()), ..Fault::once(kind) }
}

/// The journal's outcome of an operation.
fn recorded(world: &World, id: &str) -> String {
    let path = world.files.path().join("journal.db");
    let (code, shown, said) = run(&["journal", "show", path.to_str().unwrap(), id], Path::new("."));
    assert_eq!(code, 0, "{said}");
    shown
}

/// Waits until the journal has this many operations with an outcome.
async fn until(world: &World, outcome: &str, count: f64) {
    world.until_metric(&format!("operations_total{{outcome=\"{outcome}\"}}"), count).await;
}

/// Waits until a vNIC has been read this many times.
async fn until_looked(world: &World, times: usize) {
    let wait = async {
        while world.sent("DescribeNetworkInterfaces").len() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("looks at the vNIC");
}

#[track_caller]
fn id_of_unknown(answer: &Answer) -> String {
    assert_eq!(answer.problem().1, "outcome-unknown", "{}", answer.text());
    answer.json()["operationId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_write_that_was_done_although_no_answer_came_is_found_to_be_done() {
    let world = Setup { patience: looking(NEVER), ..Setup::default() }.start().await;
    world.zec.inject(fault(FaultKind::CutAfter));
    let id = id_of_unknown(&world.alice().delete(&off("10.0.0.21")).await);
    until(&world, "done", 1.0).await;
    assert!(recorded(&world, &id).contains("It happened"), "{}", recorded(&world, &id));
    world.until_metric("unassigned_addresses_total", 1.0).await;
    assert_eq!(world.sent(WRITE).len(), 1, "looked for, not sent again");
    // Its addresses are free again.
    let given = format!("/nics/{NIC}/ipv4");
    let answer = world.alice().post(&given, r#"{"ipAddresses":["10.0.0.21"]}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_write_that_was_not_done_is_found_out_once_its_signature_is_worth_nothing() {
    let limits = "addresses_per_hour = 1".to_owned();
    let setup = Setup { patience: looking(Duration::ZERO), limits, ..Setup::default() };
    let world = setup.start().await;
    world.zec.inject(fault(FaultKind::Cut));
    let id = id_of_unknown(&world.alice().delete(&off("10.0.0.21")).await);
    until(&world, "not-done", 1.0).await;
    assert!(recorded(&world, &id).contains("not-done"), "{}", recorded(&world, &id));
    // It may be requested again, and it did not consume the caller's budget.
    assert_eq!(world.alice().delete(&off("10.0.0.21")).await.status, 200);
}

#[tokio::test]
async fn an_address_that_is_still_there_proves_nothing_while_the_signature_counts() {
    let world = Setup { patience: looking(NEVER), ..Setup::default() }.start().await;
    world.zec.inject(fault(FaultKind::Cut));
    let id = id_of_unknown(&world.alice().delete(&off("10.0.0.21")).await);
    until_looked(&world, 3).await;
    assert!(recorded(&world, &id).contains("unknown"));
    let answer = world.alice().delete(&off("10.0.0.21")).await;
    assert_eq!(answer.problem().1, "operation-in-progress");
}

#[tokio::test]
async fn while_an_outcome_is_unknown_nobody_writes_on_its_addresses() {
    let world = Setup { patience: blind(), ..Setup::default() }.start().await;
    world.zec.inject(fault(FaultKind::CutAfter));
    let id = id_of_unknown(&world.alice().delete(&off("10.0.0.21")).await);
    let both = format!("{}&ipAddresses=10.0.0.22", off("10.0.0.21"));
    let answer = world.alice().delete(&both).await;
    let (status, slug, code) = answer.problem();
    assert_eq!((status, slug.as_str()), (409, "operation-in-progress"), "{}", answer.text());
    assert_eq!(code, "OPERATION_IN_PROGRESS");
    assert_eq!(answer.json()["operationId"], id.as_str());
    assert!(answer.header("retry-after").is_some());
    // This applies to every caller, but the answer does not say whose operation it is.
    let eve = world.caller("eve", &["netops"]);
    let answer = eve.post(&format!("/nics/{NIC}/ipv4"), r#"{"ipAddresses":["10.0.0.21"]}"#).await;
    assert_eq!(answer.problem().1, "operation-in-progress");
    assert!(!answer.text().contains(&id), "{}", answer.text());
    assert_eq!(world.sent(WRITE).len(), 1);
    // Other addresses are not blocked, and neither are reads and dry runs.
    assert_eq!(world.alice().delete(&off("10.0.0.22")).await.status, 200);
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
}

/// A world that continues with another world's journal, at the same ZEC.
async fn after(world: &World, limits: &str, patience: Patience) -> World {
    let configuration: toml::Table = world.text("gateway.toml").parse().unwrap();
    let endpoint = configuration["zec"]["endpoint"].as_str().unwrap().to_owned();
    after_at(Some(endpoint), world, limits, patience).await
}

/// The path of a world's journal.
fn journal_of(world: &World) -> PathBuf {
    let configuration: toml::Table = world.text("gateway.toml").parse().unwrap();
    let path = configuration.get("journal").map(|journal| journal["path"].as_str().unwrap());
    world.files.path().join(path.unwrap_or("journal.db"))
}

/// The same at that ZEC, or at a ZEC of its own.
async fn after_at(
    endpoint: Option<String>,
    world: &World,
    limits: &str,
    patience: Patience,
) -> World {
    // Next to the first world's files, which outlive this one.
    let path = tempfile::Builder::new().suffix(".db").tempfile_in(world.files.path()).unwrap();
    let (_, path) = path.keep().unwrap();
    fs::copy(journal_of(world), &path).unwrap();
    let rest = format!("[journal]\npath = \"{}\"", path.display());
    Setup { rest, limits: limits.to_owned(), patience, endpoint, ..Setup::default() }.start().await
}

/// A world whose gateway has stopped after a write of unknown outcome.
async fn with_one_open(kind: FaultKind) -> World {
    let mut world = Setup { patience: blind(), ..Setup::default() }.start().await;
    world.zec.inject(fault(kind));
    id_of_unknown(&world.alice().delete(&off("10.0.0.21")).await);
    world.ask_to_stop();
    assert!(world.stopped().await);
    world
}

#[tokio::test]
async fn what_an_earlier_run_left_open_is_held_and_found_out_by_the_next() {
    let world = with_one_open(FaultKind::Cut).await;
    let sent = world.sent(WRITE).len();
    let next = after(&world, "", blind()).await;
    assert_eq!(next.alice().delete(&off("10.0.0.21")).await.problem().1, "operation-in-progress");
    // The address is there; before its time, that proves nothing.
    let looks = world.sent(READ).len();
    let next = after(&world, "", looking(NEVER)).await;
    until_looked(&world, looks + 3).await;
    assert_eq!(next.alice().delete(&off("10.0.0.21")).await.problem().1, "operation-in-progress");
    assert_eq!(world.sent(WRITE).len(), sent);
    let limits = "addresses_per_hour = 1";
    let next = after(&world, limits, looking(Duration::ZERO)).await;
    until(&next, "not-done", 1.0).await;
    // Its share of the budget is free again too.
    let answer = next.alice().delete(&off("10.0.0.21")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn another_zec_or_another_key_shows_nothing_of_an_earlier_runs_write() {
    let world = with_one_open(FaultKind::Cut).await;
    // At a ZEC of its own, the same vNIC exists with the same addresses.
    let other = after_at(None, &world, "", looking(Duration::ZERO)).await;
    until_looked(&other, 5).await;
    let answer = other.alice().delete(&off("10.0.0.21")).await;
    assert_eq!(answer.problem().1, "operation-in-progress", "{}", answer.text());
    assert_eq!(other.metric("operations_total{outcome=\"not-done\"}").await, 0.0);
}

#[tokio::test]
async fn a_write_that_was_given_up_stays_unknown_holds_nothing_and_is_not_taken_up_again() {
    let world = with_one_open(FaultKind::Cut).await;
    let give_up = Patience { give_up: Duration::ZERO, ..looking(NEVER) };
    let mut next = after(&world, "", give_up).await;
    until(&next, "unknown", 1.0).await;
    let free = async {
        while next.alice().delete(&off("10.0.0.21")).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.expect("an address that is free");
    next.ask_to_stop();
    assert!(next.stopped().await);
    // Now the second write has removed the address, which proves nothing about the first one.
    let last = after(&next, "", looking(Duration::ZERO)).await;
    let body = r#"{"ipAddresses":["10.0.0.21"]}"#;
    let answer = last.alice().post(&format!("/nics/{NIC}/ipv4"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = last.alice().get("/operations?outcome=unknown").await;
    assert_eq!(answer.json()["operations"].as_array().unwrap().len(), 1, "{}", answer.text());
}

#[tokio::test]
async fn a_vnic_that_is_not_shown_any_more_proves_nothing() {
    let world = with_one_open(FaultKind::CutAfter).await;
    world.zec.remove_nic(NIC);
    let looks = world.sent(READ).len();
    let next = after(&world, "", looking(Duration::ZERO)).await;
    until_looked(&world, looks + 3).await;
    for outcome in ["done", "not-done"] {
        let series = format!("operations_total{{outcome=\"{outcome}\"}}");
        assert_eq!(next.metric(&series).await, 0.0);
    }
}

#[tokio::test]
async fn a_state_that_an_open_write_may_be_changing_is_no_reason_to_refuse() {
    let world = Setup { patience: blind(), ..Setup::default() }.start().await;
    world.zec.inject(fault(FaultKind::CutAfter));
    id_of_unknown(&world.alice().delete(&off("10.0.0.21")).await);
    // The address is gone, and it is unknown which write did it. Terraform would read a 409 `state-conflict` with ZEC's
    // code as "already deleted".
    let answer = world.alice().delete(&off("10.0.0.21")).await;
    let (status, slug, code) = answer.problem();
    assert_eq!((status, slug.as_str()), (409, "operation-in-progress"), "{}", answer.text());
    assert_eq!(code, "OPERATION_IN_PROGRESS");
    // A state that forbids a change releases its addresses.
    assert_eq!(world.alice().delete(&off("10.0.0.99")).await.problem().1, "state-conflict");
    let given = format!("/nics/{NIC}/ipv4");
    let answer = world.alice().post(&given, r#"{"ipAddresses":["10.0.0.99"]}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_dry_run_looks_at_the_budget_and_says_what_would_be_left() {
    let limits = "addresses_per_hour = 2".to_owned();
    let world = Setup { limits, ..Setup::default() }.start().await;
    let dry = |address: &str| format!("{}&dryRun=true", off(address));
    for _ in 0..3 {
        let answer = world.alice().delete(&dry("10.0.0.21")).await;
        assert_eq!(answer.json()["budgetLeft"], 1, "{}", answer.text());
    }
    assert_eq!(world.alice().delete(&off("10.0.0.21")).await.status, 200);
    assert_eq!(world.alice().delete(&dry("10.0.0.22")).await.json()["budgetLeft"], 0);
    let both = format!("{}&ipAddresses=10.0.0.23", dry("10.0.0.22"));
    assert_eq!(world.alice().delete(&both).await.problem().1, "budget-exceeded");
    assert_eq!(world.alice().delete(&off("10.0.0.22")).await.status, 200);
    assert_eq!(world.alice().delete(&dry("10.0.0.23")).await.problem().1, "budget-exceeded");
}

#[tokio::test]
async fn a_caller_takes_off_no_more_in_an_hour_than_the_budget_whatever_restarts() {
    let limits = "addresses_per_hour = 2";
    let setup = Setup { limits: limits.to_owned(), patience: blind(), ..Setup::default() };
    let mut world = setup.start().await;
    let alice = world.alice();
    // If ZEC refuses a write, its share of the budget is returned.
    let refusal = FaultKind::UnknownStatus(409, "INVALID_NIC_LB_ASSOCIATED".to_owned());
    world.zec.inject(fault(refusal));
    assert_eq!(alice.delete(&off("10.0.0.21")).await.status, 409);
    assert_eq!(alice.delete(&off("10.0.0.21")).await.status, 200);
    // The outcome of this one is unknown, so it counts.
    world.zec.inject(fault(FaultKind::Cut));
    id_of_unknown(&alice.delete(&off("10.0.0.22")).await);
    let answer = alice.delete(&off("10.0.0.23")).await;
    assert_eq!((answer.problem().0, answer.problem().1.as_str()), (429, "budget-exceeded"));
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 60);
    // Assigning addresses costs nothing, and other callers have separate budgets.
    let given = format!("/nics/{NIC}/ipv4");
    assert_eq!(alice.post(&given, r#"{"ipAddresses":["10.0.0.21"]}"#).await.status, 200);
    let eve = world.caller("eve", &["netops"]);
    assert_eq!(eve.delete(&off("10.0.0.23")).await.status, 200);
    let sent = world.sent(WRITE).len();
    assert_eq!(sent, 4, "the refused one never went out");

    world.ask_to_stop();
    assert!(world.stopped().await);
    let next = after(&world, limits, blind()).await;
    assert_eq!(next.alice().delete(&off("10.0.0.24")).await.problem().1, "budget-exceeded");
    let bob = next.caller("bob", &["netops"]);
    assert_eq!(bob.delete(&off("10.0.0.24")).await.status, 200);
}
