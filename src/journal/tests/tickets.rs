//! Tests of tickets: their lifetime, the signature's time, and being dropped.

use super::*;
use crate::clock;

#[tokio::test]
async fn a_ticket_is_spent_soon_or_not_at_all() {
    let desk = Desk::new();
    let journal = desk.open();
    let (young, old) = (
        journal.begin(permit(), intent("young")).await.unwrap(),
        journal.begin(permit(), intent("old")).await.unwrap(),
    );
    let (young_id, old_id) = (young.operation().unwrap(), old.operation().unwrap());
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(4500)).await;
    assert!(young.spend().is_ok());
    tokio::time::advance(Duration::from_millis(1000)).await;
    assert_eq!(old.spend().map(drop), Err(TooOld));
    tokio::time::resume();
    until(&journal, old_id, Outcome::NotSent).await;
    assert_eq!(journal.find(young_id).await.unwrap().unwrap().outcome, Outcome::Pending);
    journal.close().await;
}

/// This holds whatever happened to the clock since, and however long the process was stopped: ZEC refuses a
/// signature that is too old.
#[tokio::test]
async fn a_signature_bears_the_time_of_the_look_at_the_ticket() {
    let desk = Desk::new();
    let journal = desk.open();
    let ticket = journal.begin(permit(), intent("alice")).await.unwrap();
    let asked_at = ticket.asked_at();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(4)).await;
    clock::simulated::set(SystemTime::now() + Duration::from_hours(25));
    let signed_at = ticket.spend().unwrap().signed_at;
    clock::simulated::clear();
    tokio::time::resume();
    assert!(signed_at >= asked_at + Duration::from_secs(4));
    assert!(signed_at <= asked_at + SIGNED_WITHIN, "{signed_at:?}");
    journal.close().await;
}

#[tokio::test]
async fn a_ticket_that_is_dropped_is_recorded_as_not_sent() {
    let desk = Desk::new();
    let journal = desk.open();
    let ticket = journal.begin(permit(), intent("alice")).await.unwrap();
    drop(ticket);
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "not-sent"]);
}
