//! Opens a journal for reading: while a gateway runs, in a read-only place, or from a copy.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

use super::{beside, expect_ours, header, stamp};
use crate::error::Fault;

/// How often both files are copied if they change meanwhile.
const COPIES: u32 = 3;

/// A journal that was opened for reading.
pub(super) struct OpenedJournal {
    pub(super) connection: Connection,
    /// The private copy and its path; the copy is deleted with this.
    pub(super) copy: Option<(TempDir, PathBuf)>,
    /// A warning for the reader of this journal.
    pub(super) note: Option<String>,
}

/// Opens the journal at `path`, whether a gateway has it open or not, and writes nothing. If its directory
/// cannot be written and `may_be_a_copy` is set, a private copy is read, which does not get later entries.
///
/// # Errors
/// When it cannot be read or is not a journal.
pub(super) fn open(path: &Path, may_be_a_copy: bool) -> Result<OpenedJournal, Fault> {
    let fault = |text: String| Fault::new(text).in_file(path);
    let cannot = |error: &dyn std::fmt::Display| fault(format!("cannot be read: {error}"));
    let real = fs::canonicalize(path).map_err(|error| cannot(&error))?;
    header::check(&real).map_err(fault)?;
    if !beside(&real, "-wal").exists() {
        return alone(&real, path);
    }
    let connection = Connection::open_with_flags(&real, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| cannot(&error))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(|error| cannot(&error))?;
    match stamp(&connection) {
        // The log needs an index next to it, and none can be created here.
        Err(error) if needs_room(&error) && !may_be_a_copy => Err(cannot(&error)),
        Err(error) if needs_room(&error) => private_copy(&real).map_err(|error| cannot(&error)),
        _ => Ok(OpenedJournal { connection, copy: None, note: None }),
    }
    .and_then(|opened| {
        expect_ours(&opened.connection).map_err(fault)?;
        Ok(opened)
    })
}

/// A file without a log next to it. No process has it open, and nothing needs to be created next to it.
fn alone(real: &Path, path: &Path) -> Result<OpenedJournal, Fault> {
    let fault = |text: String| Fault::new(text).in_file(path);
    let cannot = |error: &dyn std::fmt::Display| fault(format!("cannot be read: {error}"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let address = format!("file:{}?immutable=1", escaped(real)?);
    let connection = Connection::open_with_flags(address, flags).map_err(|error| cannot(&error))?;
    let lacks_log = header::wants_a_log(real).map_err(|error| cannot(&error))?;
    let missing = "there is no `-wal` file beside it, though the gateway had not closed it: the \
                   last writes are missing. Copy both files, or copy this one after the gateway \
                   has stopped";
    if stamp(&connection).is_ok_and(|stamp| stamp == (0, 0, 0)) {
        return Err(fault(format!("holds nothing without that file: {missing}")));
    }
    match expect_ours(&connection) {
        Err(why) if lacks_log => Err(fault(format!("{why}; {missing}"))),
        Err(why) => Err(fault(why)),
        Ok(()) => Ok(OpenedJournal {
            connection,
            copy: None,
            note: lacks_log.then(|| missing.to_owned()),
        }),
    }
}

fn needs_room(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

/// Copies the file and its log to a place where the index of the log can be created.
fn private_copy(real: &Path) -> Result<OpenedJournal, String> {
    let text = |error: io::Error| error.to_string();
    let folder = tempfile::tempdir()
        .map_err(|error| format!("a private copy cannot be created: {error}"))?;
    let copy = folder.path().join("journal.db");
    let log = beside(real, "-wal");
    for _ in 0..COPIES {
        let before = (look(real).map_err(text)?, look(&log).map_err(text)?);
        fs::copy(real, &copy)
            .map_err(|error| format!("a private copy cannot be created: {error}"))?;
        fs::copy(&log, beside(&copy, "-wal"))
            .map_err(|error| format!("a private copy cannot be created: {error}"))?;
        if before == (look(real).map_err(text)?, look(&log).map_err(text)?) {
            let connection = Connection::open_with_flags(
                &copy,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )
            .map_err(|error| error.to_string())?;
            let note = "its folder cannot be written, so a private copy of it and of its `-wal` file was read";
            return Ok(OpenedJournal {
                connection,
                copy: Some((folder, copy)),
                note: Some(note.to_owned()),
            });
        }
    }
    Err("a gateway writes it, and its folder cannot be written: read it as the gateway's user"
        .to_owned())
}

/// The properties of a file that change when its content does.
fn look(path: &Path) -> io::Result<(u64, u64, i64, i64)> {
    let found = fs::metadata(path)?;
    Ok((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

/// A path, escaped for a `file:` address.
fn escaped(path: &Path) -> Result<String, Fault> {
    let text = path.to_str().ok_or_else(|| {
        Fault::new("has a name that is not UTF-8: copy it elsewhere").in_file(path)
    })?;
    Ok(text.replace('%', "%25").replace('?', "%3f").replace('#', "%23"))
}
