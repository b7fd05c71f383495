//! Tests of how old entries are deleted.

use std::time::Instant;

use super::*;

/// Opens the closed journal's ledger, as its writer would.
fn ledger(desk: &Desk) -> SqliteLedger {
    desk.ledger()
}

fn offline(desk: &Desk) -> Offline {
    Offline::open(&desk.path()).unwrap()
}

fn verify(desk: &Desk, head: Option<Head>) -> Result<Head, String> {
    let expected = head.map_or_else(Expected::default, |head| Expected {
        head: Some(head.hash.to_string()),
        length: Some(head.length),
    });
    offline(desk).verify(&expected).unwrap().map_err(|broken| broken.to_string())
}

fn later() -> SystemTime {
    SystemTime::now() + LONG
}

#[tokio::test]
async fn expired_entries_are_deleted_and_the_rest_still_verifies() {
    let desk = Desk::new();
    let journal = desk.open();
    for name in ["alice", "bob"] {
        write(&journal, name, Outcome::Done).await;
    }
    journal.close().await;
    let whole = verify(&desk, None).unwrap();
    assert_eq!(whole.length, 4);

    let mut oldest = ledger(&desk);
    assert_eq!(oldest.prune(SystemTime::UNIX_EPOCH, 9).unwrap(), 0, "nothing is so old");
    assert_eq!(oldest.prune(later(), 3).unwrap(), 3, "a few at once");
    assert_eq!(verify(&desk, None).unwrap(), whole);
    assert_eq!(verify(&desk, Some(whole)).unwrap(), whole);
    assert_eq!(oldest.prune(later(), 9).unwrap(), 1);
    assert_eq!(oldest.prune(later(), 9).unwrap(), 0);
    Box::new(oldest).close();
    assert_eq!(verify(&desk, None).unwrap(), whole, "an empty chain ends where it ended");
    let filed = "SELECT count(*) FROM operations";
    let filed: i64 = desk.raw().query_row(filed, [], |row| row.get(0)).unwrap();
    assert_eq!(filed, 0, "what lists are made by has gone too");
    assert_eq!(verify(&desk, Some(whole)).unwrap(), whole);
    let earlier = Head { length: 2, ..whole };
    assert!(verify(&desk, Some(earlier)).unwrap_err().contains("has expired"));
    let other = Head { hash: Head::EMPTY.hash, ..whole };
    assert!(verify(&desk, Some(other)).unwrap_err().contains("not the one that was noted"));
    let cut = Head { length: 5, ..whole };
    assert!(verify(&desk, Some(cut)).unwrap_err().contains("cut off"));

    // The chain goes on from there, also after a restart.
    let journal = desk.open();
    let id = write(&journal, "carol", Outcome::Done).await;
    assert_eq!(journal.find(id).await.unwrap().unwrap().caller, "corp/carol");
    journal.close().await;
    assert_eq!(verify(&desk, None).unwrap().length, 6);
    assert_eq!(desk.story(), ["pending", "done"]);
}

#[tokio::test]
async fn an_operation_goes_whole_or_not_yet() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "alice", Outcome::Done).await;
    let open = journal.begin(permit(), intent("bob")).await.unwrap();
    let id = open.operation().unwrap();
    let _ = open.spend();
    let begun = SystemTime::now();
    let turn = Instant::now();
    // Times in the journal are in milliseconds.
    while turn.elapsed() < Duration::from_millis(2) {
        std::hint::spin_loop();
    }
    journal.end(id, Ending::new(Outcome::Done)).await.unwrap();
    journal.close().await;
    let mut ledger = ledger(&desk);
    let before = begun + Duration::from_millis(1);
    assert_eq!(ledger.prune(before, 9).unwrap(), 2, "the first operation alone");
    Box::new(ledger).close();
    assert_eq!(desk.story(), ["pending", "done"]);
    assert_eq!(verify(&desk, None).unwrap().length, 4);
}

#[tokio::test]
async fn nobody_else_can_remove_an_entry() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "alice", Outcome::Done).await;
    write(&journal, "bob", Outcome::Done).await;
    journal.close().await;
    let mut ledger = ledger(&desk);
    assert_eq!(ledger.prune(later(), 2).unwrap(), 2);
    let removed = ledger.connection.execute("DELETE FROM entries WHERE seq = 3", []);
    assert!(removed.unwrap_err().to_string().contains("append-only"));
}

/// Reports each deletion that it is asked for, and each check of the writer's thread.
struct Sweeping {
    inner: Box<dyn Ledger>,
    asked: Sender<(SystemTime, usize)>,
    looks: Sender<()>,
}

impl Ledger for Sweeping {
    fn append(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed> {
        self.inner.append(steps)
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let _ = self.looks.send(());
        self.inner.look()
    }

    fn try_out(&mut self) -> Result<(), StoreError> {
        self.inner.try_out()
    }

    fn prune(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError> {
        let _ = self.asked.send((before, most));
        Ok(0)
    }

    fn head(&self) -> Head {
        self.inner.head()
    }

    fn close(self: Box<Self>) {
        self.inner.close();
    }
}

/// A journal that keeps two months and checks all the time, with what it asks of its ledger.
fn sweeping(desk: &mut Desk) -> (Journal, Receiver<(SystemTime, usize)>, Receiver<()>) {
    desk.tuning.pace.look = Duration::from_millis(1);
    desk.tuning.pace.settle = Duration::ZERO;
    let ((asked, asks), (look, looks)) = (mpsc::channel(), mpsc::channel());
    let wrap = |inner| Box::new(Sweeping { inner, asked, looks: look }) as Box<dyn Ledger>;
    let (journal, _) = desk.open_kept(2, wrap);
    (journal, asks, looks)
}

#[tokio::test]
async fn a_gateway_that_runs_looks_for_what_is_past_its_time() {
    let mut desk = Desk::new();
    let (journal, asks, _) = sweeping(&mut desk);
    journal.set_second_clock(|| Some(later()));
    let (before, most) = asks.recv_timeout(LONG).unwrap();
    assert!((1..=1000).contains(&most), "a write waits for {most} deletions");
    let age = SystemTime::now().duration_since(before).unwrap().as_secs() / 86400;
    assert!((59..=93).contains(&age), "two whole months and some of this one: {age} days");
    journal.close().await;
}

#[tokio::test]
async fn a_clock_that_is_years_ahead_deletes_nothing() {
    let mut desk = Desk::new();
    let (journal, asks, looks) = sweeping(&mut desk);
    let rounds = |count: usize| {
        // Deletion follows a check.
        for _ in 0..count {
            looks.recv_timeout(LONG).unwrap();
        }
    };
    rounds(10);
    assert!(asks.try_recv().is_err(), "no other clock has agreed yet");
    // As if the gateway's clock were ten years ahead of the other.
    let ten_years = Duration::from_hours(24 * 3650);
    journal.set_second_clock(move || SystemTime::now().checked_sub(ten_years));
    let (before, _) = asks.recv_timeout(LONG).unwrap();
    let age = SystemTime::now().duration_since(before).unwrap();
    assert!(age > ten_years + Duration::from_hours(24 * 59), "{age:?}");
    journal.close().await;
}

#[tokio::test]
async fn what_has_no_outcome_stays_however_old_it_is() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "alice", Outcome::Done).await;
    let _ = journal.begin(permit(), intent("bob")).await.unwrap().spend();
    write(&journal, "carol", Outcome::Done).await;
    journal.close().await;
    let mut ledger = ledger(&desk);
    assert_eq!(ledger.prune(later(), 9).unwrap(), 2);
    assert_eq!(ledger.prune(later(), 9).unwrap(), 0);
    Box::new(ledger).close();
    assert_eq!(desk.story(), ["pending", "pending", "done"]);
}
