//! Writes the journal in SQLite, over its one writing connection.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    COLUMNS, GIVEN_UP, Watch, answers::Answers, entry, list, retention, stored_head, stored_start,
};
use crate::{
    clock,
    domain::{OperationId, Outcome},
    error::Fault,
    journal::{
        chain::{Content, Head},
        clock::SecondClock,
        record::{KeyClaim, millis},
        store::{Applied, Closing, Failed, Ledger, Memory, Opening, Space, Step, StoreError},
    },
};

/// How many of the chain's last links are checked when a journal is opened: what a crash could
/// have hurt. `journal verify` checks all of them.
const CHECKED_LINKS: i64 = 1000;

/// Larger than any entry is likely to be.
const TRIAL_BYTES: i64 = 16 * 1024;

/// The order is that of [`COLUMNS`].
const INSERT: &str = "INSERT INTO entries (seq, operation, kind, at, caller, nic, action, request_id, outcome, body, previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// For how long idempotency keys are kept, and by which clock beside our own.
#[derive(Clone, Debug)]
pub(in crate::journal) struct KeyTerms {
    pub(in crate::journal) lifetime: Duration,
    pub(in crate::journal) clock: SecondClock,
}

/// The one connection that writes.
pub(in crate::journal) struct SqliteLedger {
    pub(in crate::journal) connection: Connection,
    watch: Watch,
    head: Head,
    /// What the head is if a commit took place that was said to have failed.
    perhaps: Option<Head>,
    keys: KeyTerms,
    pub(in crate::journal) answers: Answers,
    /// Operations of which the intent is the last entry, for certain, and where it is: the next one
    /// need not look. One that is not among them may be so all the same.
    pending: HashMap<OperationId, i64>,
}

impl SqliteLedger {
    /// Opens or makes the journal at `path`; the lock must be held.
    pub(in crate::journal) fn open(
        path: &Path,
        busy: Duration,
        keys: KeyTerms,
    ) -> Result<Self, Fault> {
        let (real, mut connection) = super::open(path, busy)?;
        let fault = |text: String| Fault::new(text).in_file(path);
        let head = checked_head(&connection).map_err(fault)?;
        if list::refile(&mut connection).map_err(|error| fault(error.to_string()))? {
            tracing::warn!(
                "the table of operations did not match the entries and was rebuilt: run `journal verify` with a head that you noted earlier"
            );
        }
        let watch = Watch::new(&real).map_err(|error| fault(error.to_string()))?;
        let pending = HashMap::new();
        let answers = Answers::default();
        Ok(Self { connection, watch, head, perhaps: None, keys, answers, pending })
    }

    fn write(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed> {
        let certain = |error: StoreError| Failed { error, perhaps_done: false };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| certain(error.into()))?;
        let found = stored_head(&transaction).map_err(|error| certain(error.into()))?;
        if found != self.head && Some(found) != self.perhaps {
            let what = "the journal does not end as this gateway left it: run `journal verify`";
            return Err(certain(StoreError(what.to_owned())));
        }
        let mut batch = Batch {
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
        let Batch { transaction, head, pending, begun, .. } = batch;
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
        // The file may have gone while it was written.
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

    fn let_go(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError> {
        self.look()?;
        let gone = retention::let_go(&mut self.connection, before, most)?;
        let Some((start, count)) = gone else { return Ok(0) };
        tracing::info!(entries = count, until = start.length, head = %start.hash, "entries past their time were let go of");
        Ok(count)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn space(&self) -> Option<Space> {
        self.watch.space().ok()
    }

    fn close(self: Box<Self>) {
        // The log goes into the file, so that a copy of the file alone is the whole journal; and the file says
        // that no log belongs to it any more.
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(sql, [], |_| Ok(())) {
            tracing::warn!(%error, "the journal's log is left beside it; the next start reads it");
        } else if let Err(error) = self.connection.pragma_update(None, "journal_mode", "DELETE") {
            tracing::debug!(%error, "somebody reads the journal, so its file says that a log belongs to it");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the journal could not be closed");
        }
    }
}

struct Batch<'a> {
    transaction: Transaction<'a>,
    head: Head,
    keys: &'a KeyTerms,
    answers: &'a mut Answers,
    pending: &'a mut HashMap<OperationId, i64>,
    /// Whose intents are in this batch, and where.
    begun: Vec<(OperationId, i64)>,
}

impl Batch<'_> {
    fn apply(&mut self, step: &Step) -> rusqlite::Result<Applied> {
        match step {
            Step::Begin(opening) => self.begin(opening),
            Step::Remember(memory) => self.remember(memory),
            Step::End(closing) => self.end(closing),
        }
    }

    fn remember(&mut self, memory: &Memory) -> rusqlite::Result<Applied> {
        let Memory { caller, claim, answer } = memory;
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
        self.begun.push((opening.id, self.head.length + 1));
        let sql = "INSERT INTO operations (seq, caller, nic, request_id, outcome, class) VALUES (?1, ?2, ?3, ?4, 'pending', 0)";
        let Opening { caller, nic, request_id, .. } = opening;
        let values = params![self.head.length + 1, caller, nic, request_id];
        self.transaction.prepare_cached(sql)?.execute(values)?;
        self.append(Content {
            operation,
            kind: "intent".to_owned(),
            at: millis(opening.at),
            caller: Some(opening.caller.clone()),
            nic: Some(opening.nic.clone()),
            action: Some(opening.action.to_owned()),
            request_id: Some(opening.request_id.clone()),
            outcome: Outcome::Pending.label().to_owned(),
            body: opening.body.clone(),
        })
    }

    /// Claims a key, for an operation or an answer; whether nothing held it.
    fn claim(
        &self,
        caller: &str,
        claim: &KeyClaim,
        operation: Option<&str>,
        answer: Option<&str>,
    ) -> rusqlite::Result<bool> {
        let (now, expired) =
            (self.keys.clock.latest(), millis(self.keys.clock.expired(self.keys.lifetime)));
        // A few at a time: whoever waits to write waits for it.
        let sql = "DELETE FROM idempotency_keys WHERE (caller, key) IN (SELECT caller, key FROM idempotency_keys WHERE at <= ?1 LIMIT 100)";
        self.transaction.prepare_cached(sql)?.execute([expired])?;
        let sql = "INSERT INTO idempotency_keys (caller, key, fingerprint, operation, answer, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, operation = excluded.operation, answer = excluded.answer, at = excluded.at WHERE at <= ?7";
        // A write's key cannot end before the write has: its day begins with its outcome.
        let at = if operation.is_some() { i64::MAX } else { millis(now) };
        let key = claim.key.as_str();
        let values = params![caller, key, claim.fingerprint, operation, answer, at, expired];
        Ok(self.transaction.prepare_cached(sql)?.execute(values)? == 1)
    }

    fn end(&mut self, closing: &Closing) -> rusqlite::Result<Applied> {
        let operation = closing.id.to_string();
        // Whoever was among them is not any more, whatever becomes of this transaction.
        let pending = self.pending.remove(&closing.id);
        let intent = if let Some(intent) = pending {
            intent
        } else {
            let Some((intent, last, given_up)) = self.last(&operation)? else {
                return Ok(Applied::NoSuchOperation);
            };
            // The same again comes of a commit that failed and took place.
            let same = |last: Outcome| last == closing.outcome && !closing.given_up;
            let over = |last: &Outcome| last.is_final() || given_up || same(*last);
            if let Some(last) = Outcome::from_label(&last).filter(over) {
                return Ok(Applied::Ended(last));
            }
            intent
        };
        self.file(intent, pending.is_some(), closing.outcome)?;
        if closing.frees_key {
            let sql = "DELETE FROM idempotency_keys WHERE operation = ?1";
            self.transaction.prepare_cached(sql)?.execute([&operation])?;
        } else if closing.outcome.is_final() || closing.given_up {
            let sql = "UPDATE idempotency_keys SET at = ?2 WHERE operation = ?1";
            let at = millis(self.keys.clock.latest());
            self.transaction.prepare_cached(sql)?.execute(params![operation, at])?;
        }
        self.append(Content {
            operation,
            kind: "outcome".to_owned(),
            at: millis(closing.at),
            caller: None,
            nic: None,
            action: None,
            request_id: None,
            outcome: closing.outcome.label().to_owned(),
            body: closing.body.clone(),
        })
    }

    /// Where an operation's intent is, the label of its last outcome so far, and whether it was given
    /// up with it.
    fn last(&self, operation: &str) -> rusqlite::Result<Option<(i64, String, bool)>> {
        let sql = format!(
            "SELECT (SELECT min(seq) FROM entries WHERE operation = ?1), outcome, {GIVEN_UP} FROM entries WHERE operation = ?1 ORDER BY seq DESC LIMIT 1"
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        statement
            .query_row([operation], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
    }

    /// Files an operation under its new outcome, for lists to find it by.
    fn file(&self, intent: i64, was_pending: bool, outcome: Outcome) -> rusqlite::Result<()> {
        let (label, class) = (outcome.label(), list::class(outcome));
        if was_pending && class == list::class(Outcome::Pending) {
            // The statement leaves the class out: naming it would rewrite every index that holds it.
            let sql = "UPDATE operations SET outcome = ?2 WHERE seq = ?1";
            self.transaction.prepare_cached(sql)?.execute(params![intent, label])?;
        } else {
            let sql = "UPDATE operations SET outcome = ?2, class = ?3 WHERE seq = ?1";
            self.transaction.prepare_cached(sql)?.execute(params![intent, label, class])?;
        }
        Ok(())
    }

    fn append(&mut self, content: Content) -> rusqlite::Result<Applied> {
        let entry = content.follow(self.head);
        let content = &entry.content;
        let values = params![
            entry.seq,
            content.operation,
            content.kind,
            content.at,
            content.caller,
            content.nic,
            content.action,
            content.request_id,
            content.outcome,
            content.body,
            entry.previous.0,
            entry.hash.0,
        ];
        self.transaction.prepare_cached(INSERT)?.execute(values)?;
        self.head = entry.head();
        Ok(Applied::Appended)
    }
}

/// The end of the chain, where its last links hold.
fn checked_head(connection: &Connection) -> Result<Head, String> {
    let broken = |error: &dyn std::fmt::Display| {
        format!(
            "the record does not hold: {error}; run `zec-gateway journal verify`, keep the file, and name another one in `journal.path`"
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
