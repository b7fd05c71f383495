//! Both stores behave alike, and keep what this program does not know.

use proptest::prelude::*;

use super::*;
use crate::journal::{
    memory::MemoryStore,
    store::{Archive, Closing, KeptAnswer, Opened, Opening, Unheard},
};

const CALLERS: [&str; 2] = ["corp/alice", "corp/bob"];

/// An action on a store, with small numbers so that operations and keys meet.
#[derive(Clone, Debug)]
enum Doing {
    Begin { operation: usize, caller: usize, nics: usize, key: Option<usize> },
    End { operation: usize, outcome: Outcome, given_up: bool },
    Remember { caller: usize, key: usize },
    Prune { most: usize },
    Reopen,
}

fn doing() -> impl Strategy<Value = Doing> {
    let begin = (0..6_usize, 0..2_usize, 0..3_usize, proptest::option::of(0..2_usize));
    let outcomes = Outcome::ALL.into_iter().filter(|one| *one != Outcome::Pending);
    let outcome = proptest::sample::select(outcomes.collect::<Vec<_>>());
    prop_oneof![
        6 => begin.prop_map(|(operation, caller, nics, key)| Doing::Begin { operation, caller, nics, key }),
        6 => (0..6_usize, outcome, proptest::bool::weighted(0.2))
            .prop_map(|(operation, outcome, given_up)| Doing::End { operation, outcome, given_up }),
        1 => (0..2_usize, 0..2_usize).prop_map(|(caller, key)| Doing::Remember { caller, key }),
        1 => (1..9_usize).prop_map(|most| Doing::Prune { most }),
        1 => Just(Doing::Reopen),
    ]
}

fn claim(key: usize) -> KeyClaim {
    let name = format!("key-{key}-of-a-caller");
    let key = IdempotencyKey::parse(name.as_bytes()).unwrap();
    KeyClaim { key, fingerprint: [7; 32] }
}

/// An intent of a change that this program knows.
fn known(id: OperationId, caller: usize) -> Opening {
    let mut opening = opening(id, "UnassignNetworkInterfaceIpv4", caller, 1);
    let arguments = r#"{"ipAddresses":["10.0.0.2"],"nicId":"nic-0"}"#;
    opening.content = opening
        .content
        .replace("2030-01-01", crate::domain::API_VERSION)
        .replace(r#"{"a":[1,2.5,null]}"#, arguments);
    opening
}

/// An intent of a call that names this many vNICs, of an action that this program may not know.
fn opening(id: OperationId, action: &str, caller: usize, nics: usize) -> Opening {
    let names = (0..nics).map(|nic| format!("nic/nic-{nic}"));
    let resources: Vec<Resource> = names.map(|name| Resource::parse(&name).unwrap()).collect();
    let at = SystemTime::UNIX_EPOCH + LONG;
    let content = serde_json::json!({
        "action": action, "apiVersion": "2030-01-01", "arguments": {"a": [1, 2.5, null]},
        "at": 60_000, "caller": CALLERS[caller], "form": 1, "kind": "intent",
        "operation": id.to_string(), "policies": ["p"], "policyVersion": "v",
        "requestId": format!("request-{nics}"), "resources": resources, "zec": "z",
    });
    Opening {
        id,
        at,
        caller: CALLERS[caller].to_owned(),
        action: action.to_owned(),
        resources,
        request_id: format!("request-{nics}"),
        content: content.to_string(),
        key: None,
    }
}

fn closing(id: OperationId, outcome: Outcome, given_up: bool) -> Closing {
    let ending = Ending { given_up, ..Ending::new(outcome) };
    let mut closing = Closing::of(id, &ending);
    closing.at = SystemTime::UNIX_EPOCH + LONG;
    closing.content = content::of_ending(id, &ending, closing.at);
    closing
}

/// Everything that an archive shows of its content.
fn said(archive: &dyn Archive, ids: &[OperationId]) -> Vec<String> {
    let shown = |views: Vec<View>| {
        views.iter().map(|view| format!("{view:?}")).collect::<Vec<_>>().join("\n")
    };
    let mut said = vec![shown(archive.unfinished().unwrap())];
    let counted = ["UnassignNetworkInterfaceIpv4", "DeleteVpc"].map(str::to_owned);
    said.push(shown(archive.writes_since(&counted, SystemTime::UNIX_EPOCH).unwrap()));
    said.push(format!("{:?}", archive.start().unwrap().map(|(head, _)| head)));
    said.extend(ids.iter().map(|id| shown(archive.find(*id).unwrap().into_iter().collect())));
    for caller in [None, Some(CALLERS[0].to_owned())] {
        for resource in [None, Some(Resource::parse("nic/nic-1").unwrap())] {
            for outcome in [None, Some(Outcome::Done), Some(Outcome::Pending)] {
                for request_id in [None, Some("request-2".to_owned())] {
                    let (caller, resource) = (caller.clone(), resource.clone());
                    let filter =
                        Filter { caller, resource, outcome, request_id, ..Filter::newest(4) };
                    said.push(shown(archive.list(&filter, &Unheard::default()).unwrap().views));
                }
            }
        }
    }
    for caller in CALLERS {
        for key in 0..2 {
            let held = archive.by_key(caller, claim(key).key.as_str(), SystemTime::UNIX_EPOCH);
            said.push(match held.unwrap().map(|held| held.by) {
                None => "free".to_owned(),
                Some(Holder::Answer(answer)) => answer,
                Some(Holder::Operation(view)) => view.id.to_string(),
            });
        }
    }
    let mut entries = Vec::new();
    let start = archive.entries(&mut |_, entry| {
        entries.push(format!("{} {} {}", entry.seq, entry.hash, entry.content));
        true
    });
    said.push(format!("{:?}", start.unwrap()));
    said.extend(entries);
    assert_eq!(archive.misfiled().unwrap(), None);
    said
}

fn step(doing: &Doing, ids: &[OperationId]) -> Option<Step> {
    match doing {
        Doing::Begin { operation, caller, nics, key } => {
            let id = ids[*operation];
            let mut opening = match nics {
                1 => known(id, *caller),
                nics => opening(id, "MoveEverything", *caller, *nics),
            };
            opening.key = key.map(claim);
            Some(Step::Begin(Arc::new(opening)))
        }
        Doing::End { operation, outcome, given_up } => {
            Some(Step::End(Arc::new(closing(ids[*operation], *outcome, *given_up))))
        }
        Doing::Remember { caller, key } => Some(Step::Remember(Arc::new(KeptAnswer {
            caller: CALLERS[*caller].to_owned(),
            claim: claim(*key),
            answer: "nothing to do".to_owned(),
        }))),
        Doing::Prune { .. } | Doing::Reopen => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_and_sqlite_do_and_say_the_same(all in proptest::collection::vec(doing(), 1..40)) {
        let desk = Desk::new();
        let stores: [&dyn Store; 2] = [&desk.store(), &MemoryStore::default()];
        let ids: Vec<OperationId> = (0..6).map(|_| OperationId::new()).collect();
        let mut opened = stores.map(|store| store.open(desk.key_terms()).unwrap());
        let mut begun = std::collections::BTreeSet::new();
        for doing in &all {
            // No id is used twice.
            if let Doing::Begin { operation, .. } = doing && !begun.insert(*operation) {
                continue;
            }
            match (doing, step(doing, &ids)) {
                (_, Some(step)) => {
                    let applied = opened.each_mut().map(|one| {
                        one.ledger.append(std::slice::from_ref(&step)).unwrap()
                    });
                    prop_assert_eq!(&applied[0], &applied[1], "{:?}", doing);
                    if applied[0] == [Applied::KeyTaken] && let Doing::Begin { operation, .. } = doing {
                        begun.remove(operation);
                    }
                }
                (Doing::Prune { most }, None) => {
                    let later = SystemTime::UNIX_EPOCH + 2 * LONG;
                    let gone = opened.each_mut().map(|one| one.ledger.prune(later, *most).unwrap());
                    prop_assert_eq!(gone[0], gone[1]);
                }
                (_, None) => {
                    for one in opened {
                        let Opened { ledger, archive, keyed } = one;
                        archive.close_idle();
                        keyed.close_idle();
                        ledger.close();
                    }
                    opened = stores.map(|store| store.open(desk.key_terms()).unwrap());
                }
            }
            let [sqlite, memory] = opened.each_ref().map(|one| said(one.archive.as_ref(), &ids));
            prop_assert_eq!(sqlite, memory, "{:?}", doing);
            prop_assert_eq!(opened[0].ledger.head(), opened[1].ledger.head());
        }
    }
}

#[test]
fn the_property_test_has_changes_that_count_for_budgets() {
    let store = MemoryStore::default();
    let mut opened = store.open(Desk::new().key_terms()).unwrap();
    opened.ledger.append(&[Step::Begin(Arc::new(known(OperationId::new(), 0)))]).unwrap();
    let actions = [Change::Unassign.action().name().to_owned()];
    let counted = opened.archive.writes_since(&actions, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(counted.len(), 1);
}

/// A caller chooses the request id, and can use one again and again.
#[test]
fn a_search_by_request_id_reaches_so_far_and_the_next_page_goes_on() {
    let desk = Desk::new();
    let mut opened = desk.store().open(desk.key_terms()).unwrap();
    let ids: Vec<OperationId> = (0..1002).map(|_| OperationId::new()).collect();
    let begin = |id: &OperationId| Step::Begin(Arc::new(opening(*id, "MoveEverything", 0, 2)));
    opened.ledger.append(&ids.iter().map(begin).collect::<Vec<_>>()).unwrap();
    let ending = Step::End(Arc::new(closing(ids[0], Outcome::Rejected, false)));
    opened.ledger.append(&[ending]).unwrap();
    for caller in [None, Some(CALLERS[0].to_owned())] {
        let rare = Filter {
            caller,
            request_id: Some("request-2".to_owned()),
            outcome: Some(Outcome::Rejected),
            ..Filter::newest(4)
        };
        let list = |filter: &Filter| opened.archive.list(filter, &Unheard::default()).unwrap();
        let first = list(&rare);
        assert!(first.views.is_empty());
        assert_eq!(first.searched_to, Some(ids[2]));
        let second = list(&Filter { before: first.searched_to, ..rare });
        assert_eq!(second.views.iter().map(|view| view.id).collect::<Vec<_>>(), [ids[0]]);
        assert_eq!(second.searched_to, None);
    }
}

/// A gateway of a later or an earlier version recorded it.
#[tokio::test]
async fn a_call_of_an_unknown_action_is_kept_shown_and_verified_and_holds_nobody_up() {
    let desk = Desk::new();
    let ids = [OperationId::new(), OperationId::new()];
    let mut ledger = desk.store().open(desk.key_terms()).unwrap().ledger;
    let begin = |id| Step::Begin(Arc::new(opening(id, "ReleaseInstances", 0, 2)));
    let mut in_part = closing(ids[1], Outcome::Done, false);
    let failed = r#""failed":[{"code":"IN_USE","id":"nic-1"}],"form""#;
    in_part.content = in_part.content.replace("\"form\"", failed);
    ledger.append(&[begin(ids[0]), begin(ids[1]), Step::End(Arc::new(in_part))]).unwrap();
    ledger.close();

    let (journal, unfinished) = desk.open_both();
    assert_eq!(unfinished.iter().map(|view| view.id).collect::<Vec<_>>(), [ids[0]]);
    assert_eq!(unfinished[0].change, None);
    write(&journal, "alice", Outcome::Done).await;
    let resource = Some(Resource::parse("nic/nic-1").unwrap());
    let on_one = Filter { resource, ..Filter::newest(9) };
    let listed = journal.list(on_one).await.unwrap();
    assert_eq!(listed.views.iter().map(|view| view.id).filter(|id| ids.contains(id)).count(), 2);
    let view = journal.find(ids[1]).await.unwrap().unwrap();
    assert_eq!((view.outcome, view.call.action.as_str()), (Outcome::Done, "ReleaseInstances"));
    assert_eq!(view.call.arguments.get(), r#"{"a":[1,2.5,null]}"#);
    assert_eq!(view.failed.unwrap().get(), r#"[{"code":"IN_USE","id":"nic-1"}]"#);
    let counted = vec!["ReleaseInstances".to_owned()];
    let spent = journal.recent_writes(counted, SystemTime::UNIX_EPOCH).await.unwrap();
    assert!(spent.iter().any(|view| view.id == ids[1]), "{spent:?}");
    journal.close().await;
    assert_eq!(desk.verify().unwrap().length, 5);
}

/// What a process that was killed leaves: a file and its log.
fn killed(sql: &str) -> Desk {
    let (alive, desk) = (Desk::new(), Desk::new());
    let raw = alive.raw();
    raw.pragma_update(None, "journal_mode", "WAL").unwrap();
    raw.execute_batch(sql).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    raw.execute_batch("INSERT INTO entries VALUES (1)").unwrap();
    for ending in ["", "-wal"] {
        let from = sqlite::beside(&alive.path(), ending);
        std::fs::copy(&from, sqlite::beside(&desk.path(), ending)).unwrap();
    }
    desk
}

/// The name and the bytes of every file.
fn files(desk: &Desk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(desk.files.path()).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn another_programs_file_and_a_journal_of_another_version_are_refused_and_left_as_they_are() {
    let table = "CREATE TABLE entries (seq INTEGER PRIMARY KEY)";
    let ours = "PRAGMA application_id = 0x5A45434A";
    let version = "is a journal of version 3, and this gateway knows version 4: run the gateway that wrote it";
    for (sql, said) in [
        (format!("{table}; {ours}; PRAGMA user_version = 3"), version),
        (format!("{table}; {ours}"), "is a journal of version 0"),
        (format!("{table}; PRAGMA application_id = 7"), "is not a journal of zec-gateway"),
        (table.to_owned(), "is not a journal of zec-gateway"),
    ] {
        let desk = killed(&sql);
        let before = files(&desk);
        assert_eq!(before.len(), 2);
        let refused = Journal::open(&desk.settings(), Arc::clone(&desk.metrics)).unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
        assert!(Offline::open(&desk.path()).is_err());
        assert_eq!(files(&desk), before, "{sql}");
    }
}

#[test]
fn a_journal_whose_last_entry_has_another_form_is_not_continued() {
    let desk = Desk::new();
    let mut ledger = desk.store().open(desk.key_terms()).unwrap().ledger;
    let mut later = opening(OperationId::new(), "MoveEverything", 0, 2);
    later.content = later.content.replace("\"form\":1", "\"form\":2");
    ledger.append(&[Step::Begin(Arc::new(later))]).unwrap();
    ledger.close();
    let refused = Journal::open(&desk.settings(), Arc::clone(&desk.metrics)).unwrap_err();
    assert!(refused.to_string().contains("its last entry has form 2"), "{refused}");
    assert_eq!(desk.verify().unwrap().length, 1);
}

/// Only the log says what such a file is.
#[test]
fn a_file_that_is_refused_for_its_log_keeps_it() {
    let alive = Desk::new();
    let raw = alive.raw();
    raw.pragma_update(None, "journal_mode", "WAL").unwrap();
    raw.execute_batch("CREATE TABLE entries (seq INTEGER PRIMARY KEY)").unwrap();
    let desk = copy_of(&alive);
    let before = files(&desk);
    let refused = Journal::open(&desk.settings(), Arc::clone(&desk.metrics)).unwrap_err();
    assert!(refused.to_string().contains("is not a journal of zec-gateway"), "{refused}");
    let after = files(&desk);
    assert!(before.iter().all(|file| after.contains(file)), "{after:?}");
}

/// A killed gateway's file can lie so, too: its tables are in the log alone.
#[tokio::test]
async fn a_journal_that_is_in_its_log_alone_is_opened() {
    let alive = Desk::new();
    let journal = alive.open();
    let desk = copy_of(&alive);
    journal.close().await;
    desk.open().close().await;
    assert_eq!(desk.verify().unwrap().length, 0);
}
