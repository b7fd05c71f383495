//! Reads the header of an SQLite file, so that a file that is not a journal of this version is refused before anything
//! opens it.
//!
//! SQLite itself cannot look without writing: when it closes a file, it moves the log into it.

use std::{
    io::{self, ErrorKind, Read},
    path::Path,
};

use super::{APPLICATION_ID, not_ours, other_version};
use crate::files;

/// The length of the header, and the places of its fields (SQLite file format, section 1.3).
const LENGTH: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Says how the file is written, and the value for a file with a log.
const WRITE_VERSION: usize = 18;
const WITH_A_LOG: u8 = 2;
const SCHEMA_COOKIE: usize = 40;
const USER_VERSION: usize = 60;
const THE_APPLICATION_ID: usize = 68;

/// Checks the header of the file at `path`, without writing anything. A missing file is fine, and so is one that has no
/// table yet: then only its log may show what it is.
///
/// # Errors
/// When it is not a journal, or one of another version.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let header = match read(path) {
        Ok(header) => header,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if header.is_empty() {
        return Ok(());
    }
    if header.len() < LENGTH || !header.starts_with(MAGIC) {
        return Err(not_ours());
    }
    let field = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        i32::from_be_bytes(bytes.unwrap_or_default())
    };
    match (field(THE_APPLICATION_ID), field(USER_VERSION), field(SCHEMA_COOKIE)) {
        (APPLICATION_ID, version, _) => other_version(version).map_or(Ok(()), Err),
        (0, _, 0) => Ok(()),
        _ => Err(not_ours()),
    }
}

/// Whether the file's header says that it has a log. A gateway that stops properly clears that.
pub(super) fn wants_a_log(path: &Path) -> io::Result<bool> {
    Ok(read(path)?.get(WRITE_VERSION) == Some(&WITH_A_LOG))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(LENGTH);
    files::open(path)?.take(LENGTH as u64).read_to_end(&mut header)?;
    Ok(header)
}
