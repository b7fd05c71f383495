//! The limit of answers kept under idempotency keys. Each takes room on the disk, and a caller who may only
//! read can cause as many as they like.

use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, Transaction, params};

/// If the limit for all callers is reached, the answers are counted again after this time. Refused callers
/// are asked to wait as long.
const PAUSE: Duration = Duration::from_secs(60);

/// How many answers may be kept, and how many more certainly fit.
#[derive(Debug)]
pub(in crate::journal) struct Answers {
    /// The most answers of one caller.
    pub(in crate::journal) each: i64,
    /// The most answers of all callers.
    pub(in crate::journal) all: i64,
    /// How many more fit, by the last count: counting all of them for each new one would take too long.
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
    /// Whether the answer of a caller that was just inserted is one too many. If so, returns how long until
    /// there is room for another. `now` is in milliseconds since 1970, and `lifetime` is in milliseconds.
    pub(super) fn too_many(
        &mut self,
        transaction: &Transaction<'_>,
        caller: &str,
        now: i64,
        lifetime: i64,
    ) -> rusqlite::Result<Option<Duration>> {
        // The newest first, so that no more rows are read than are allowed.
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
            // The count includes the answer in question.
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
