//! The journal in an SQLite file. `ledger` appends, `archive` reads, and `index` finds operations. `lock`
//! keeps other gateways out. `watch` notices if the file is no longer the one that was opened.

mod answers;
mod archive;
mod header;
mod index;
mod ledger;
mod list;
mod lock;
mod reading;
mod retention;
mod watch;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

pub(super) use ledger::SqliteLedger;
use lock::Lock;
use reading::OpenedJournal;
#[cfg(test)]
pub(super) use {archive::SqliteArchive, watch::FileWatch};
#[cfg(not(test))]
use {archive::SqliteArchive, watch::FileWatch};

use super::{
    chain::{Entry, Hash, Head},
    record::moment,
    store::{Archive, KeyTerms, Ledger, Opened, Store, StoreError},
};
use crate::error::Fault;

/// `ZECJ`: marks the file as a journal of zec-gateway.
const APPLICATION_ID: i32 = 0x5A45_434A;

/// The version of the schema.
const VERSION: i32 = 4;

/// The size in bytes to which the log is cut after it went into the file: as much as a checkpoint lets it
/// grow.
const LOG_BYTES: i64 = 16 * 1024 * 1024;

const SCHEMA: &str = include_str!("schema.sql");

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// A file with a journal, or the place for one.
#[derive(Clone, Debug)]
pub(super) struct SqliteStore {
    path: PathBuf,
    /// How long SQLite waits for another connection's transaction.
    busy: Duration,
}

impl SqliteStore {
    pub(super) fn new(path: &Path, busy: Duration) -> Self {
        Self { path: real(path), busy }
    }

    /// The ledger alone; see [`Store::open`].
    pub(super) fn ledger(&self, keys: KeyTerms) -> Result<SqliteLedger, Fault> {
        header::check(&self.path).map_err(|error| self.fault(&error))?;
        let lock = Lock::take(&self.path)?;
        SqliteLedger::open(&self.path, self.busy, keys, lock)
    }

    /// The archives of a ledger that is open.
    pub(super) fn opened(&self, ledger: Box<dyn Ledger>) -> Result<Opened, Fault> {
        let watch = FileWatch::new(&self.path).map_err(|error| self.fault(&error))?;
        let archive = SqliteArchive::open(&self.path, Some(watch.clone()))?;
        let keyed = SqliteArchive::open(&self.path, Some(watch))?;
        Ok(Opened { ledger, archive: Arc::new(archive), keyed: Arc::new(keyed) })
    }
}

impl Store for SqliteStore {
    fn open(&self, keys: KeyTerms) -> Result<Opened, Fault> {
        self.opened(Box::new(self.ledger(keys)?))
    }

    fn read(&self) -> Result<Box<dyn Archive>, Fault> {
        Ok(Box::new(SqliteArchive::open(&self.path, None)?))
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::new(error.to_string()).in_file(&self.path)
    }
}

/// The path without symbolic links, so that one file has one lock, however it is named.
fn real(path: &Path) -> PathBuf {
    let beside = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(beside).unwrap_or_else(|| path.to_owned())
}

/// Opens or creates the file for writing. Returns its real path and a connection. The lock must be held.
pub(super) fn open(path: &Path, busy: Duration) -> Result<(PathBuf, Connection), Fault> {
    let fault = |text: String| Fault::new(text).in_file(path);
    make(path).map_err(|error| fault(format!("cannot be created: {error}")))?;
    // SQLite follows links before it puts its own files next to the journal, so the watch must do the same.
    let real = fs::canonicalize(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let cannot = |error: rusqlite::Error| fault(format!("cannot be opened: {error}"));
    let mut connection = Connection::open_with_flags(&real, flags).map_err(cannot)?;
    connection.busy_timeout(busy).map_err(cannot)?;
    // Until the file is known to be a journal of this version, closing it must not move a log into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(cannot)?;
    let fresh = stamp(&connection).is_ok_and(|stamp| stamp == (0, 0, 0));
    if !fresh {
        expect_ours(&connection).map_err(fault)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(cannot)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(cannot)?;
    // Each commit waits until it is durable on the disk.
    connection.pragma_update(None, "synchronous", "FULL").map_err(cannot)?;
    // The log may grow to 16 MiB before it goes into the file. Entries share pages, and each page is then
    // copied once for many of them.
    connection.pragma_update(None, "wal_autocheckpoint", 4096).map_err(cannot)?;
    // If a reader kept it from going into the file for a while, it is cut to that size again.
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES).map_err(cannot)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(cannot)?;
    if fresh {
        let transaction = connection.transaction().map_err(cannot)?;
        transaction.execute_batch(SCHEMA).map_err(cannot)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(cannot)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(cannot)?;
        transaction.commit().map_err(cannot)?;
    }
    Ok((real, connection))
}

/// The file next to `path` with this ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Creates the file, readable and writable for its owner only, unless it exists.
fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(file) => {
            file.sync_all()?;
            // Its name must survive a crash too.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        }
    }
}

/// The application id, the version, and the number of tables and other objects.
fn stamp(connection: &Connection) -> rusqlite::Result<(i32, i32, i64)> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    let things =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((number("application_id")?, number("user_version")?, things))
}

fn expect_ours(connection: &Connection) -> Result<(), String> {
    match stamp(connection) {
        Err(error) => Err(format!("is not a journal: {error}")),
        Ok((APPLICATION_ID, version, _)) => other_version(version).map_or(Ok(()), Err),
        Ok(_) => Err(not_ours()),
    }
}

/// The error for a journal of this version; `None` if the gateway knows the version.
fn other_version(version: i32) -> Option<String> {
    (version != VERSION).then(|| {
        format!(
            "is a journal of version {version}, and this gateway knows version {VERSION}: run the gateway that \
             wrote it until no write is pending or unknown, then name another file in `journal.path` \
             (docs/operating.md, \"Releasing a new version\")"
        )
    })
}

fn not_ours() -> String {
    "is not a journal of zec-gateway: name another file".to_owned()
}

/// The columns of an entry, in the order in which [`entry`] reads them.
const COLUMNS: &str = "seq, content, previous, hash";

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: row.get(0)?,
        content: row.get(1)?,
        previous: Hash(row.get(2)?),
        hash: Hash(row.get(3)?),
    })
}

/// Where the remaining chain begins.
fn stored_start(connection: &Connection) -> rusqlite::Result<Head> {
    stored_drop(connection).map(|dropped| dropped.map_or(Head::EMPTY, |(head, _)| head))
}

/// Where the chain of the deleted entries ended, and when they were deleted.
fn stored_drop(connection: &Connection) -> rusqlite::Result<Option<(Head, SystemTime)>> {
    let sql = "SELECT seq, hash, at FROM dropped ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let read = |row: &rusqlite::Row<'_>| Ok((head(row)?, moment(row.get(2)?)));
    rows.next()?.map(read).transpose()
}

/// The end of the stored chain.
fn stored_head(connection: &Connection) -> rusqlite::Result<Head> {
    let sql = "SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let last = rows.next()?.map(head).transpose()?;
    last.map_or_else(|| stored_start(connection), Ok)
}

fn head(row: &rusqlite::Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head { length: row.get(0)?, hash: Hash(row.get(1)?) })
}
