//! Deletes entries after their time, oldest first. The end of the deleted chain is kept, and the remaining
//! entries follow it.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::index;
use crate::{
    clock,
    domain::Outcome,
    journal::{
        chain::{Hash, Head},
        record::millis,
    },
};

/// Deletes at most `most` entries. Returns where the chain begins now, and how many were deleted.
pub(super) fn prune(
    connection: &mut Connection,
    before: SystemTime,
    most: usize,
) -> rusqlite::Result<Option<(Head, usize)>> {
    if !is_due(connection, millis(before))? {
        return Ok(None);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(last) = last_to_go(&transaction, millis(before), most)? else { return Ok(None) };
    // This comes first: the trigger allows deleting entries only up to there.
    let sql = "INSERT INTO dropped (seq, hash, at) VALUES (?1, ?2, ?3)";
    let now = millis(clock::now());
    transaction.execute(sql, params![last.length, last.hash.0, now])?;
    transaction.execute("DELETE FROM dropped WHERE seq < ?1", [last.length])?;
    index::remove(&transaction, last.length)?;
    let gone = transaction.execute("DELETE FROM entries WHERE seq <= ?1", [last.length])?;
    transaction.commit()?;
    Ok(Some((last, gone)))
}

/// Whether the oldest entry has expired. It reads one row, because it runs again and again.
fn is_due(connection: &Connection, before: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT json_extract(content, '$.at') FROM entries ORDER BY seq LIMIT 1";
    let oldest: Option<i64> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(oldest.is_some_and(|at| at < before))
}

/// The last of the oldest entries that have all expired. An operation stays until its last entry has expired
/// too, and as long as it has no outcome at all.
fn last_to_go(
    transaction: &Transaction<'_>,
    before: i64,
    most: usize,
) -> rusqlite::Result<Option<Head>> {
    // Only the oldest entries, each with the last entry of its operation.
    let sql = "SELECT e.seq, e.hash, p.last_at, p.outcome FROM (SELECT seq, hash, content FROM entries ORDER BY seq LIMIT ?1) e LEFT JOIN operations p ON p.id = json_extract(e.content, '$.operation') ORDER BY e.seq";
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([i64::try_from(most).unwrap_or(i64::MAX)])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        // If the operation has no row, its intent was deleted earlier: all its entries had expired then.
        let (over, outcome): (Option<i64>, Option<String>) = (row.get(2)?, row.get(3)?);
        let is_over = over.is_none_or(|at| at < before);
        if !is_over || outcome.as_deref() == Some(Outcome::Pending.label()) {
            break;
        }
        last = Some(Head { length: row.get(0)?, hash: Hash(row.get(1)?) });
    }
    Ok(last)
}
