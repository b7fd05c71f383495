//! Tests of reads: operations, lists, and reads whose callers stop waiting.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use super::{
    reads::MAX_READS,
    store::{Archive, Unheard},
    *,
};

#[tokio::test]
async fn an_operation_shows_what_the_contract_says() {
    let desk = Desk::new();
    let journal = desk.open();
    let ticket = journal.begin(permit(), intent("alice")).await.unwrap();
    let id = ticket.operation().unwrap();
    let version = {
        let pending = journal.find(id).await.unwrap().unwrap();
        assert_eq!((pending.outcome, pending.finished_at), (Outcome::Pending, None));
        pending.policy_version
    };
    let _ = ticket.spend();
    let told =
        ToldProblem { problem: "zec-rejected".to_owned(), detail: "check the id".to_owned() };
    let ending = Ending {
        outcome: Outcome::Rejected,
        zec_request_id: Some("T1".to_owned()),
        code: Some("INVALID_NIC_NOT_FOUND".to_owned()),
        status: Some(404),
        detail: Some("no such vNIC".to_owned()),
        told: Some(told.clone()),
        frees_key: false,
        given_up: false,
        failed: Some(r#"["1"]"#.to_owned()),
        accepted: true,
        response: Some(r#"{"vpcId":"1"}"#.to_owned()),
    };
    journal.end(id, ending).await.unwrap();
    let view = journal.find(id).await.unwrap().unwrap();
    assert_eq!((view.status, view.detail.as_deref()), (Some(404), Some("no such vNIC")));
    assert_eq!(view.told.as_ref(), Some(&told));
    assert_eq!((view.accepted, view.failed.unwrap().get()), (true, r#"["1"]"#));
    assert_eq!(view.response.unwrap().get(), r#"{"vpcId":"1"}"#);
    assert_eq!(view.before.as_ref().unwrap().get(), r#"{"nicId":"nic-1","zzz":1.50}"#);
    assert_eq!(view.outcome, Outcome::Rejected);
    assert_eq!(view.call.action, "UnassignNetworkInterfaceIpv4");
    assert_eq!(view.call.api_version, "2025-09-01");
    assert_eq!(view.call.resources, [Resource::parse("nic/nic-1").unwrap()]);
    let arguments = r#"{"ipAddresses":["10.0.0.2","10.0.0.3"],"nicId":"nic-1"}"#;
    assert_eq!(view.call.arguments.get(), arguments);
    assert_eq!(view.change, Some(unassign("nic-1", &["10.0.0.2", "10.0.0.3"])));
    assert_eq!((view.caller.as_str(), &*view.policies), ("corp/alice", &["any".to_owned()][..]));
    assert_eq!((view.policy_version, view.request_id), (version, "request-of-alice".to_owned()));
    assert_eq!(view.zec_request_id.as_deref(), Some("T1"));
    assert_eq!(view.code.as_deref(), Some("INVALID_NIC_NOT_FOUND"));
    assert!(view.finished_at.is_some_and(|at| at >= view.started_at));
    journal.close().await;
}

#[tokio::test]
async fn lists_are_newest_first_and_each_filter_leaves_out_the_rest() {
    let desk = Desk::new();
    let journal = desk.open();
    let a = write(&journal, "alice", Outcome::Done).await;
    let b = write(&journal, "bob", Outcome::Unknown).await;
    let c = write(&journal, "alice", Outcome::Rejected).await;
    let ticket = journal.begin(permit_of(unassign("nic-2", &["10.0.0.9"])), intent("bob")).await;
    let d = ticket.as_ref().unwrap().operation().unwrap();
    let all = || Filter::newest(10);
    let cases = [
        (all(), vec![d, c, b, a]),
        (Filter::newest(2), vec![d, c]),
        (Filter { before: Some(c), ..all() }, vec![b, a]),
        (Filter { before: Some(OperationId::new()), ..all() }, vec![]),
        (Filter { caller: Some("corp/alice".to_owned()), ..all() }, vec![c, a]),
        (Filter { caller: Some("corp/alice' OR 1 --".to_owned()), ..all() }, vec![]),
        (Filter { resource: Some(Resource::parse("nic/nic-2").unwrap()), ..all() }, vec![d]),
        (Filter { outcome: Some(Outcome::Unknown), ..all() }, vec![b]),
        (Filter { outcome: Some(Outcome::Pending), ..all() }, vec![d]),
        (Filter { request_id: Some("request-of-bob".to_owned()), ..all() }, vec![d, b]),
        (
            Filter {
                caller: Some("corp/alice".to_owned()),
                outcome: Some(Outcome::Done),
                before: Some(c),
                ..all()
            },
            vec![a],
        ),
    ];
    for (filter, expected) in cases {
        let found = journal.list(filter.clone()).await.unwrap();
        let found: Vec<_> = found.views.iter().map(|view| view.id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    journal.close().await;
}

/// An archive whose reads last until `go_on` is set.
struct Slow {
    began: Sender<()>,
    /// Whether a read also stops when its caller stops waiting.
    listens: bool,
    go_on: Arc<AtomicBool>,
}

impl Archive for Slow {
    fn find(&self, _: OperationId) -> Result<Option<View>, StoreError> {
        Ok(None)
    }

    fn list(&self, _: &Filter, unheard: &Unheard) -> Result<Page, StoreError> {
        self.began.send(()).unwrap();
        while !(self.go_on.load(Ordering::Relaxed) || self.listens && unheard.is_so()) {
            std::thread::yield_now();
        }
        Ok(Page::default())
    }

    fn by_key(&self, _: &str, _: &str, _: SystemTime) -> Result<Option<HeldKey>, StoreError> {
        unreachable!("keys are read elsewhere")
    }

    fn unfinished(&self) -> Result<Vec<View>, StoreError> {
        Ok(Vec::new())
    }

    fn start(&self) -> Result<Option<(Head, SystemTime)>, StoreError> {
        Ok(None)
    }

    fn entries(&self, _: &mut dyn FnMut(Head, Entry) -> bool) -> Result<Head, StoreError> {
        Ok(Head::EMPTY)
    }

    fn misfiled(&self) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    fn close_idle(&self) {}

    fn writes_since(&self, _: &[String], _: SystemTime) -> Result<Vec<View>, StoreError> {
        Ok(Vec::new())
    }
}

/// When dropped, it lets every read end, even if a test fails: the runtime waits for them.
#[derive(Default)]
struct GoOn(Arc<AtomicBool>);

impl Drop for GoOn {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts lists and gives them up, until this many reads have begun.
async fn give_up(journal: &Journal, began: &Receiver<()>, count: usize) {
    for _ in 0..count {
        let list = tokio::time::timeout(Duration::ZERO, journal.list(Filter::newest(1)));
        assert!(list.await.is_err());
    }
    for _ in 0..count.min(MAX_READS) {
        began.recv_timeout(LONG).unwrap();
    }
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_keeps_its_place_until_it_ends_and_keys_are_read_meanwhile() {
    let desk = Desk::new();
    let (journal, go_on) = (desk.open(), GoOn::default());
    let (say, began) = mpsc::channel();
    let slow = Slow { began: say, listens: false, go_on: Arc::clone(&go_on.0) };
    let journal = journal.reading(Arc::new(slow));
    give_up(&journal, &began, 50).await;
    assert!(began.try_recv().is_err(), "more read than have a place");
    let alices = key("k");
    let held = tokio::time::timeout(LONG, journal.by_key("corp/alice", &alices)).await;
    assert!(held.expect("a key does not wait for lists").unwrap().is_none());
    drop(go_on);
    assert!(journal.list(Filter::newest(1)).await.unwrap().views.is_empty());
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_is_stopped() {
    let desk = Desk::new();
    let (say, began) = mpsc::channel();
    let go_on = GoOn::default();
    let slow = Slow { began: say, listens: true, go_on: Arc::clone(&go_on.0) };
    let journal = desk.open().reading(Arc::new(slow));
    for _ in 0..3 {
        give_up(&journal, &began, MAX_READS).await;
    }

    // SQLite is interrupted too, in the middle of an endless query.
    journal.close().await;
    let archive = sqlite::SqliteArchive::open(&desk.path(), None).unwrap();
    let endless =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let count = |connection: &Connection| {
        connection.query_row(endless, [], |row| row.get::<_, i64>(0)).map_err(StoreError::from)
    };
    let unheard = Unheard::default();
    let stopped = std::thread::scope(|scope| {
        let query = scope.spawn(|| archive.with_interrupt(Some(&unheard), count));
        unheard.say();
        query.join().unwrap()
    });
    assert_eq!(stopped, Err(StoreError("interrupted".to_owned())));
    let fresh = archive.list(&Filter::newest(1), &Unheard::default());
    assert!(fresh.unwrap().views.is_empty(), "the next read on the connection is another one");
}

#[tokio::test]
async fn a_budget_remembers_what_was_taken_off_or_may_have_been() {
    let desk = Desk::new();
    let journal = desk.open();
    let start = SystemTime::now();
    for outcome in Outcome::ALL {
        write(&journal, outcome.label(), outcome).await;
    }
    let assign = ChangeIpv4 { change: Change::Assign, ..unassign("nic-1", &["10.0.0.4"]) };
    let _ticket = journal.begin(permit_of(assign), intent("assigning")).await.unwrap();
    let since = start - Duration::from_secs(1);
    let counted = vec![Change::Unassign.action().name().to_owned()];
    let spent = journal.recent_writes(counted.clone(), since).await.unwrap();
    let spent: Vec<_> = spent.iter().map(|view| view.caller.as_str()).collect();
    assert_eq!(spent, ["corp/pending", "corp/done", "corp/unknown"]);
    assert!(journal.recent_writes(vec!["DeleteVpc".to_owned()], since).await.unwrap().is_empty());
    let later = SystemTime::now() + Duration::from_secs(1);
    assert!(journal.recent_writes(counted, later).await.unwrap().is_empty());
    journal.close().await;
}

#[tokio::test]
async fn a_start_gives_back_what_has_no_outcome_yet() {
    let desk = Desk::new();
    let journal = desk.open();
    for outcome in Outcome::ALL {
        write(&journal, outcome.label(), outcome).await;
    }
    journal.close().await;
    for _ in 0..2 {
        let (journal, unfinished) = desk.open_both();
        let found: Vec<_> = unfinished.iter().map(|v| (v.caller.as_str(), v.outcome)).collect();
        assert_eq!(found, [("corp/pending", Outcome::Pending), ("corp/unknown", Outcome::Unknown)]);
        assert_eq!(unfinished[0].change, Some(unassign("nic-1", &["10.0.0.2", "10.0.0.3"])));
        journal.close().await;
    }
}

#[tokio::test]
async fn a_gateway_that_was_killed_between_intent_and_outcome_finds_the_intent_again() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "before", Outcome::Done).await;
    let ticket = journal.begin(permit(), intent("killed")).await.unwrap();
    let killed = copy_of(&desk);
    let (again, unfinished) = killed.open_both();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(Some(unfinished[0].id), ticket.operation());
    again.end(unfinished[0].id, Ending::new(Outcome::NotDone)).await.unwrap();
    again.close().await;
    assert_eq!(killed.story(), ["pending", "done", "pending", "not-done"]);
    assert_eq!(killed.verify().unwrap().length, 4);
    journal.close().await;
}

#[tokio::test]
async fn what_serves_never_reads_a_copy() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "one", Outcome::Done).await;
    let held = copy_of(&desk);
    journal.close().await;
    // The index of the log cannot be created.
    let nowhere = held.files.path().join("missing/index");
    std::os::unix::fs::symlink(nowhere, sqlite::beside(&held.path(), "-shm")).unwrap();
    let copied = sqlite::SqliteArchive::open(&held.path(), None).unwrap();
    assert!(copied.note().is_some_and(|note| note.contains("private copy")), "{:?}", copied.note());
    let watch = sqlite::FileWatch::new(&held.path()).unwrap();
    let refused = sqlite::SqliteArchive::open(&held.path(), Some(watch)).map(drop).unwrap_err();
    assert!(refused.to_string().contains("cannot be read"), "{refused}");
}
