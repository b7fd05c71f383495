//! Tests that changes of the chain are found.

use super::*;

/// A journal of a few writes, closed, with the triggers against mistakes removed.
async fn tampered(sql: &str) -> (Desk, Head) {
    let desk = Desk::new();
    let journal = desk.open();
    for name in ["alice", "bob", "carol"] {
        write(&journal, name, Outcome::Done).await;
    }
    journal.close().await;
    let head = desk.verify().unwrap();
    assert_eq!(head.length, 6);
    let guards = "DROP TRIGGER entries_are_never_changed; DROP TRIGGER entries_are_never_removed; DROP TRIGGER entries_have_no_gaps;";
    desk.raw().execute_batch(&format!("{guards} {sql}")).unwrap();
    (desk, head)
}

#[tokio::test]
async fn every_change_of_an_entry_is_found() {
    for change in [
        "content = replace(content, '10.0.0.2', '10.0.0.4')",
        "content = replace(content, 'bob', 'mallory')",
        "content = replace(content, 'nic-1', 'nic-9')",
        "content = replace(content, 'Unassign', 'BatchAssign')",
        "content = replace(content, '\"kind\":\"intent\"', '\"kind\":\"outcome\"')",
        "content = replace(content, ',', ', ')",
        "content = content || ' '",
        "hash = zeroblob(32)",
    ] {
        let (desk, _) = tampered(&format!("UPDATE entries SET {change} WHERE seq = 3")).await;
        let broken = desk.verify().unwrap_err();
        assert_eq!(broken.seq, 3, "{change}: {broken}");
        assert!(broken.what.contains("it was changed"), "{change}: {broken}");
    }
    let (desk, _) = tampered("UPDATE entries SET previous = zeroblob(32) WHERE seq = 3").await;
    assert_eq!(
        desk.verify().unwrap_err().to_string(),
        "entry 3: it does not follow the entry before it"
    );
}

#[tokio::test]
async fn swapped_removed_and_inserted_entries_are_found() {
    let swap = "UPDATE entries SET seq = -seq WHERE seq IN (3, 5); UPDATE entries SET seq = 8 + seq WHERE seq < 0;";
    let (desk, _) = tampered(swap).await;
    assert_eq!(desk.verify().unwrap_err().seq, 3);
    let (desk, _) = tampered("DELETE FROM entries WHERE seq = 2").await;
    let broken = desk.verify().unwrap_err().to_string();
    assert_eq!(broken, "entry 2: it is missing: the next one is entry 3");
    let shift = "DELETE FROM entries WHERE seq = 2; UPDATE entries SET seq = -seq WHERE seq > 2; UPDATE entries SET seq = -seq - 1 WHERE seq < 0;";
    let (desk, _) = tampered(shift).await;
    assert_eq!(desk.verify().unwrap_err().seq, 2);
    let (desk, _) = tampered("DELETE FROM entries WHERE seq = 1").await;
    assert_eq!(desk.verify().unwrap_err().seq, 1);
    let insert = "INSERT INTO entries SELECT 7, content, hash, hash FROM entries WHERE seq = 6";
    let (desk, _) = tampered(insert).await;
    assert_eq!(desk.verify().unwrap_err().seq, 7);
}

/// Lists read a table of their own, which no hash covers.
#[tokio::test]
async fn a_changed_operations_table_is_found() {
    for change in [
        "DELETE FROM operations WHERE seq = 3",
        "UPDATE operations SET caller = 'corp/mallory' WHERE seq = 3",
        "UPDATE operations SET id = 'x' WHERE seq = 3",
        "UPDATE operations SET at = at + 1 WHERE seq = 3",
        "UPDATE operations SET last = 3 WHERE seq = 3",
        "UPDATE operations SET last_at = last_at + 1 WHERE seq = 3",
        "UPDATE operations SET action = 'x' WHERE seq = 3",
        "UPDATE operations SET given_up = 1 WHERE seq = 3",
        "UPDATE resources SET resource = 'nic/nic-9' WHERE seq = 3",
        "UPDATE resources SET caller = 'corp/mallory' WHERE seq = 3",
        "UPDATE resources SET class = 1 WHERE seq = 3",
        "DELETE FROM resources WHERE seq = 3",
        "UPDATE operations SET request_id = 'another' WHERE seq = 3",
        "UPDATE operations SET outcome = 'pending' WHERE seq = 3",
        // Each of these rows names as last entry one of another operation, or none.
        "UPDATE operations SET last = 999 WHERE seq = 3",
        "UPDATE operations SET last = 999, outcome = 'rejected', class = 2 WHERE seq = 3; UPDATE resources SET class = 2 WHERE seq = 3",
        "UPDATE operations SET last = 6 WHERE seq = 3",
        "UPDATE operations SET last = 2 WHERE seq = 3",
    ] {
        let (desk, _) = tampered(change).await;
        let broken = desk.verify().unwrap_err();
        assert_eq!(broken.seq, 3, "{change}: {broken}");
        assert!(broken.what.contains("the table of operations"), "{change}: {broken}");
    }
    for more in [
        "INSERT INTO resources VALUES ('nic/nic-9', 0, 3, 'corp/bob')",
        "INSERT INTO operations SELECT 4, 'x', 4, at, last_at, action, caller, request_id, outcome, given_up, class FROM operations WHERE seq = 3",
    ] {
        let (desk, _) = tampered(more).await;
        let broken = desk.verify().unwrap_err();
        assert!(broken.what.contains("the table of operations"), "{more}: {broken}");
    }
    let (desk, _) = tampered("").await;
    let refused = desk.raw().execute_batch("UPDATE operations SET class = 1 WHERE seq = 3");
    assert!(refused.unwrap_err().to_string().contains("CHECK"), "no index can disagree");
    let refused = desk.raw().execute_batch("UPDATE operations SET outcome = 'bogus' WHERE seq = 3");
    assert!(refused.unwrap_err().to_string().contains("CHECK"), "no other outcome");
    let (desk, _) = tampered("UPDATE operations SET last = 6 WHERE seq = 3").await;
    let fault = desk.offline().list(&Filter::newest(9)).unwrap_err().to_string();
    assert!(fault.contains("its last entry is of another operation"), "{fault}");
}

#[tokio::test]
async fn a_mismatched_operations_table_is_rebuilt_at_the_start() {
    for change in ["DELETE FROM operations", "DELETE FROM entries WHERE seq > 4"] {
        let (desk, _) = tampered(change).await;
        desk.open().close().await;
        desk.verify().unwrap();
        let made = "SELECT count(*), sum(outcome = 'done'), max(seq) FROM operations";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let made: (i64, i64, i64) = desk.raw().query_row(made, [], read).unwrap();
        let listed = desk.offline().list(&Filter::newest(9)).unwrap();
        let listed = i64::try_from(listed.len()).unwrap();
        assert_eq!(made, (listed, listed, 2 * listed - 1), "{change}");
    }
}

#[tokio::test]
async fn a_removed_end_is_found_by_a_noted_head_or_length() {
    let (desk, head) = tampered("DELETE FROM entries WHERE seq > 4").await;
    assert_eq!(desk.verify().unwrap().length, 4, "the chain alone cannot tell");
    let (hash, length) = (Some(head.hash.to_string()), Some(head.length));
    let short = Some(head.hash.short());
    for (head, length) in [(hash.clone(), length), (hash, None), (None, length), (short, length)] {
        let broken = desk.offline().verify(&Expected { head, length }).unwrap().unwrap_err();
        assert_eq!(broken.seq, 5, "{broken}");
    }
}

#[tokio::test]
async fn a_rewritten_chain_is_found_by_a_noted_head() {
    let (desk, head) = tampered("DELETE FROM entries WHERE seq > 4").await;
    let restore =
        "CREATE TRIGGER entries_have_no_gaps BEFORE INSERT ON entries WHEN 0 BEGIN SELECT 1; END";
    desk.raw().execute_batch(restore).unwrap();
    let journal = desk.open();
    write(&journal, "mallory", Outcome::Done).await;
    write(&journal, "mallory", Outcome::Done).await;
    journal.close().await;
    assert_eq!(desk.verify().unwrap().length, 8);
    let (hash, length) = (Some(head.hash.to_string()), Some(head.length));
    let verify = |head, length| desk.offline().verify(&Expected { head, length }).unwrap();
    assert_eq!(verify(hash.clone(), length).unwrap_err().seq, 6);
    assert!(verify(hash, None).is_err());
    assert!(verify(None, length).is_ok(), "the length alone cannot tell");
}

#[tokio::test]
async fn a_chain_that_only_grew_fits_what_was_noted() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "alice", Outcome::Done).await;
    let head = desk.verify().unwrap();
    write(&journal, "alice", Outcome::Done).await;
    let hash = Some(head.hash.to_string());
    for (head, length) in [(hash.clone(), Some(2)), (hash, None), (None, Some(2)), (None, Some(0))]
    {
        let found = desk.offline().verify(&Expected { head, length }).unwrap();
        assert_eq!(found.unwrap().length, 4);
    }
    let head = desk.verify().unwrap();
    assert_eq!(desk.metric("journal_entries"), "4");
    assert_eq!(desk.metric(&format!("journal_head_info{{hash=\"{}\"}}", head.hash.short())), "1");
    assert_eq!(desk.metrics.render().unwrap().matches("journal_head_info{").count(), 1);
    journal.close().await;
}

#[tokio::test]
async fn a_damaged_journal_is_not_opened() {
    let (desk, _) =
        tampered("UPDATE entries SET content = replace(content, 'carol', 'eve') WHERE seq = 5")
            .await;
    let opened = Journal::open(&desk.settings(), Arc::clone(&desk.metrics));
    let fault = opened.unwrap_err().to_string();
    assert!(fault.contains("the journal is damaged: entry 5: it was changed"), "{fault}");
}

#[tokio::test]
async fn an_end_that_is_cut_while_we_run_is_noticed() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "alice", Outcome::Done).await;
    let cut = "DROP TRIGGER entries_are_never_removed; DELETE FROM entries WHERE seq = 2";
    desk.raw().execute_batch(cut).unwrap();
    let cause = unavailable(journal.begin(permit(), intent("alice")).await);
    assert!(cause.contains("end is not as this gateway left it"), "{cause}");
    journal.close().await;
}

#[tokio::test]
async fn the_table_itself_refuses_to_change() {
    let desk = Desk::new();
    let journal = desk.open();
    write(&journal, "alice", Outcome::Done).await;
    journal.close().await;
    for sql in [
        "UPDATE entries SET content = '{}' WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 2",
        "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE seq = 2",
        "INSERT INTO entries SELECT 9, content, hash, hash FROM entries WHERE seq = 2",
    ] {
        let error = desk.raw().execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains("the journal is append-only"), "{sql}: {error}");
    }
    assert_eq!(desk.verify().unwrap().length, 2);
}

/// The hash was computed with another implementation, from docs/journal-format.md alone.
#[test]
fn the_hash_is_the_one_that_is_documented() {
    let content = r#"{"at":1700000000123,"caller":"corp/älice","kind":"intent"}"#;
    let hash = chain::hash(7, Hash([0xab; 32]), content).to_string();
    assert_eq!(hash, "eae97bf11a312a17e061e25a7ef46694d1ef89db24edc7c4ccfc8bbae7902fa8");
}
