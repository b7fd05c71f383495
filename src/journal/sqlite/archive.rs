//! Reads the journal in SQLite: entries, operations and idempotency keys.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use rusqlite::{Connection, Row, params, types::Value};
use tempfile::TempDir;

use super::{
    COLUMNS, GIVEN_UP, Opened, Watch, entry, list, open_to_read, stored_drop, stored_start,
};
use crate::{
    domain::{Action, Addresses, Change, ChangeIpv4, NicId, OperationId, Outcome},
    error::Fault,
    journal::{
        body::{OfAnIntent, OfAnOutcome},
        chain::{Broken, Entry, Head},
        reads::MAX_READS,
        record::{Filter, Held, Holder, Unassigned, View, millis, moment},
        store::{Archive, StoreError, Unheard},
    },
};

/// How many connections are kept for the next reads: as many as read at once.
const KEPT: usize = MAX_READS;

/// How many entries are read at once where all are: a few megabytes.
const STEP: i64 = 1000;

/// After so many steps of its machine, some microseconds, SQLite asks whether to go on.
const STEPS: i32 = 1000;

/// An intent `i` with the last outcome `o` of its operation.
const VIEW: &str = "SELECT i.operation, i.at, i.caller, i.nic, i.action, i.request_id, i.body, o.at, o.outcome, o.body FROM entries i LEFT JOIN entries o ON o.seq = (SELECT max(seq) FROM entries WHERE operation = i.operation AND seq > i.seq) WHERE i.kind = 'intent'";

/// Connections that only read.
pub(in crate::journal) struct SqliteArchive {
    path: PathBuf,
    /// Where a private copy of it is read instead.
    _copy: Option<TempDir>,
    /// What should be known of what is read.
    note: Option<String>,
    /// None where the file may be whatever it is.
    watch: Option<Watch>,
    kept: Mutex<Vec<Connection>>,
}

impl SqliteArchive {
    /// An archive of the file at `path`; with a watch, of that very file only.
    pub(in crate::journal) fn open(path: &Path, watch: Option<Watch>) -> Result<Self, Fault> {
        let Opened { connection, copy, note } = open_to_read(path, watch.is_none())?;
        let (copy, path) = match copy {
            Some((folder, path)) => (Some(folder), path),
            None => (None, path.to_owned()),
        };
        let kept = Mutex::new(vec![connection]);
        Ok(Self { path, _copy: copy, note, watch, kept })
    }

    /// What should be known of what is read, for people.
    pub(in crate::journal) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with_interrupt(None, read)
    }

    /// Reads with a connection. Stops with an error when its caller stops waiting.
    pub(in crate::journal) fn with_interrupt<T>(
        &self,
        unheard: Option<&Unheard>,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.watch.as_ref().map_or(Ok(()), Watch::check)?;
        let at_hand = kept().pop();
        let mut connection = if let Some(connection) = at_hand {
            connection
        } else {
            // A copy was made at the opening or not at all: what serves must see what is written.
            let opened = open_to_read(&self.path, false);
            opened.map_err(|fault| StoreError(fault.to_string()))?.connection
        };
        let stop = unheard.cloned().map(|unheard| move || unheard.is_so());
        connection.progress_handler(STEPS, stop)?;
        let result = read(&connection);
        let mut kept = kept();
        if kept.len() < KEPT {
            kept.push(connection);
        }
        result
    }

    /// Each entry in its order, until `each` says no; with each, where the chain begins, which comes
    /// back too. Read in steps, and no step lasts while `each` does: whoever stops taking them, a pipe that
    /// nobody reads say, would else keep the gateway's log from ever going into its file.
    pub(in crate::journal) fn entries(
        &self,
        mut each: impl FnMut(Head, Entry) -> bool,
    ) -> Result<Head, StoreError> {
        let mut begun: Option<Head> = None;
        let mut last = 0;
        loop {
            let (start, step) = self.with(|connection| step(connection, last))?;
            let begins = *begun.get_or_insert(start);
            if last > 0 && start.length > last {
                return Err(StoreError(
                    "entries that were still to be read were let go of meanwhile: begin again"
                        .to_owned(),
                ));
            }
            let Some(newest) = step.last().map(|entry| entry.seq) else { return Ok(begins) };
            for entry in step {
                if !each(begins, entry) {
                    return Ok(begins);
                }
            }
            last = newest;
        }
    }

    /// Where the chain begins, and since when: what came before was let go of then.
    pub(in crate::journal) fn start(&self) -> Result<Option<(Head, SystemTime)>, StoreError> {
        self.with(|connection| Ok(stored_drop(connection)?))
    }

    /// The first intent that the table of operations has otherwise than the entries, or not at all.
    pub(in crate::journal) fn misfiled(&self) -> Result<Option<i64>, StoreError> {
        self.with(|connection| Ok(list::misfiled(connection)?))
    }

    /// Operations whose outcome is not final and that were not given up, oldest first.
    pub(in crate::journal) fn unfinished(&self) -> Result<Vec<View>, StoreError> {
        // An operation's last entry has its outcome: the columns beside max() are of that row.
        let open = format!(
            "SELECT operation FROM (SELECT operation, max(seq) AS last, outcome FROM entries GROUP BY operation) WHERE outcome IN ('pending', 'unknown') AND NOT (SELECT {GIVEN_UP} FROM entries WHERE seq = last)"
        );
        let sql = format!("{VIEW} AND i.operation IN ({open}) ORDER BY i.seq");
        self.with(|connection| views(connection, &sql, Vec::new()))
    }
}

/// The entries behind that one, so many at most, and where the chain begins, in one moment.
fn step(connection: &Connection, last: i64) -> Result<(Head, Vec<Entry>), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let start = stored_start(&transaction)?;
    // In the order of the table itself: an index could hide a row.
    let sql =
        format!("SELECT {COLUMNS} FROM entries NOT INDEXED WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = transaction.prepare(&sql)?;
    let found = statement.query_map([last, STEP], entry)?;
    Ok((start, found.collect::<Result<_, _>>()?))
}

/// Looks whether an entry holds where the chain has come to, and goes on with it.
pub(in crate::journal) fn check_from(head: &mut Head, entry: &Entry) -> Result<(), Broken> {
    entry.check(*head)?;
    *head = entry.head();
    Ok(())
}

impl Archive for SqliteArchive {
    fn find(&self, id: OperationId) -> Result<Option<View>, StoreError> {
        let sql = format!("{VIEW} AND i.operation = ?1");
        let found = self.with(|connection| views(connection, &sql, vec![id.to_string().into()]))?;
        Ok(found.into_iter().next())
    }

    fn list(&self, filter: &Filter, unheard: &Unheard) -> Result<Vec<View>, StoreError> {
        let (found, values) = list::query(filter);
        let sql = format!("{VIEW} AND i.seq IN ({found}) ORDER BY i.seq DESC");
        self.with_interrupt(Some(unheard), |connection| views(connection, &sql, values))
    }

    fn by_key(
        &self,
        caller: &str,
        key: &str,
        expired: SystemTime,
    ) -> Result<Option<Held>, StoreError> {
        self.with(|connection| {
            let sql = "SELECT fingerprint, operation, answer FROM idempotency_keys WHERE caller = ?1 AND key = ?2 AND at > ?3";
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query(params![caller, key, millis(expired)])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let fingerprint = row.get(0)?;
            if let Some(answer) = row.get(2)? {
                return Ok(Some(Held { fingerprint, by: Holder::Answer(answer) }));
            }
            let operation: Option<String> = row.get(1)?;
            let sql = format!("{VIEW} AND i.operation = ?1");
            let found = views(connection, &sql, vec![operation.into()])?.into_iter().next();
            let held = |view| Held { fingerprint, by: Holder::Operation(Box::new(view)) };
            Ok(found.map(held))
        })
    }

    fn rest(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn unassigned_since(&self, since: SystemTime) -> Result<Vec<Unassigned>, StoreError> {
        let sql = format!(
            "{VIEW} AND i.action = ?1 AND i.at >= ?2 AND coalesce(o.outcome, i.outcome) IN ('done', 'unknown', 'pending') ORDER BY i.seq"
        );
        let action = Change::Unassign.action().name().to_owned();
        let values = vec![action.into(), millis(since).into()];
        let views = self.with(|connection| views(connection, &sql, values))?;
        let spent = |view: View| Unassigned {
            operation: view.id,
            addresses: view.change.addresses.as_slice().len(),
            caller: view.caller,
            at: view.started_at,
        };
        Ok(views.into_iter().map(spent).collect())
    }
}

fn views(connection: &Connection, sql: &str, values: Vec<Value>) -> Result<Vec<View>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut views = Vec::new();
    while let Some(row) = rows.next()? {
        views.push(view(row)?);
    }
    Ok(views)
}

fn view(row: &Row<'_>) -> Result<View, StoreError> {
    let operation: String = row.get(0)?;
    let strange = |what: &str| StoreError(format!("operation {operation} cannot be read: {what}"));
    let id = OperationId::parse(&operation).map_err(|error| strange(&error.to_string()))?;
    let (nic, action, intent): (String, String, String) = (row.get(3)?, row.get(4)?, row.get(6)?);
    let intent: OfAnIntent =
        serde_json::from_str(&intent).map_err(|error| strange(&error.to_string()))?;
    let change = change(&nic, &action, &intent).map_err(|what| strange(&what))?;
    let (label, outcome): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
    let ended: OfAnOutcome = outcome
        .map_or_else(|| Ok(OfAnOutcome::default()), |body| serde_json::from_str(&body))
        .map_err(|error| strange(&error.to_string()))?;
    let outcome = label.map_or(Some(Outcome::Pending), |label| Outcome::from_label(&label));
    let finished: Option<i64> = row.get(7)?;
    Ok(View {
        id,
        outcome: outcome.ok_or_else(|| strange("an outcome of no known name"))?,
        change,
        caller: row.get(2)?,
        policies: intent.policies,
        policy_version: intent.policy_version,
        before: intent.before,
        stale: intent.before_may_be_stale,
        zec: intent.zec,
        zec_time: intent.zec_time.map(moment),
        given_up: ended.given_up,
        request_id: row.get(5)?,
        zec_request_id: ended.zec_request_id,
        code: ended.code,
        status: ended.status,
        detail: ended.detail,
        told: ended.told,
        started_at: moment(row.get(1)?),
        finished_at: finished.map(moment),
    })
}

fn change(nic: &str, action: &str, intent: &OfAnIntent) -> Result<ChangeIpv4, String> {
    let change = [Change::Assign, Change::Unassign]
        .into_iter()
        .find(|change| Some(change.action()) == Action::from_name(action))
        .ok_or("an action that changes nothing")?;
    let texts = intent.ip_addresses.iter().map(String::as_str);
    Ok(ChangeIpv4 {
        change,
        nic: NicId::parse(nic).map_err(|error| error.to_string())?,
        addresses: Addresses::parse(texts, usize::MAX).map_err(|error| error.to_string())?,
    })
}
