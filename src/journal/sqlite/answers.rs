//! How many answers are kept under idempotency keys: each takes room on the disk, and whoever may only
//! read can ask for as many as they like.

use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, Transaction, params};

/// Where there is no room for anybody's, it is looked again after so long; whoever asks is told to wait
/// as long.
const PAUSE: Duration = Duration::from_secs(60);

/// How many answers may be kept, and how many more certainly can.
#[derive(Debug)]
pub(in crate::journal) struct Answers {
    /// So many of one caller's.
    pub(in crate::journal) each: i64,
    /// So many of all.
    pub(in crate::journal) all: i64,
    /// So many more have room, by the last count: counting all for each would take too long.
    room: i64,
    /// When they may be counted again.
    count_at: Option<Instant>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { each: 1000, all: 100_000, room: 0, count_at: None }
    }
}

impl Answers {
    /// Whether an answer of a caller's that was just put in is one too many; if so, how long until
    /// another has room. Times are in milliseconds since 1970: `now`, and `lifetime` as a span.
    pub(super) fn too_many(
        &mut self,
        transaction: &Transaction<'_>,
        caller: &str,
        now: i64,
        lifetime: i64,
    ) -> rusqlite::Result<Option<Duration>> {
        // The newest first, so that no more than may be there are looked at.
        let sql = "SELECT at FROM idempotency_keys INDEXED BY idempotency_answers WHERE caller = ?1 AND answer IS NOT NULL AND at > ?2 AND at <= ?4 ORDER BY at DESC LIMIT 1 OFFSET ?3";
        let expired = now.saturating_sub(lifetime);
        let mut statement = transaction.prepare_cached(sql)?;
        let oldest: Option<i64> = statement
            .query_row(params![caller, expired, self.each, now.saturating_add(lifetime)], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(oldest) = oldest {
            let left = oldest.saturating_add(lifetime).saturating_sub(now).clamp(0, lifetime);
            return Ok(Some(Duration::from_millis(left.unsigned_abs())));
        }
        Ok((!self.has_room(transaction)?).then_some(PAUSE))
    }

    fn has_room(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
        if self.room <= 0 {
            let now = Instant::now();
            if self.count_at.is_some_and(|at| now < at) {
                return Ok(false);
            }
            let sql = "SELECT count(*) FROM idempotency_keys INDEXED BY idempotency_answers WHERE answer IS NOT NULL";
            // The one in question is among them.
            let there: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
            self.room = self.all.saturating_sub(there).saturating_add(1).max(0);
            self.count_at = (self.room == 0).then(|| now + PAUSE);
            if self.room == 0 {
                return Ok(false);
            }
        }
        self.room -= 1;
        Ok(true)
    }
}
