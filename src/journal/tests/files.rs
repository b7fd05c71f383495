//! Tests of the journal's files: deleted, replaced, read-only, locked or on a full disk.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use super::*;

async fn works(journal: &Journal) {
    write(journal, "alice", Outcome::Done).await;
    assert!(journal.is_healthy());
}

/// While `spoil` is in effect, no write can begin; after `mend` has undone it, every write can.
async fn noticed(spoil: impl FnOnce(&Path), mend: impl FnOnce(&Path), cause: &str) {
    let desk = Desk::new();
    let journal = desk.open();
    works(&journal).await;
    let before = desk.story();
    spoil(&desk.path());
    let said = unavailable(journal.begin(permit(), intent("alice")).await);
    assert!(said.ends_with(cause), "{said}");
    assert!(!journal.is_healthy());
    mend(&desk.path());
    works(&journal).await;
    journal.close().await;
    assert_eq!(desk.story(), [before, vec!["pending".to_owned(), "done".to_owned()]].concat());
    desk.verify().unwrap();
}

fn aside(path: &Path) -> PathBuf {
    sqlite::beside(path, ".aside")
}

#[tokio::test]
async fn a_deleted_file_is_noticed() {
    noticed(
        |path| fs::rename(path, aside(path)).unwrap(),
        |path| fs::rename(aside(path), path).unwrap(),
        "is gone",
    )
    .await;
}

#[tokio::test]
async fn a_replaced_file_is_noticed() {
    noticed(
        |path| {
            fs::rename(path, aside(path)).unwrap();
            fs::copy(aside(path), path).unwrap();
        },
        |path| fs::rename(aside(path), path).unwrap(),
        "is another file than the one that was opened",
    )
    .await;
}

#[tokio::test]
async fn a_deleted_log_is_noticed() {
    let log = |path: &Path| sqlite::beside(path, "-wal");
    noticed(
        |path| fs::rename(log(path), aside(path)).unwrap(),
        |path| fs::rename(aside(path), log(path)).unwrap(),
        "is gone",
    )
    .await;
}

#[tokio::test]
async fn a_read_only_file_is_noticed_also_by_root() {
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    noticed(|path| set(path, 0o400), |path| set(path, 0o600), "is read-only").await;
}

#[tokio::test]
async fn a_file_that_goes_while_it_is_written_gives_no_ticket() {
    let mut desk = Desk::new();
    desk.tuning.busy = LONG;
    let journal = desk.open();
    works(&journal).await;
    let other = desk.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = journal.clone();
    let begun = tokio::spawn(async move { waiting.begin(permit(), intent("alice")).await });
    tokio::task::yield_now().await;
    while journal.waiting() > 0 {
        tokio::task::yield_now().await;
    }
    // The writer has taken the write and is about to wait for the other transaction. If it were slower, it
    // would find that the file is gone before that, with the same result.
    tokio::time::sleep(Duration::from_millis(100)).await;
    fs::rename(desk.path(), aside(&desk.path())).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    assert!(unavailable(begun.await.unwrap()).ends_with("is gone"));
    assert!(!journal.is_healthy());
    fs::rename(aside(&desk.path()), desk.path()).unwrap();
    works(&journal).await;
    journal.close().await;
    assert!(desk.offline().list(&Filter::newest(9)).unwrap().iter().all(|v| v.outcome.is_final()));
}

#[tokio::test]
async fn idle_or_not_a_journal_that_mended_is_found_healthy_again() {
    let mut desk = Desk::new();
    desk.tuning.pace.look = Duration::from_millis(1);
    let journal = desk.open();
    let until_healthy = async |healthy: bool| {
        let wait = async {
            while journal.is_healthy() != healthy {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, wait).await.unwrap();
    };
    fs::rename(desk.path(), aside(&desk.path())).unwrap();
    until_healthy(false).await;
    fs::rename(aside(&desk.path()), desk.path()).unwrap();
    until_healthy(true).await;
    journal.close().await;
}

#[tokio::test]
async fn a_full_disk_refuses_intents_and_leaves_the_chain_whole() {
    let desk = Desk::new();
    desk.open().close().await;
    let journal = desk.open_sqlite(|ledger| {
        let pages: i64 =
            ledger.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        ledger.connection.pragma_update(None, "max_page_count", pages + 2).unwrap();
    });
    let filler = format!("{{\"x\":\"{}\"}}", "x".repeat(100_000));
    let large = Intent { before: Some(RawValue::from_string(filler).unwrap()), ..intent("alice") };
    let cause = unavailable(journal.begin(permit(), large).await);
    assert!(cause.contains("full"), "{cause}");
    assert!(!journal.is_healthy());
    // If a small write fits, it is accepted.
    works(&journal).await;
    journal.close().await;
    let journal = desk.open();
    works(&journal).await;
    journal.close().await;
    assert_eq!(desk.verify().unwrap().length, 4);
}

#[tokio::test]
async fn somebody_who_holds_the_database_makes_it_unavailable_for_as_long() {
    let desk = Desk::new();
    let journal = desk.open();
    works(&journal).await;
    let other = desk.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let cause = unavailable(journal.begin(permit(), intent("alice")).await);
    assert!(cause.contains("locked"), "{cause}");
    assert!(!journal.list(Filter::newest(1)).await.unwrap().views.is_empty(), "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    works(&journal).await;
    journal.close().await;
    assert_eq!(desk.story().len(), 4);
}

#[tokio::test]
async fn a_second_gateway_is_told_who_has_the_journal() {
    let desk = Desk::new();
    let journal = desk.open();
    let again = Journal::open(&desk.settings(), Arc::clone(&desk.metrics));
    let fault = again.unwrap_err().to_string();
    let us = format!("another gateway has this journal open: process {} on ", std::process::id());
    assert!(fault.contains(&us), "{fault}");
    works(&journal).await;
    assert_eq!(desk.verify().unwrap().length, 2, "readers are not kept out");
    journal.close().await;
    desk.open().close().await;
}

#[tokio::test]
async fn what_the_journal_takes_and_has_left_shows_in_metrics() {
    let mut desk = Desk::new();
    desk.tuning.pace.look = Duration::ZERO;
    let journal = desk.open();
    let shown = |name: &str| desk.metric(name).parse::<u64>().unwrap();
    assert!(shown("journal_free_bytes") > 0);
    works(&journal).await;
    let size = |ending: &str| fs::metadata(sqlite::beside(&desk.path(), ending)).unwrap().len();
    let wait = async {
        while shown("journal_bytes") != size("") + size("-wal") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap();
    journal.close().await;
    // Without a journal there is no disk that could be full.
    assert!(!Metrics::new(&[], &[]).unwrap().render().unwrap().contains("journal_free_bytes"));
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    let desk = Desk::new();
    let journal = desk.open();
    works(&journal).await;
    for ending in ["", "-wal", "-shm", ".lock"] {
        let found = fs::metadata(sqlite::beside(&desk.path(), ending)).unwrap();
        assert_eq!(found.mode() & 0o777, 0o600, "{ending}");
    }
    journal.close().await;
    assert!(!sqlite::beside(&desk.path(), "-wal").exists(), "the file alone is the whole journal");
}

#[test]
fn what_is_no_journal_is_left_as_it_is() {
    let open = |desk: &Desk| {
        let opened = Journal::open(&desk.settings(), Arc::clone(&desk.metrics));
        let checked = check(&desk.settings()).unwrap_err().to_string();
        let fault = opened.unwrap_err().to_string();
        assert_eq!(checked, fault);
        assert_eq!(Offline::open(&desk.path()).err().unwrap().to_string(), fault);
        fault
    };
    let text = Desk::new();
    fs::write(text.path(), "not a database, but long enough to be one".repeat(50)).unwrap();
    assert!(open(&text).contains("is not a journal of zec-gateway: name another file"));
    let other = Desk::new();
    other.raw().execute_batch("CREATE TABLE t (x)").unwrap();
    let before = fs::read(other.path()).unwrap();
    assert!(open(&other).contains("is not a journal of zec-gateway"));
    assert_eq!(fs::read(other.path()).unwrap(), before);
    let newer = Desk::new();
    newer
        .raw()
        .execute_batch(
            "PRAGMA application_id = 1514488650; PRAGMA user_version = 5; CREATE TABLE t (x)",
        )
        .unwrap();
    assert!(open(&newer).contains("is a journal of version 5"));
}

#[test]
fn a_check_makes_and_locks_nothing() {
    let desk = Desk::new();
    check(&desk.settings()).unwrap();
    assert_eq!(fs::read_dir(desk.files.path()).unwrap().count(), 0);
    let nowhere =
        Settings { path: desk.files.path().join("no/journal.db"), enabled: true, keep_months: 0 };
    assert!(check(&nowhere).unwrap_err().to_string().contains("there is no such directory"));
    let journal = desk.open();
    check(&desk.settings()).unwrap();
    drop(journal);
}
