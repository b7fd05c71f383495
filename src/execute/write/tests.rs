//! Tests of a write whose send hangs, panics or never happens.

use std::path::PathBuf;

use secrecy::SecretString;
use tokio::net::TcpListener;

use super::*;
use crate::{
    catalogue::Catalogue,
    domain::{ActionCall, Addresses, Caller, Change, NicId},
    execute::resolve::{Patience, Turns},
    journal::{Ending, Intent},
    limit::{Budget, Live},
    policy::{AuthorizationRequest, Engine, Source, Verdict},
    zec::{self, AccessKey, Settings},
};

fn allowed<O: AuthorizationRequest + std::fmt::Debug>(operation: O) -> Permit<O> {
    let text = "@id(\"any\") permit (principal, action, resource);".to_owned();
    let (engine, _) =
        Engine::from_sources(&[Source { path: PathBuf::from("t.cedar"), text }]).unwrap();
    let alice = Caller::vouch("corp", "alice", [""; 0]).unwrap();
    match engine.ask(&alice, operation) {
        Verdict::Allowed(permit) => permit,
        other => panic!("{other:?}"),
    }
}

fn permit() -> Permit<WriteCall> {
    let change = ChangeIpv4 {
        change: Change::Unassign,
        nic: NicId::parse("nic-1").unwrap(),
        addresses: Addresses::parse(["10.0.0.21"], 9).unwrap(),
    };
    allowed(change).into_write().unwrap()
}

/// To attach a disk.
fn attach(disk: &str) -> Permit<WriteCall> {
    let row = Catalogue::built_in().unwrap().named("AttachDisks", None).unwrap();
    let body = format!(r#"{{"diskIds":["{disk}"],"instanceId":"7"}}"#);
    allowed(ActionCall::parse(row, body.as_bytes()).unwrap()).into_write().unwrap()
}

fn intent() -> Intent {
    Intent {
        caller: Caller::vouch("corp", "alice", [""; 0]).unwrap(),
        before: None,
        stale: false,
        zec: Arc::from("zec"),
        request_id: "r".to_owned(),
        peer: None,
        software: None,
        key: None,
    }
}

async fn ticket() -> Ticket {
    Journal::off().begin(permit(), intent()).await.unwrap()
}

/// The clock stops while any task runs, and jumps to the next timer when all are idle.
#[tokio::test(start_paused = true)]
async fn a_send_that_hangs_leaves_time_to_record_that() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hour = Duration::from_hours(1);
    let settings = Settings {
        connect_timeout: hour,
        request_timeout: hour,
        ..Settings::for_tests(&silent.local_addr().unwrap().to_string())
    };
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let (_, writer) = zec::connect(&settings, key, metrics).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let ticket = ticket().await;
    let pass = writer.admit("corp/alice", ticket.write(), deadline).await.unwrap();
    let sent = send_once(&writer, ticket, pass, deadline).await;
    assert!(matches!(sent, Err(Failure::NoAnswer(_) | Failure::NotSent(_))), "{sent:?}");
    let left = deadline.saturating_duration_since(Instant::now());
    assert!(left >= Duration::from_millis(200), "{left:?}");
}

#[tokio::test]
async fn a_send_that_breaks_may_have_been_sent() {
    let sent = to_its_end(pin!(async { panic!("a bug") })).await;
    assert!(matches!(sent, Err(Failure::NoAnswer(_))), "{sent:?}");
}

#[tokio::test]
async fn what_was_set_aside_for_a_write_that_is_not_sent_is_given_back() {
    let limits = Live::with(|limits| limits.addresses_per_hour = 1);
    let budget = Budget::new(BudgetKind::Addresses, limits);
    drop(Unsent(Some(budget.reserve("corp/alice", 1).unwrap())));
    let mut unsent = Unsent(Some(budget.reserve("corp/alice", 1).unwrap()));
    // Handed over with the write, whose outcome decides about it.
    drop(unsent.0.take());
    drop(unsent);
    assert!(budget.reserve("corp/alice", 1).is_err());
}

/// A write path that gives up at once, with a ZEC that cannot be reached.
fn write_path(journal: &Journal, metrics: &Arc<Metrics>) -> WritePath {
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let nowhere = Settings::for_tests("127.0.0.1:1");
    let (reader, writer) = zec::connect(&nowhere, key, Arc::clone(metrics)).unwrap();
    let patience = Patience { give_up: Duration::from_millis(1), ..Patience::default() };
    let resolver = Resolver {
        reader,
        journal: journal.clone(),
        patience: Arc::new(patience.into()),
        turns: Turns::default(),
        stop: CancellationToken::new(),
        metrics: Arc::clone(metrics),
    };
    let limits = Live::with(|_| {});
    WritePath {
        writer,
        journal: journal.clone(),
        freeze: Freeze::new(limits.clone()),
        budgets: Budgets::new(&limits),
        guards: Guards::default(),
        resources: ResourceGuards::default(),
        resolver,
        tasks: TaskTracker::new(),
        fast_drain: CancellationToken::new(),
        metrics: Arc::clone(metrics),
    }
}

fn journal_in(files: &tempfile::TempDir) -> crate::journal::Settings {
    let path = files.path().join("journal.db");
    crate::journal::Settings { path, enabled: true, keep_months: 0 }
}

/// An earlier run left one call without an outcome, and had one that ZEC may still be working on.
#[tokio::test]
async fn after_a_restart_the_same_call_waits_and_what_zec_shows_may_be_the_earlier_ones_effect() {
    let files = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let (journal, _) = Journal::open(&journal_in(&files), Arc::clone(&metrics)).unwrap();
    let mut ids = Vec::new();
    for disk in ["1", "2"] {
        let begun = journal.begin(attach(disk), intent()).await.unwrap();
        ids.push(begun.operation().unwrap());
        begun.spend().unwrap();
    }
    journal.end(ids[0], Ending::new(Outcome::Done)).await.unwrap();
    let open = journal.find(ids[1]).await.unwrap().unwrap();
    let write_path = write_path(&journal, &metrics);
    write_path.resume(vec![open]).await;
    let claim = |action: &str, disk: &str| {
        let row = Catalogue::built_in().unwrap().named(action, None);
        let resources = [Resource::parse(&format!("disk/{disk}")).unwrap()];
        write_path.resources.claim(Wanted {
            action,
            row,
            resources: &resources,
            caller: "corp/bob",
        })
    };
    assert!(claim("AttachDisks", "1").unwrap().is_after_another());
    assert!(!claim("AttachDisks", "3").unwrap().is_after_another());
    assert_eq!(claim("AttachDisks", "2").unwrap_err().problem(), Problem::OperationInProgress);
    assert!(claim("ResizeDisk", "2").is_ok(), "another call that can be undone");
    journal.close().await;
}

/// Such a write must not stay pending for good, or nothing older could ever be deleted. As long as it may take effect,
/// no vNIC proves anything.
#[tokio::test]
async fn a_write_whose_action_is_not_known_weighs_on_others_and_ends_as_unknown() {
    let files = tempfile::tempdir().unwrap();
    let settings = journal_in(&files);
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let (journal, _) = Journal::open(&settings, Arc::clone(&metrics)).unwrap();
    let begun = journal.begin(permit(), intent()).await.unwrap();
    let id = begun.operation().unwrap();
    begun.spend().unwrap();
    let mut unknown = journal.find(id).await.unwrap().unwrap();
    unknown.change = None;
    let write_path = write_path(&journal, &metrics);
    write_path.resume(vec![unknown]).await;
    let wanted = permit().operation().clone();
    let guard =
        write_path.guards.claim(wanted.change().unwrap(), "corp/bob", Instant::now()).unwrap();
    assert!(guard.is_contested());
    let ended = async {
        loop {
            let view = journal.find(id).await.unwrap().unwrap();
            if view.outcome != Outcome::Pending {
                return view;
            }
            tokio::task::yield_now().await;
        }
    };
    let view = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    assert_eq!((view.outcome, view.given_up), (Outcome::Unknown, true));
    journal.close().await;
    let (journal, unfinished) = Journal::open(&settings, metrics).unwrap();
    assert!(unfinished.is_empty());
    journal.close().await;
}
