//! Tests of the writer: intents, outcomes, batches and late commits.

use super::*;

#[tokio::test]
async fn an_intent_is_on_disk_before_there_is_a_ticket_and_its_outcome_before_it_is_over() {
    let desk = Desk::new();
    let journal = desk.open();
    let ticket = journal.begin(permit(), intent("alice")).await.unwrap();
    let id = ticket.operation().unwrap();
    let kept = copy_of(&desk).offline().find(id).unwrap().unwrap();
    assert_eq!((kept.outcome, kept.finished_at), (Outcome::Pending, None));
    let write = ticket.spend().unwrap().write;
    assert_eq!(*write.change().unwrap(), unassign("nic-1", &["10.0.0.2", "10.0.0.3"]));
    journal.end(id, Ending::new(Outcome::Done)).await.unwrap();
    let kept = copy_of(&desk).offline().find(id).unwrap().unwrap();
    assert_eq!(kept.outcome, Outcome::Done);
    assert!(kept.finished_at >= Some(kept.started_at));
    journal.close().await;
}

#[tokio::test]
async fn what_waits_together_shares_a_transaction() {
    let desk = Desk::new();
    let (journal, gate) = desk.open_gated();
    let begin = |name: &'static str| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.begin(permit(), intent(name)).await })
    };
    let first = begin("first");
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["begin"]);
    let others: Vec<_> = (0..10).map(|_| begin("other")).collect();
    while journal.waiting() < 10 {
        tokio::task::yield_now().await;
    }
    gate.let_through(Through::Well);
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["begin"; 10]);
    gate.let_through(Through::Well);
    let mut tickets = vec![first.await.unwrap().unwrap()];
    for other in others {
        tickets.push(other.await.unwrap().unwrap());
    }
    assert_eq!(desk.metric("journal_commits_total{result=\"ok\"}"), "2");
    assert_eq!(desk.metric("journal_entries"), "11");
    assert_eq!(desk.metric("operations_total{outcome=\"pending\"}"), "11");
    drop((gate, tickets));
    journal.close().await;
    assert_eq!(desk.verify().unwrap().length, 22);
}

#[tokio::test]
async fn an_intent_that_is_late_is_not_sent_and_the_next_transaction_says_so() {
    let desk = Desk::new();
    let (journal, gate) = desk.open_gated();
    let waiting = journal.clone();
    let late = tokio::spawn(async move { waiting.begin(permit(), intent("late")).await });
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["begin"]);
    tokio::time::pause();
    tokio::time::advance(desk.tuning.patience + Duration::from_millis(1)).await;
    assert_eq!(unavailable(late.await.unwrap()), "it took too long");
    tokio::time::resume();
    assert!(!journal.is_healthy(), "a disk that hangs is no place for writes");
    // Other writes are queued before the late one is known to be late.
    let waiting = journal.clone();
    let next = tokio::spawn(async move { waiting.begin(permit(), intent("next")).await });
    while journal.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    gate.let_through(Through::Well);
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps.first(), Some(&"not-sent"));
    drop((gate, next));
    journal.close().await;
    assert_eq!(desk.story().get(..2).unwrap(), ["pending", "not-sent"]);
}

#[tokio::test]
async fn a_caller_who_goes_away_during_the_commit_leaves_no_open_intent() {
    let desk = Desk::new();
    let (journal, gate) = desk.open_gated();
    let waiting = journal.clone();
    let going = tokio::spawn(async move { waiting.begin(permit(), intent("gone")).await });
    let (gate, _) = gate.arrived().await;
    going.abort();
    assert!(going.await.unwrap_err().is_cancelled());
    gate.let_through(Through::Well);
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["not-sent"]);
    drop(gate);
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "not-sent"]);
}

#[tokio::test]
async fn an_intent_that_nobody_waits_for_any_more_is_not_even_written() {
    let desk = Desk::new();
    let (journal, gate) = desk.open_gated();
    let begin = |name: &'static str| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.begin(permit(), intent(name)).await })
    };
    let first = begin("first");
    let (gate, _) = gate.arrived().await;
    let second = begin("second");
    while journal.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    gate.let_through(Through::Well);
    let ticket = first.await.unwrap().unwrap();
    drop(gate);
    let _ = ticket.spend();
    journal.close().await;
    assert_eq!(desk.story(), ["pending"]);
}

#[tokio::test]
async fn a_commit_that_failed_and_took_place_all_the_same_is_closed_as_not_sent() {
    let desk = Desk::new();
    let (journal, gate) = desk.open_gated();
    let waiting = journal.clone();
    let begun = tokio::spawn(async move { waiting.begin(permit(), intent("alice")).await });
    let (gate, _) = gate.arrived().await;
    gate.let_through(Through::Unheard);
    assert_eq!(unavailable(begun.await.unwrap()), "the disk is on fire");
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["not-sent"]);
    drop(gate);
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "not-sent"]);
    assert_eq!(desk.metric("journal_commits_total{result=\"failed\"}"), "1");
}

#[tokio::test]
async fn an_outcome_is_tried_again_until_it_is_written_and_the_order_stays() {
    let mut desk = Desk::new();
    desk.tuning.pace.retry = Duration::from_millis(1);
    let (journal, mut gate) = desk.open_gated();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let waiting = journal.clone();
        let begun = tokio::spawn(async move { waiting.begin(permit(), intent("alice")).await });
        (gate, _) = gate.arrived().await;
        gate.let_through(Through::Well);
        let ticket = begun.await.unwrap().unwrap();
        ids.push(ticket.operation().unwrap());
        let _ = ticket.spend();
    }
    let end = |id, outcome| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.end(id, Ending::new(outcome)).await })
    };
    let first = end(ids[0], Outcome::Unknown);
    for _ in 0..3 {
        let steps;
        (gate, steps) = gate.arrived().await;
        assert_eq!(steps, ["unknown"]);
        gate.let_through(Through::Refused);
    }
    let steps;
    (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["unknown"]);
    let second = end(ids[1], Outcome::Done);
    gate.let_through(Through::Refused);
    loop {
        let steps;
        (gate, steps) = gate.arrived().await;
        let both = steps == ["unknown", "done"];
        assert!(both || steps == ["unknown"], "{steps:?}");
        gate.let_through(if both { Through::Well } else { Through::Refused });
        if both {
            break;
        }
    }
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(()), Ok(())));
    drop(gate);
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "pending", "unknown", "done"]);
}

#[tokio::test]
async fn a_caller_waits_for_an_outcome_only_so_long_and_it_is_not_lost() {
    let mut desk = Desk::new();
    let id = {
        let journal = desk.open();
        let ticket = journal.begin(permit(), intent("alice")).await.unwrap();
        let id = ticket.operation().unwrap();
        let _ = ticket.spend();
        journal.close().await;
        id
    };
    desk.tuning.patience = Duration::ZERO;
    let (journal, gate) = desk.open_gated();
    assert_eq!(journal.end(id, Ending::new(Outcome::Done)).await, Err(NotYet));
    drop(gate);
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "done"]);
}

#[tokio::test]
async fn a_full_line_turns_intents_away_and_outcomes_never() {
    let mut desk = Desk::new();
    desk.tuning.max_waiting = 1;
    let (journal, gate) = desk.open_gated();
    let begin = || {
        let journal = journal.clone();
        tokio::spawn(async move { journal.begin(permit(), intent("alice")).await })
    };
    let first = begin();
    let (gate, _) = gate.arrived().await;
    let second = begin();
    while journal.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    let cause = unavailable(journal.begin(permit(), intent("alice")).await);
    assert_eq!(cause, "too many writes wait to be recorded");
    gate.let_through(Through::Well);
    drop((first.await.unwrap().unwrap(), gate));
    drop(second.await.unwrap().unwrap());
    journal.close().await;
    assert_eq!(desk.story().iter().filter(|outcome| *outcome == "not-sent").count(), 2);
}

#[tokio::test]
async fn a_final_outcome_stays_and_an_unknown_one_may_still_be_resolved() {
    let desk = Desk::new();
    let journal = desk.open();
    let done = write(&journal, "alice", Outcome::Done).await;
    let unknown = write(&journal, "alice", Outcome::Unknown).await;
    for (id, outcome) in [
        (done, Outcome::NotSent),
        (done, Outcome::Pending),
        (unknown, Outcome::Unknown),
        (unknown, Outcome::NotDone),
    ] {
        journal.end(id, Ending::new(outcome)).await.unwrap();
    }
    assert_eq!(journal.find(done).await.unwrap().unwrap().outcome, Outcome::Done);
    assert_eq!(journal.find(unknown).await.unwrap().unwrap().outcome, Outcome::NotDone);
    journal.end(OperationId::new(), Ending::new(Outcome::Done)).await.unwrap();
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "done", "pending", "unknown", "not-done"]);
}

#[tokio::test]
async fn outcomes_that_come_together_are_one_entry_and_the_first_final_one_stays() {
    let desk = Desk::new();
    let (journal, gate) = desk.open_gated();
    let waiting = journal.clone();
    let begun = tokio::spawn(async move { waiting.begin(permit(), intent("alice")).await });
    let (gate, _) = gate.arrived().await;
    gate.let_through(Through::Well);
    let ticket = begun.await.unwrap().unwrap();
    let id = ticket.operation().unwrap();
    ticket.spend().unwrap();
    let end = |outcome| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.end(id, Ending::new(outcome)).await })
    };
    let first = end(Outcome::Unknown);
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["unknown"]);
    // It was not written, so the state of the operation is not certain any more.
    gate.let_through(Through::Refused);
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["unknown"]);
    let mut others = Vec::new();
    for (number, outcome) in
        [Outcome::Done, Outcome::Done, Outcome::NotDone].into_iter().enumerate()
    {
        others.push(end(outcome));
        while journal.waiting() <= number {
            tokio::task::yield_now().await;
        }
    }
    gate.let_through(Through::Well);
    let (gate, steps) = gate.arrived().await;
    assert_eq!(steps, ["done", "done", "not-done"]);
    gate.let_through(Through::Well);
    first.await.unwrap().unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    drop(gate);
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "unknown", "done"]);
    desk.verify().unwrap();
}

#[tokio::test]
async fn after_closing_nothing_is_begun() {
    let desk = Desk::new();
    let journal = desk.open();
    journal.close().await;
    assert_eq!(
        unavailable(journal.begin(permit(), intent("alice")).await),
        "the journal is closed"
    );
    assert!(!journal.is_healthy());
    journal.close().await;
}

#[tokio::test]
async fn without_a_journal_a_permit_becomes_a_ticket_without_a_record() {
    let settings = Settings { path: "/nowhere/journal.db".into(), enabled: false, keep_months: 0 };
    let (journal, unfinished) = Journal::open(&settings, Desk::new().metrics).unwrap();
    assert!(!journal.is_on() && journal.is_healthy() && unfinished.is_empty());
    let ticket = journal.begin(permit(), intent("alice")).await.unwrap();
    assert_eq!((ticket.operation(), ticket.policies()), (None, &["any".to_owned()][..]));
    assert!(ticket.spend().is_ok());
    let id = OperationId::new();
    assert_eq!(journal.end(id, Ending::new(Outcome::Done)).await, Ok(()));
    assert!(journal.find(id).await.unwrap().is_none());
    journal.close().await;
}
