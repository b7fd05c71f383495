//! Tests of idempotency keys in the journal.

use super::*;
use crate::clock;

async fn claim(journal: &Journal, name: &str, key: &str) -> Result<OperationId, BeginError> {
    let ticket = journal.begin(permit(), keyed(name, key)).await?;
    let id = ticket.operation().unwrap();
    ticket.spend().unwrap();
    Ok(id)
}

/// Makes a write under a key and ends it as done.
async fn done(journal: &Journal, name: &str, key: &str) {
    let id = claim(journal, name, key).await.unwrap();
    journal.end(id, Ending::new(Outcome::Done)).await.unwrap();
}

/// The key may have been claimed by a clock that was behind, before ZEC's clock was known.
#[tokio::test]
async fn a_key_does_not_end_before_its_write_whatever_the_clocks_say() {
    let desk = Desk::new();
    let journal = desk.open();
    let far = SystemTime::now() + Duration::from_hours(1000);
    let id = claim(&journal, "alice", "k").await.unwrap();
    journal.set_second_clock(move || Some(far));
    journal.end(id, Ending::new(Outcome::Unknown)).await.unwrap();
    clock::simulated::set(far);
    let held = journal.by_key("corp/alice", &key("k")).await.unwrap();
    clock::simulated::clear();
    assert!(held.is_some());
    journal.close().await;
}

#[tokio::test]
async fn of_many_at_once_one_claims_the_key() {
    let desk = Desk::new();
    let journal = desk.open();
    let claims: Vec<_> = (0..16)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { claim(&journal, "alice", "k").await })
        })
        .collect();
    let (mut won, mut lost) = (Vec::new(), 0);
    for claim in claims {
        match claim.await.unwrap() {
            Ok(id) => won.push(id),
            Err(BeginError::KeyTaken) => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((won.len(), lost), (1, 15));
    assert!(claim(&journal, "bob", "k").await.is_ok(), "a key is its caller's own");
    assert!(claim(&journal, "alice", "K").await.is_ok());
    let held = journal.by_key("corp/alice", &key("k")).await.unwrap().unwrap();
    let Holder::Operation(view) = held.by else { panic!("an operation") };
    assert_eq!((held.fingerprint, view.id), ([7; 32], won[0]));
    assert!(journal.by_key("corp/carol", &key("k")).await.unwrap().is_none());
    journal.close().await;
    assert_eq!(desk.story(), ["pending"; 3], "a request that lost the key left no entry");
}

#[tokio::test]
async fn a_write_that_never_happened_frees_its_key_and_any_other_keeps_it() {
    let desk = Desk::new();
    let journal = desk.open();
    for outcome in Outcome::ALL {
        let key = outcome.label();
        let id = claim(&journal, "alice", key).await.unwrap();
        journal.end(id, Ending::new(outcome)).await.unwrap();
        let again = claim(&journal, "alice", key).await;
        if matches!(outcome, Outcome::NotSent | Outcome::NotDone) {
            assert_ne!(again.unwrap(), id);
        } else {
            assert_eq!(again, Err(BeginError::KeyTaken), "{key}");
        }
    }
    journal.close().await;
}

#[tokio::test]
async fn an_unknown_write_that_proves_not_done_frees_its_key_then() {
    let desk = Desk::new();
    let journal = desk.open();
    let id = claim(&journal, "alice", "k").await.unwrap();
    journal.end(id, Ending::new(Outcome::Unknown)).await.unwrap();
    assert_eq!(claim(&journal, "alice", "k").await, Err(BeginError::KeyTaken));
    journal.end(id, Ending::new(Outcome::NotDone)).await.unwrap();
    assert!(claim(&journal, "alice", "k").await.is_ok());
    journal.close().await;
}

#[tokio::test]
async fn a_key_holds_over_a_restart_and_not_past_its_day() {
    let mut desk = Desk::new();
    let journal = desk.open();
    done(&journal, "alice", "k").await;
    journal.close().await;
    let journal = desk.open();
    assert_eq!(claim(&journal, "alice", "k").await, Err(BeginError::KeyTaken));
    journal.close().await;
    desk.tuning.key_lifetime = Duration::ZERO;
    let journal = desk.open();
    journal.set_second_clock(|| Some(SystemTime::now()));
    assert!(journal.by_key("corp/alice", &key("k")).await.unwrap().is_none());
    assert!(claim(&journal, "alice", "k").await.is_ok());
    journal.close().await;
}

async fn remember(journal: &Journal, name: &str, number: i32) -> Result<(), BeginError> {
    let claim = KeyClaim { key: key(&format!("k-{number}")), fingerprint: [9; 32] };
    journal.remember(&format!("corp/{name}"), claim, "nothing".to_owned()).await
}

/// The wait that a refusal asks for.
fn wait(refused: Result<(), BeginError>) -> Duration {
    match refused {
        Err(BeginError::TooManyAnswers(wait)) => wait,
        other => panic!("{other:?}"),
    }
}

/// A journal that keeps three answers of each caller, and five of all callers.
fn forgetful(desk: &Desk) -> Journal {
    desk.open_sqlite(|ledger| (ledger.answers.each, ledger.answers.all) = (3, 5))
}

#[tokio::test]
async fn so_many_answers_are_kept_for_a_caller_and_no_more_until_one_is_a_day_old() {
    let desk = Desk::new();
    let journal = forgetful(&desk);
    for number in 0..3 {
        remember(&journal, "alice", number).await.unwrap();
    }
    let day = Duration::from_hours(24);
    let told = wait(remember(&journal, "alice", 3).await);
    assert!(told <= day && told + LONG > day, "{told:?}");
    assert!(journal.by_key("corp/alice", &key("k-3")).await.unwrap().is_none(), "it is not held");
    assert_eq!(remember(&journal, "alice", 2).await, Err(BeginError::KeyTaken), "that is held");
    // A write is recorded, and another caller's answers are kept.
    assert!(claim(&journal, "alice", "k-3").await.is_ok());
    remember(&journal, "bob", 0).await.unwrap();
    let older = "UPDATE idempotency_keys SET at = at - 86400001 WHERE key = 'k-0' AND caller = 'corp/alice'";
    let raw = desk.raw();
    raw.busy_timeout(LONG).unwrap();
    assert_eq!(raw.execute(older, []).unwrap(), 1);
    remember(&journal, "alice", 4).await.unwrap();
    wait(remember(&journal, "alice", 5).await);
    journal.close().await;
}

#[tokio::test]
async fn so_many_answers_are_kept_for_all_callers_together() {
    let desk = Desk::new();
    for _ in 0..2 {
        let journal = forgetful(&desk);
        for name in ["a", "b", "c", "d", "e"] {
            let kept = remember(&journal, name, 0).await;
            assert!(matches!(kept, Ok(()) | Err(BeginError::KeyTaken)), "{kept:?}");
        }
        for _ in 0..2 {
            assert!(!wait(remember(&journal, "f", 0).await).is_zero());
        }
        let count = "SELECT count(*) FROM idempotency_keys WHERE answer IS NOT NULL";
        let count: i64 = desk.raw().query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 5);
        journal.close().await;
    }
}

#[tokio::test]
async fn a_key_ends_when_both_clocks_say_so_and_lasts_by_the_later_of_both() {
    let day = Duration::from_hours(24);
    let held = async |theirs: Option<SystemTime>, ours: SystemTime| {
        let desk = Desk::new();
        let journal = desk.open();
        done(&journal, "alice", "k").await;
        journal.close().await;
        let journal = desk.open();
        journal.set_second_clock(move || theirs);
        // The writer's thread uses the machine's own clock: only the reader's clock is ahead.
        clock::simulated::set(ours);
        let held = journal.by_key("corp/alice", &key("k")).await.unwrap().is_some();
        clock::simulated::clear();
        journal.close().await;
        held
    };
    let (now, later) = (SystemTime::now(), SystemTime::now() + day + Duration::from_hours(1));
    assert!(held(None, later).await, "our clock alone ended it");
    assert!(held(Some(now), later).await, "our clock alone ended it");
    assert!(held(Some(later), now).await, "ZEC's clock alone ended it");
    assert!(!held(Some(later), later).await);

    // A key claimed by a clock that is behind lasts a day by the correct clock.
    let mut desk = Desk::new();
    desk.tuning.key_lifetime = day;
    let journal = desk.open();
    journal.set_second_clock(move || Some(later));
    done(&journal, "alice", "k").await;
    journal.close().await;
    let journal = desk.open();
    journal.set_second_clock(move || Some(later + Duration::from_hours(2)));
    clock::simulated::set(later + Duration::from_hours(2));
    let held = journal.by_key("corp/alice", &key("k")).await.unwrap();
    clock::simulated::clear();
    assert!(held.is_some(), "a clock that was behind ended it early");
    journal.close().await;
}

#[tokio::test]
async fn what_was_given_up_is_final_and_keeps_its_key() {
    let desk = Desk::new();
    let journal = desk.open();
    let id = claim(&journal, "alice", "k").await.unwrap();
    let pending = claim(&journal, "alice", "l").await.unwrap();
    journal.end(id, Ending::new(Outcome::Unknown)).await.unwrap();
    let given_up = || Ending { given_up: true, ..Ending::new(Outcome::Unknown) };
    journal.close().await;
    let (journal, unfinished) = desk.open_both();
    assert_eq!(unfinished.iter().map(|view| view.id).collect::<Vec<_>>(), [id, pending]);
    journal.end(id, given_up()).await.unwrap();
    journal.end(pending, given_up()).await.unwrap();
    // Once more, as after a commit that failed and took place; then a later outcome.
    journal.end(id, given_up()).await.unwrap();
    journal.end(id, Ending::new(Outcome::NotDone)).await.unwrap();
    journal.close().await;
    let (journal, unfinished) = desk.open_both();
    assert!(unfinished.is_empty(), "{unfinished:?}");
    let view = journal.find(id).await.unwrap().unwrap();
    assert!(view.given_up && view.outcome == Outcome::Unknown, "{view:?}");
    assert_eq!(claim(&journal, "alice", "k").await, Err(BeginError::KeyTaken));
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "pending", "unknown", "unknown", "unknown"]);
}

#[tokio::test]
async fn an_answer_holds_its_key_as_a_write_does() {
    let desk = Desk::new();
    let journal = desk.open();
    let claim_of = |fingerprint| KeyClaim { key: key("k"), fingerprint };
    let remember = |answer: &str| journal.remember("corp/alice", claim_of([9; 32]), answer.into());
    remember("first").await.unwrap();
    assert_eq!(remember("second").await, Err(BeginError::KeyTaken));
    assert_eq!(claim(&journal, "alice", "k").await, Err(BeginError::KeyTaken));
    journal.close().await;
    let journal = desk.open();
    let held = journal.by_key("corp/alice", &key("k")).await.unwrap().unwrap();
    let Holder::Answer(answer) = held.by else { panic!("an answer") };
    assert_eq!((held.fingerprint, answer.as_str()), ([9; 32], "first"));
    journal.close().await;
    assert!(desk.story().is_empty(), "nothing was written, so nothing is recorded");
}
