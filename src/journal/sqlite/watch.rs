//! Notices when the journal's files are deleted or replaced.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::beside;
use crate::journal::store::{Space, StoreError};

/// Detects whether the file at a path is still the one that was opened. SQLite itself would go on writing
/// into a file that has no name any more (docs/threats.md, row 19).
#[derive(Clone, Debug)]
pub(in crate::journal) struct FileWatch {
    file: PathBuf,
    log: PathBuf,
    file_is: FileIdentity,
    log_is: Option<FileIdentity>,
}

/// A file's device and inode number.
type FileIdentity = (u64, u64);

fn identity(path: &Path) -> io::Result<(FileIdentity, bool)> {
    let found = fs::metadata(path)?;
    Ok(((found.dev(), found.ino()), found.permissions().readonly()))
}

impl FileWatch {
    /// Remembers the file that has just been opened.
    pub(in crate::journal) fn new(file: &Path) -> io::Result<Self> {
        let log = beside(file, "-wal");
        let (file_is, _) = identity(file)?;
        let mut watch = Self { file: file.to_owned(), log, file_is, log_is: None };
        watch.settle();
        Ok(watch)
    }

    /// Remembers the write-ahead log, once there is one.
    pub(super) fn settle(&mut self) {
        if self.log_is.is_none() {
            self.log_is = identity(&self.log).ok().map(|(identity, _)| identity);
        }
    }

    /// The size of both files, and the free space of their disk.
    pub(super) fn space(&self) -> io::Result<Space> {
        let disk = rustix::fs::statvfs(&self.file)?;
        let log = fs::metadata(&self.log).map_or(0, |found| found.len());
        let bytes = fs::metadata(&self.file)?.len().saturating_add(log);
        Ok(Space { log, bytes, free: disk.f_bavail.saturating_mul(disk.f_frsize) })
    }

    /// Checks both files.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        expect(&self.file, self.file_is)?;
        self.log_is.map_or(Ok(()), |log| expect(&self.log, log))
    }
}

fn expect(path: &Path, opened: FileIdentity) -> Result<(), StoreError> {
    let fault = |what: &str| Err(StoreError(format!("{} {what}", path.display())));
    match identity(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fault("is gone"),
        Err(error) => fault(&format!("cannot be checked: {error}")),
        Ok((found, _)) if found != opened => fault("is another file than the one that was opened"),
        Ok((_, true)) => fault("is read-only"),
        Ok(_) => Ok(()),
    }
}
