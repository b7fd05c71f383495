//! What came of a write is found out, others wait for it, and it counts in its caller's budget.

use std::{fs, path::Path, time::Duration};

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

/// For ever, as far as a test can see.
const NEVER: Duration = Duration::from_hours(1);

/// Looks often; `proof` is how long after the write "still there" proves nothing.
fn looking(proof: Duration) -> Patience {
    let often = Duration::from_millis(20);
    Patience { first: often, longest: often, give_up: NEVER, proof }
}

/// Never looks.
fn blind() -> Patience {
    Patience { first: NEVER, ..Patience::default() }
}

fn off(address: &str) -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses={address}")
}

fn fault(kind: FaultKind) -> Fault {
    Fault { action: Some(WRITE.to_owned()), ..Fault::once(kind) }
}

/// What the journal of a world says of an operation.
fn recorded(world: &World, id: &str) -> String {
    let path = world.files.path().join("journal.db");
    let (code, shown, said) = run(&["journal", "show", path.to_str().unwrap(), id], Path::new("."));
    assert_eq!(code, 0, "{said}");
    shown
}

/// Waits until the journal holds so many of an outcome.
async fn until(world: &World, outcome: &str, count: f64) {
    world.until_metric(&format!("operations_total{{outcome=\"{outcome}\"}}"), count).await;
}

/// Waits until a vNIC has been looked at so often.
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
    // It may be asked for again, and did not use the caller's budget up.
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
    // Whoever asks; but whose it is stays untold.
    let eve = world.caller("eve", &["netops"]);
    let answer = eve.post(&format!("/nics/{NIC}/ipv4"), r#"{"ipAddresses":["10.0.0.21"]}"#).await;
    assert_eq!(answer.problem().1, "operation-in-progress");
    assert!(!answer.text().contains(&id), "{}", answer.text());
    assert_eq!(world.sent(WRITE).len(), 1);
    // Another address is free, and so are reads and dry runs.
    assert_eq!(world.alice().delete(&off("10.0.0.22")).await.status, 200);
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
}

/// A world that goes on with another one's journal.
async fn after(world: &World, limits: &str, patience: Patience) -> World {
    // Beside the first one's files, which outlive it.
    let path = tempfile::Builder::new().suffix(".db").tempfile_in(world.files.path()).unwrap();
    let (_, path) = path.keep().unwrap();
    fs::copy(world.files.path().join("journal.db"), &path).unwrap();
    let rest = format!("[journal]\npath = \"{}\"", path.display());
    Setup { rest, limits: limits.to_owned(), patience, ..Setup::default() }.start().await
}

#[tokio::test]
async fn what_an_earlier_run_left_open_is_held_and_found_out_by_the_next() {
    let mut world = Setup { patience: blind(), ..Setup::default() }.start().await;
    world.zec.inject(fault(FaultKind::CutAfter));
    id_of_unknown(&world.alice().delete(&off("10.0.0.21")).await);
    world.ask_to_stop();
    assert!(world.stopped().await);
    let next = after(&world, "", blind()).await;
    assert_eq!(next.alice().delete(&off("10.0.0.21")).await.problem().1, "operation-in-progress");
    assert!(next.sent(WRITE).is_empty());
    // In this world's ZEC the address is there; that proves nothing before the time has come.
    let next = after(&world, "", looking(NEVER)).await;
    until_looked(&next, 3).await;
    assert_eq!(next.alice().delete(&off("10.0.0.21")).await.problem().1, "operation-in-progress");
    let next = after(&world, "", looking(Duration::ZERO)).await;
    until(&next, "not-done", 1.0).await;
    assert_eq!(next.alice().delete(&off("10.0.0.21")).await.status, 200);
}

#[tokio::test]
async fn a_caller_takes_off_no_more_in_an_hour_than_the_budget_whatever_restarts() {
    let limits = "addresses_per_hour = 2";
    let setup = Setup { limits: limits.to_owned(), patience: blind(), ..Setup::default() };
    let mut world = setup.start().await;
    let alice = world.alice();
    // What ZEC refuses is given back: 10.0.0.11 is the primary address.
    assert_eq!(alice.delete(&off("10.0.0.11")).await.status, 409);
    assert_eq!(alice.delete(&off("10.0.0.21")).await.status, 200);
    // Nobody knows what came of this one: it counts.
    world.zec.inject(fault(FaultKind::Cut));
    id_of_unknown(&alice.delete(&off("10.0.0.22")).await);
    let answer = alice.delete(&off("10.0.0.23")).await;
    assert_eq!((answer.problem().0, answer.problem().1.as_str()), (429, "budget-exceeded"));
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 60);
    // Giving addresses costs nothing, and others have budgets of their own.
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
