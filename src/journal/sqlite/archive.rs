//! Reads an SQLite journal over connections of its own.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::SystemTime,
};

use rusqlite::{Connection, OptionalExtension, params, types::Value};
use tempfile::TempDir;

use super::{
    COLUMNS, FileWatch, OpenedJournal, entry, index, list, reading, stored_drop, stored_start,
};
use crate::{
    domain::OperationId,
    error::Fault,
    journal::{
        chain::{Entry, Head},
        content,
        reads::MAX_READS,
        record::{Filter, HeldKey, Holder, Page, View, millis},
        store::{Archive, StoreError, Unheard},
    },
    mutex::lock,
};

/// How many connections are kept for later reads: as many as may read at once.
const KEPT: usize = MAX_READS;

/// How many entries are read at once when all are read: a few megabytes.
const STEP: i64 = 1000;

/// After this many steps of its virtual machine, some microseconds, SQLite asks whether to continue.
const STEPS: i32 = 1000;

/// The intent of an operation `p` and, if it has more entries, the last of them.
const VIEW: &str = "SELECT i.content, o.content FROM operations p JOIN entries i ON i.seq = p.seq LEFT JOIN entries o ON o.seq = p.last AND p.last > p.seq WHERE";

/// Connections that can only read.
pub(in crate::journal) struct SqliteArchive {
    path: PathBuf,
    /// The directory of a private copy that is read instead of the file.
    _copy: Option<TempDir>,
    /// A warning for the reader of this journal.
    note: Option<String>,
    /// `None` if the file may be replaced by another one.
    watch: Option<FileWatch>,
    kept: Mutex<Vec<Connection>>,
}

impl SqliteArchive {
    /// Opens an archive of the file at `path`; with a watch, only of exactly that file.
    pub(in crate::journal) fn open(path: &Path, watch: Option<FileWatch>) -> Result<Self, Fault> {
        let OpenedJournal { connection, copy, note } = reading::open(path, watch.is_none())?;
        let (copy, path) = match copy {
            Some((folder, path)) => (Some(folder), path),
            None => (None, path.to_owned()),
        };
        let kept = Mutex::new(vec![connection]);
        Ok(Self { path, _copy: copy, note, watch, kept })
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with_interrupt(None, read)
    }

    /// Reads with a connection. Stops with an error if its caller stops waiting.
    pub(in crate::journal) fn with_interrupt<T>(
        &self,
        unheard: Option<&Unheard>,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let kept = || lock(&self.kept);
        self.watch.as_ref().map_or(Ok(()), FileWatch::check)?;
        let at_hand = kept().pop();
        let mut connection = if let Some(connection) = at_hand {
            connection
        } else {
            // A private copy is made only when the archive is opened: a gateway that serves must see new
            // entries.
            let opened = reading::open(&self.path, false);
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
}

/// The entries after `last`, at most [`STEP`] of them, and where the chain begins, both at one moment.
fn step(connection: &Connection, last: i64) -> Result<(Head, Vec<Entry>), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    Ok((stored_start(&transaction)?, behind(&transaction, last)?))
}

fn behind(connection: &Connection, last: i64) -> rusqlite::Result<Vec<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([last, STEP], entry)?;
    found.collect()
}

impl Archive for SqliteArchive {
    fn find(&self, id: OperationId) -> Result<Option<View>, StoreError> {
        let sql = format!("{VIEW} p.id = ?1");
        let found = self.with(|connection| views(connection, &sql, vec![id.to_string().into()]))?;
        Ok(found.into_iter().next())
    }

    fn list(&self, filter: &Filter, unheard: &Unheard) -> Result<Page, StoreError> {
        let (found, values) = list::query(filter);
        let sql = format!("{VIEW} p.seq IN ({found}) ORDER BY p.seq DESC");
        self.with_interrupt(Some(unheard), |connection| {
            // Both queries are of one moment.
            let transaction = connection.unchecked_transaction()?;
            let views = views(&transaction, &sql, values)?;
            let searched_to = match list::end_of_reach(filter) {
                Some(end) => last_searched(&transaction, end)?,
                None => None,
            };
            Ok(Page { views, searched_to })
        })
    }

    fn unfinished(&self) -> Result<Vec<View>, StoreError> {
        let sql =
            format!("{VIEW} p.outcome IN ('pending', 'unknown') AND NOT p.given_up ORDER BY p.seq");
        self.with(|connection| views(connection, &sql, Vec::new()))
    }

    fn by_key(
        &self,
        caller: &str,
        key: &str,
        expired: SystemTime,
    ) -> Result<Option<HeldKey>, StoreError> {
        self.with(|connection| {
            let sql = "SELECT fingerprint, operation, answer FROM idempotency_keys WHERE caller = ?1 AND key = ?2 AND at > ?3";
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query(params![caller, key, millis(expired)])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let fingerprint = row.get(0)?;
            if let Some(answer) = row.get(2)? {
                return Ok(Some(HeldKey { fingerprint, by: Holder::Answer(answer) }));
            }
            let operation: Option<String> = row.get(1)?;
            let sql = format!("{VIEW} p.id = ?1");
            let found = views(connection, &sql, vec![operation.into()])?.into_iter().next();
            let held = |view| HeldKey { fingerprint, by: Holder::Operation(Box::new(view)) };
            Ok(found.map(held))
        })
    }

    fn writes_since(&self, actions: &[String], since: SystemTime) -> Result<Vec<View>, StoreError> {
        let places = vec!["?"; actions.len()].join(", ");
        let sql = format!(
            "{VIEW} p.action IN ({places}) AND p.at >= ? AND p.outcome IN ('done', 'unknown', 'pending') ORDER BY p.seq"
        );
        let actions = actions.iter().map(|action| action.clone().into());
        let values = actions.chain([millis(since).into()]).collect();
        self.with(|connection| views(connection, &sql, values))
    }

    fn start(&self) -> Result<Option<(Head, SystemTime)>, StoreError> {
        self.with(|connection| Ok(stored_drop(connection)?))
    }

    /// Reads in steps, and no step is open while `each` runs. Otherwise a slow reader, such as a pipe that is
    /// not read, would keep SQLite from ever moving its log into its file.
    fn entries(&self, each: &mut dyn FnMut(Head, Entry) -> bool) -> Result<Head, StoreError> {
        let mut begun: Option<Head> = None;
        let mut last = 0;
        loop {
            let (start, step) = self.with(|connection| step(connection, last))?;
            let begins = *begun.get_or_insert(start);
            if last > 0 && start.length > last {
                return Err(StoreError(
                    "entries that were still to be read were deleted meanwhile: begin again"
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

    fn misfiled(&self) -> Result<Option<i64>, StoreError> {
        self.with(|connection| {
            // One transaction for all of it, because the gateway may go on writing.
            let transaction = connection.unchecked_transaction()?;
            let (mut check, mut last) = (index::IndexCheck::default(), 0);
            loop {
                let step = behind(&transaction, last)?;
                let Some(newest) = step.last().map(|entry| entry.seq) else { break };
                if let Some(seq) = check.step(&transaction, &step)? {
                    return Ok(Some(seq));
                }
                last = newest;
            }
            check.end(&transaction, last)
        })
    }

    fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn close_idle(&self) {
        lock(&self.kept).clear();
    }
}

fn last_searched(
    connection: &Connection,
    (sql, values): (String, Vec<Value>),
) -> Result<Option<OperationId>, StoreError> {
    let values = rusqlite::params_from_iter(values);
    let id: Option<String> = connection.query_row(&sql, values, |row| row.get(0)).optional()?;
    id.map(|id| OperationId::parse(&id)).transpose().map_err(|error| StoreError(error.to_string()))
}

fn views(connection: &Connection, sql: &str, values: Vec<Value>) -> Result<Vec<View>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut views = Vec::new();
    while let Some(row) = rows.next()? {
        let (intent, last): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        views.push(content::view(&intent, last.as_deref())?);
    }
    Ok(views)
}
