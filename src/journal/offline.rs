//! Journals as files: for people, beside a running gateway or without one.

use std::path::{Path, PathBuf};

use super::{
    Settings,
    chain::{Broken, Entry, Hash, Head},
    record::{Filter, View},
    sqlite::{self, SqliteArchive},
    store::Archive,
};
use crate::{domain::OperationId, error::Fault};

/// A journal that is only read.
pub struct Offline {
    path: PathBuf,
    archive: SqliteArchive,
}

/// What somebody noted of a journal earlier: a chain that was cut since does not fit it.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The hash, or its first digits, at least 16, in lower case.
    pub head: Option<String>,
    /// How many entries there were.
    pub length: Option<i64>,
}

/// Looks whether a gateway could open the journal, without making or locking anything.
///
/// # Errors
/// When its directory is missing, or the file is no journal.
pub fn check(settings: &Settings) -> Result<(), Fault> {
    let path = &settings.path;
    if !settings.enabled {
        return Ok(());
    }
    if path.exists() {
        return sqlite::open_to_read(path).map(drop);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if parent.is_none_or(Path::is_dir) {
        Ok(())
    } else {
        Err(Fault::new("cannot be made: there is no such directory").in_file(path))
    }
}

impl Offline {
    /// Opens the journal at `path`, whether a gateway has it open or not.
    ///
    /// # Errors
    /// When it cannot be read or is no journal.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let archive = SqliteArchive::open(path, None)?;
        Ok(Self { path: path.to_owned(), archive })
    }

    /// Walks the whole chain, up to what is there now.
    ///
    /// # Errors
    /// The first link that does not hold, or what does not fit `expected`.
    pub fn verify(&self, expected: &Expected) -> Result<Result<Head, Broken>, Fault> {
        let mut head = Head::EMPTY;
        let mut broken = None;
        let mut seen = expected.head.is_none();
        let wanted = |hash: Hash| {
            expected.head.as_ref().is_some_and(|wanted| hash.to_string().starts_with(wanted))
        };
        self.entries(|entry| {
            if let Err(error) = sqlite::check_from(&mut head, &entry) {
                broken = Some(error);
                return false;
            }
            match expected.length {
                Some(length) if length == entry.seq && !seen => {
                    seen = wanted(entry.hash);
                    if !seen {
                        let what =
                            format!("its hash is {}, another than the one noted", entry.hash);
                        broken = Some(Broken { seq: entry.seq, what });
                        return false;
                    }
                }
                Some(_) => {}
                None => seen = seen || wanted(entry.hash),
            }
            true
        })?;
        let cut = |what: &str| Broken { seq: head.length + 1, what: what.to_owned() };
        if broken.is_none() && expected.length.is_some_and(|length| length > head.length) {
            broken = Some(cut("it is missing: the end was cut off since the length was noted"));
        }
        if broken.is_none() && !seen && expected.length != Some(0) {
            broken = Some(cut("no entry has the hash that was noted: the end was cut off since"));
        }
        Ok(broken.map_or(Ok(head), Err))
    }

    /// Each entry in its order, until `each` says no.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn entries(&self, each: impl FnMut(Entry) -> bool) -> Result<(), Fault> {
        self.archive.entries(each).map_err(|error| self.fault(&error))
    }

    /// Operations, newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<View>, Fault> {
        self.archive.list(filter).map_err(|error| self.fault(&error))
    }

    /// One operation.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, id: OperationId) -> Result<Option<View>, Fault> {
        self.archive.find(id).map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::new(error.to_string()).in_file(&self.path)
    }
}
