//! The tables by which operations are found. They follow from the entries and are written as entries are
//! appended. If someone changed the file, they are rebuilt from the entries. `journal verify` compares them
//! with the entries.

use rusqlite::{Connection, OptionalExtension, params};

use super::{COLUMNS, entry};
use crate::{
    domain::Outcome,
    journal::{
        chain::Entry,
        content::{Content, IntentContent, OperationKeys, OutcomeContent},
        store::StoreError,
    },
};

/// The number of an outcome's class. Pending and done operations are in one class. Most operations go from
/// the one to the other, and then no index has to be written.
pub(super) const fn class(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Pending | Outcome::Done => 0,
        Outcome::Unknown => 1,
        Outcome::Rejected => 2,
        Outcome::NotSent => 3,
        Outcome::NotDone => 4,
    }
}

/// All classes.
pub(super) const CLASSES: [i64; 5] = [0, 1, 2, 3, 4];

/// Files the intent at this place.
pub(super) fn begin(
    connection: &Connection,
    seq: i64,
    keys: OperationKeys<'_>,
    resources: impl IntoIterator<Item = String>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO operations (seq, id, last, at, last_at, action, caller, request_id, outcome, given_up, class) VALUES (?1, ?2, ?1, ?3, ?3, ?4, ?5, ?6, 'pending', 0, 0)";
    let OperationKeys { id, at, action, caller, request_id } = keys;
    let values = params![seq, id, at, action, caller, request_id];
    connection.prepare_cached(sql)?.execute(values)?;
    // A call may name a resource twice.
    let sql =
        "INSERT OR IGNORE INTO resources (resource, class, seq, caller) VALUES (?1, 0, ?2, ?3)";
    for resource in resources {
        connection.prepare_cached(sql)?.execute(params![resource, seq, caller])?;
    }
    Ok(())
}

/// What an outcome changes in its operation's row.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    /// The place of its entry.
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) outcome: Outcome,
    pub(super) given_up: bool,
}

/// Files an outcome of the operation whose intent is at that place, and whose last outcome was `before`.
pub(super) fn end(
    connection: &Connection,
    intent: i64,
    before: Outcome,
    ended: Ended,
) -> rusqlite::Result<()> {
    let Ended { seq, at, outcome, given_up } = ended;
    let (label, now) = (outcome.label(), class(outcome));
    if class(before) == now {
        // The statement leaves the class out, because naming it would rewrite every index that holds it.
        let sql = "UPDATE operations SET last = ?2, last_at = ?3, outcome = ?4, given_up = ?5 WHERE seq = ?1";
        let values = params![intent, seq, at, label, given_up];
        connection.prepare_cached(sql)?.execute(values)?;
        return Ok(());
    }
    let sql = "UPDATE operations SET last = ?2, last_at = ?3, outcome = ?4, given_up = ?5, class = ?6 WHERE seq = ?1";
    connection.prepare_cached(sql)?.execute(params![intent, seq, at, label, given_up, now])?;
    let sql = "UPDATE resources SET class = ?3 WHERE resource = ?4 AND class = ?2 AND seq = ?1";
    for resource in resources(connection, intent)? {
        connection.prepare_cached(sql)?.execute(params![intent, class(before), now, resource])?;
    }
    Ok(())
}

/// The resources of the operation whose intent is at that place, from the entry.
fn resources(connection: &Connection, intent: i64) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT json_extract(r.value, '$.type') || '/' || json_extract(r.value, '$.id') FROM entries e, json_each(e.content, '$.resources') r WHERE e.seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map([intent], |row| row.get(0))?;
    found.collect()
}

/// Removes the rows of all operations whose intents are at that place or before.
pub(super) fn remove(connection: &Connection, until: i64) -> rusqlite::Result<()> {
    // Named one by one, because no index of this table begins with `seq`.
    let sql = "DELETE FROM resources WHERE (resource, class, seq) IN (SELECT json_extract(r.value, '$.type') || '/' || json_extract(r.value, '$.id'), p.class, p.seq FROM operations p JOIN entries e ON e.seq = p.seq, json_each(e.content, '$.resources') r WHERE p.seq <= ?1)";
    connection.execute(sql, [until])?;
    connection.execute("DELETE FROM operations WHERE seq <= ?1", [until])?;
    Ok(())
}

/// An operation's row.
#[derive(PartialEq, Eq)]
struct Filed {
    seq: i64,
    last: i64,
    last_at: i64,
    outcome: String,
    given_up: bool,
    class: i64,
}

fn filed(connection: &Connection, id: &str) -> rusqlite::Result<Option<Filed>> {
    let sql = "SELECT seq, last, last_at, outcome, given_up, class FROM operations WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Filed {
            seq: row.get(0)?,
            last: row.get(1)?,
            last_at: row.get(2)?,
            outcome: row.get(3)?,
            given_up: row.get(4)?,
            class: row.get(5)?,
        })
    };
    connection.prepare_cached(sql)?.query_row([id], read).optional()
}

/// Compares the tables with the entries, a number of entries at a time.
#[derive(Default)]
pub(super) struct IndexCheck {
    operations: i64,
    resources: i64,
}

impl IndexCheck {
    /// Compares the rows of these entries. Returns the first place whose row differs.
    pub(super) fn step(
        &mut self,
        connection: &Connection,
        entries: &[Entry],
    ) -> Result<Option<i64>, StoreError> {
        for entry in entries {
            let misfiled = match Content::of(entry)? {
                Content::Intent(intent) => self.intent(connection, entry.seq, &intent)?,
                Content::Outcome(outcome) => outcome_is_misfiled(connection, entry.seq, &outcome)?,
            };
            if misfiled.is_some() {
                return Ok(misfiled);
            }
        }
        Ok(None)
    }

    fn intent(
        &mut self,
        connection: &Connection,
        seq: i64,
        intent: &IntentContent,
    ) -> rusqlite::Result<Option<i64>> {
        self.operations += 1;
        // The last entry is this one, or another one of the operation. What the row says of that one is compared
        // when it is read.
        let sql = "SELECT class FROM operations WHERE seq = ?1 AND id = ?2 AND at = ?3 AND action = ?4 AND caller = ?5 AND request_id = ?6 AND CASE WHEN last > ?1 THEN EXISTS (SELECT 1 FROM entries e WHERE e.seq = last AND json_extract(e.content, '$.operation') = ?2) ELSE last = ?1 AND last_at = ?3 AND outcome = 'pending' AND NOT given_up AND class = 0 END";
        let OperationKeys { id, at, action, caller, request_id } = intent.keys();
        let values = params![seq, id, at, action, caller, request_id];
        let class: Option<i64> =
            connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
        let Some(class) = class else { return Ok(Some(seq)) };
        let sql = "SELECT 1 FROM resources WHERE resource = ?1 AND class = ?2 AND seq = ?3 AND caller = ?4";
        for resource in intent.resources() {
            self.resources += 1;
            let values = params![resource, class, seq, caller];
            if !connection.prepare_cached(sql)?.exists(values)? {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// Finds rows that belong to no entry; `last` is the last entry.
    pub(super) fn end(
        &self,
        connection: &Connection,
        last: i64,
    ) -> Result<Option<i64>, StoreError> {
        let count = |sql| connection.query_row(sql, [last], |row| row.get::<_, i64>(0));
        let operations = count("SELECT count(*) FROM operations WHERE seq <= ?1")?;
        let resources = count("SELECT count(*) FROM resources WHERE seq <= ?1")?;
        let more = (operations, resources) != (self.operations, self.resources);
        Ok(more.then_some(last))
    }
}

/// The place of the operation's intent, if the outcome at this place is filed differently.
fn outcome_is_misfiled(
    connection: &Connection,
    seq: i64,
    outcome: &OutcomeContent,
) -> rusqlite::Result<Option<i64>> {
    // If the operation has no row, its intent was deleted after its time. A row that is missing by mistake is
    // found at the intent.
    let Some(filed) = filed(connection, &outcome.operation)? else { return Ok(None) };
    let as_it_is = Filed {
        last: seq,
        last_at: outcome.at,
        outcome: outcome.outcome.clone(),
        given_up: outcome.given_up,
        class: Outcome::from_label(&outcome.outcome).map_or(-1, class),
        ..filed
    };
    let holds = filed.last > seq || filed == as_it_is;
    Ok((!holds).then_some(filed.seq))
}

/// Rebuilds the tables if they do not end where the entries do, which means that someone changed the file.
/// Returns whether it did. Both are written in the same transactions, so nothing else can make them differ.
pub(super) fn rebuild(connection: &mut Connection) -> Result<bool, StoreError> {
    let filed: Option<i64> =
        connection.query_row("SELECT max(seq) FROM operations", [], |row| row.get(0))?;
    if filed == last_intent(connection)? {
        return Ok(false);
    }
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM operations", [])?;
    transaction.execute("DELETE FROM resources", [])?;
    {
        let sql = format!("SELECT {COLUMNS} FROM entries NOT INDEXED ORDER BY seq");
        let mut statement = transaction.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let entry = entry(row)?;
            match Content::of(&entry)? {
                Content::Intent(intent) => {
                    begin(&transaction, entry.seq, intent.keys(), intent.resources())?;
                }
                Content::Outcome(outcome) => file_again(&transaction, entry.seq, &outcome)?,
            }
        }
    }
    transaction.commit()?;
    Ok(true)
}

fn file_again(connection: &Connection, seq: i64, content: &OutcomeContent) -> rusqlite::Result<()> {
    let Some(filed) = filed(connection, &content.operation)? else { return Ok(()) };
    let outcomes = (Outcome::from_label(&filed.outcome), Outcome::from_label(&content.outcome));
    let (Some(before), Some(outcome)) = outcomes else { return Ok(()) };
    let ended = Ended { seq, at: content.at, outcome, given_up: content.given_up };
    end(connection, filed.seq, before, ended)
}

/// The place of the last intent.
fn last_intent(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT seq FROM entries WHERE json_extract(content, '$.kind') = 'intent' ORDER BY seq DESC LIMIT 1";
    connection.query_row(sql, [], |row| row.get(0)).optional()
}
