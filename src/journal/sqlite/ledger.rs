//! Appends to an SQLite journal over the one connection that writes.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    COLUMNS, FileWatch, Lock, answers::Answers, entry, index, retention, stored_head, stored_start,
};
use crate::{
    clock,
    domain::{OperationId, Outcome},
    error::Fault,
    journal::{
        chain::{Entry, Head},
        content::{FORM, OperationKeys},
        record::{KeyClaim, millis},
        store::{
            Applied, Closing, Failed, KeptAnswer, KeyTerms, Ledger, Opening, Space, Step,
            StoreError,
        },
    },
};

/// How many of the chain's last links are checked when a journal is opened: those that a crash could have
/// damaged. `journal verify` checks all of them.
const CHECKED_LINKS: i64 = 1000;

/// The size of a trial write: larger than any entry is likely to be.
const TRIAL_BYTES: i64 = 16 * 1024;

/// The columns are in the order of [`COLUMNS`].
const INSERT: &str = "INSERT INTO entries (seq, content, previous, hash) VALUES (?1, ?2, ?3, ?4)";

/// The one connection that writes.
pub(in crate::journal) struct SqliteLedger {
    pub(in crate::journal) connection: Connection,
    watch: FileWatch,
    head: Head,
    /// The head if a commit took place although it was reported as failed.
    perhaps: Option<Head>,
    keys: KeyTerms,
    pub(in crate::journal) answers: Answers,
    /// The operations whose intent is certainly their last entry, and its place, so that no search is needed
    /// when they end. Others may also be pending.
    pending: HashMap<OperationId, i64>,
    /// Dropped last, because then another gateway may open the journal.
    lock: Lock,
}

impl SqliteLedger {
    /// Opens or creates the journal at `path`, whose lock is held.
    pub(super) fn open(
        path: &Path,
        busy: Duration,
        keys: KeyTerms,
        lock: Lock,
    ) -> Result<Self, Fault> {
        let (real, mut connection) = super::open(path, busy)?;
        let fault = |text: String| Fault::new(text).in_file(path);
        let head = checked_head(&connection).map_err(fault)?;
        expect_our_form(&connection).map_err(fault)?;
        if index::rebuild(&mut connection).map_err(|error| fault(error.to_string()))? {
            tracing::warn!(
                "the table of operations did not match the entries and was rebuilt: run `journal verify` with a head that you noted earlier"
            );
        }
        let watch = FileWatch::new(&real).map_err(|error| fault(error.to_string()))?;
        let pending = HashMap::new();
        let answers = Answers::default();
        Ok(Self { connection, watch, head, perhaps: None, keys, answers, pending, lock })
    }

    fn write(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed> {
        let certain = |error: StoreError| Failed { error, perhaps_done: false };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| certain(error.into()))?;
        let found = stored_head(&transaction).map_err(|error| certain(error.into()))?;
        if found != self.head && Some(found) != self.perhaps {
            let what = "the journal's end is not as this gateway left it: run `journal verify`";
            return Err(certain(StoreError(what.to_owned())));
        }
        let mut batch = LedgerBatch {
            transaction,
            head: found,
            keys: &self.keys,
            answers: &mut self.answers,
            pending: &mut self.pending,
            begun: Vec::new(),
        };
        let applied: rusqlite::Result<Vec<Applied>> =
            steps.iter().map(|step| batch.apply(step)).collect();
        let applied = applied.map_err(|error| certain(error.into()))?;
        let LedgerBatch { transaction, head, pending, begun, .. } = batch;
        let committed = transaction.commit();
        (self.head, self.perhaps) = (found, Some(head));
        committed.map_err(|error| Failed { error: error.into(), perhaps_done: true })?;
        (self.head, self.perhaps) = (head, None);
        pending.extend(begun);
        Ok(applied)
    }
}

impl Ledger for SqliteLedger {
    fn append(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed> {
        self.look().map_err(|error| Failed { error, perhaps_done: false })?;
        let applied = self.write(steps)?;
        self.watch.settle();
        // The file may have disappeared during the write.
        self.look().map_err(|error| Failed { error, perhaps_done: true })?;
        Ok(applied)
    }

    fn look(&mut self) -> Result<(), StoreError> {
        self.watch.check()
    }

    fn try_out(&mut self) -> Result<(), StoreError> {
        let sql = "INSERT INTO trial VALUES (zeroblob(?1))";
        let tried = self.connection.execute(sql, [TRIAL_BYTES]);
        self.connection.execute("DELETE FROM trial", [])?;
        tried?;
        Ok(())
    }

    fn prune(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError> {
        self.look()?;
        let gone = retention::prune(&mut self.connection, before, most)?;
        let Some((start, count)) = gone else { return Ok(0) };
        tracing::info!(entries = count, until = start.length, head = %start.hash, "expired entries were deleted");
        Ok(count)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn space(&self) -> Option<Space> {
        self.watch.space().ok()
    }

    fn close(self: Box<Self>) {
        // This moves the log into the file, so that a copy of the file alone is the whole journal. The file
        // then also says that it has no log.
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(sql, [], |_| Ok(())) {
            tracing::warn!(%error, "the journal's log is left beside it; the next start reads it");
        } else if let Err(error) = self.connection.pragma_update(None, "journal_mode", "DELETE") {
            tracing::debug!(%error, "the journal has a reader, so its file still says that a log belongs to it");
        }
        let Self { connection, lock, .. } = *self;
        if let Err((_, error)) = connection.close() {
            tracing::warn!(%error, "the journal could not be closed");
        }
        drop(lock);
    }
}

struct LedgerBatch<'a> {
    transaction: Transaction<'a>,
    head: Head,
    keys: &'a KeyTerms,
    answers: &'a mut Answers,
    pending: &'a mut HashMap<OperationId, i64>,
    /// The operations whose intents are in this batch, and the places of these.
    begun: Vec<(OperationId, i64)>,
}

impl LedgerBatch<'_> {
    fn apply(&mut self, step: &Step) -> rusqlite::Result<Applied> {
        match step {
            Step::Begin(opening) => self.begin(opening),
            Step::Remember(memory) => self.remember(memory),
            Step::End(closing) => self.end(closing),
        }
    }

    fn remember(&mut self, memory: &KeptAnswer) -> rusqlite::Result<Applied> {
        let KeptAnswer { caller, claim, answer } = memory;
        if !self.claim(caller, claim, None, Some(answer))? {
            return Ok(Applied::KeyTaken);
        }
        let lifetime = i64::try_from(self.keys.lifetime.as_millis()).unwrap_or(i64::MAX);
        let now = millis(clock::now());
        let Some(wait) = self.answers.too_many(&self.transaction, caller, now, lifetime)? else {
            return Ok(Applied::Remembered);
        };
        let sql = "DELETE FROM idempotency_keys WHERE caller = ?1 AND key = ?2";
        self.transaction.prepare_cached(sql)?.execute([caller, claim.key.as_str()])?;
        Ok(Applied::TooManyAnswers(wait))
    }

    fn begin(&mut self, opening: &Opening) -> rusqlite::Result<Applied> {
        let operation = opening.id.to_string();
        if let Some(claim) = &opening.key
            && !self.claim(&opening.caller, claim, Some(&operation), None)?
        {
            return Ok(Applied::KeyTaken);
        }
        let seq = self.head.length + 1;
        self.begun.push((opening.id, seq));
        let keys = OperationKeys {
            id: &operation,
            at: millis(opening.at),
            action: &opening.action,
            caller: &opening.caller,
            request_id: &opening.request_id,
        };
        let resources = opening.resources.iter().map(ToString::to_string);
        index::begin(&self.transaction, seq, keys, resources)?;
        self.append(opening.content.clone())
    }

    /// Claims a key for an operation or an answer. Returns whether it was free.
    fn claim(
        &self,
        caller: &str,
        claim: &KeyClaim,
        operation: Option<&str>,
        answer: Option<&str>,
    ) -> rusqlite::Result<bool> {
        let (now, expired) =
            (self.keys.clock.latest(), millis(self.keys.clock.expired(self.keys.lifetime)));
        // A few at a time, because writes wait for it.
        let sql = "DELETE FROM idempotency_keys WHERE (caller, key) IN (SELECT caller, key FROM idempotency_keys WHERE at <= ?1 LIMIT 100)";
        self.transaction.prepare_cached(sql)?.execute([expired])?;
        let sql = "INSERT INTO idempotency_keys (caller, key, fingerprint, operation, answer, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, operation = excluded.operation, answer = excluded.answer, at = excluded.at WHERE at <= ?7";
        // A write's key must not expire before the write has ended: its day begins with the outcome.
        let at = if operation.is_some() { i64::MAX } else { millis(now) };
        let key = claim.key.as_str();
        let values = params![caller, key, claim.fingerprint, operation, answer, at, expired];
        Ok(self.transaction.prepare_cached(sql)?.execute(values)? == 1)
    }

    fn end(&mut self, closing: &Closing) -> rusqlite::Result<Applied> {
        let operation = closing.id.to_string();
        // The operation is no longer certainly pending, whether this transaction succeeds or not.
        let pending = self.pending.remove(&closing.id);
        let (intent, before) = if let Some(intent) = pending {
            (intent, Outcome::Pending)
        } else {
            let Some((intent, before, given_up)) = self.last(&operation)? else {
                return Ok(Applied::NoSuchOperation);
            };
            // A commit that took place although it failed is repeated.
            let same = before == closing.outcome && !closing.given_up;
            if before.is_final() || given_up || same {
                return Ok(Applied::Ended(before));
            }
            (intent, before)
        };
        let ended = index::Ended {
            seq: self.head.length + 1,
            at: millis(closing.at),
            outcome: closing.outcome,
            given_up: closing.given_up,
        };
        index::end(&self.transaction, intent, before, ended)?;
        if closing.frees_key {
            let sql = "DELETE FROM idempotency_keys WHERE operation = ?1";
            self.transaction.prepare_cached(sql)?.execute([&operation])?;
        } else if closing.outcome.is_final() || closing.given_up {
            let sql = "UPDATE idempotency_keys SET at = ?2 WHERE operation = ?1";
            let at = millis(self.keys.clock.latest());
            self.transaction.prepare_cached(sql)?.execute(params![operation, at])?;
        }
        self.append(closing.content.clone())
    }

    /// The place of an operation's intent, its last outcome, and whether the gateway gave up with it.
    fn last(&self, operation: &str) -> rusqlite::Result<Option<(i64, Outcome, bool)>> {
        let sql = "SELECT seq, outcome, given_up FROM operations WHERE id = ?1";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let found = statement
            .query_row([operation], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))
            .optional()?;
        // The table accepts no other labels.
        Ok(found.and_then(|(seq, label, over)| Some((seq, Outcome::from_label(&label)?, over))))
    }

    fn append(&mut self, content: String) -> rusqlite::Result<Applied> {
        let entry = Entry::after(self.head, content);
        let values = params![entry.seq, entry.content, entry.previous.0, entry.hash.0];
        self.transaction.prepare_cached(INSERT)?.execute(values)?;
        self.head = entry.head();
        Ok(Applied::Appended)
    }
}

/// Checks that the last entry has the form that this gateway writes.
fn expect_our_form(connection: &Connection) -> Result<(), String> {
    let sql = "SELECT json_extract(content, '$.form') FROM entries ORDER BY seq DESC LIMIT 1";
    let form: rusqlite::Result<Option<Option<i64>>> =
        connection.query_row(sql, [], |row| row.get(0)).optional();
    match form.map_err(|error| format!("cannot be read: {error}"))? {
        Some(Some(form)) if form != i64::from(FORM) => Err(format!(
            "its last entry has form {form}, and this gateway writes form {FORM}: run the gateway that wrote it"
        )),
        _ => Ok(()),
    }
}

/// The end of the chain, if its last links are intact.
fn checked_head(connection: &Connection) -> Result<Head, String> {
    let broken = |error: &dyn std::fmt::Display| {
        format!(
            "the journal is damaged: {error}; run `zec-gateway journal verify`, keep the file, and name another one in `journal.path`"
        )
    };
    let check = || -> rusqlite::Result<Result<Head, super::super::chain::Broken>> {
        let skipped = stored_head(connection)?.length - CHECKED_LINKS;
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE seq = ?1");
        let before = connection.query_row(&sql, [skipped], entry).optional()?;
        let mut head = match before {
            Some(entry) => entry.head(),
            None => stored_start(connection)?,
        };
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE seq > ?1 ORDER BY seq");
        let mut statement = connection.prepare(&sql)?;
        for found in statement.query_map([head.length], entry)? {
            let found = found?;
            if let Err(error) = found.check(head) {
                return Ok(Err(error));
            }
            head = found.head();
        }
        Ok(Ok(head))
    };
    check().map_err(|error| broken(&error))?.map_err(|error| broken(&error))
}
