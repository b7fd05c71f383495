//! Journals as files, for people: read while a gateway runs, or without one.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    Settings,
    chain::{Broken, Entry, Head},
    record::{Filter, View},
    sqlite::SqliteStore,
    store::{Archive, Store, Unheard},
};
use crate::{domain::OperationId, error::Fault};

/// How long a read waits for another connection's transaction.
const BUSY: Duration = Duration::from_secs(5);

/// A journal that is only read.
pub struct Offline {
    store: Box<dyn Store>,
    archive: Box<dyn Archive>,
}

/// What someone noted of a journal earlier. A chain that was cut since then does not match it.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The hash, or at least its first 16 digits, in lower case.
    pub head: Option<String>,
    /// How many entries there were.
    pub length: Option<i64>,
}

/// Checks whether a gateway could open the journal, without creating or locking anything.
///
/// # Errors
/// When its directory is missing, or the file is not a journal.
pub fn check(settings: &Settings) -> Result<(), Fault> {
    let path = &settings.path;
    if !settings.enabled {
        return Ok(());
    }
    if path.exists() {
        return SqliteStore::new(path, BUSY).read().map(drop);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if parent.is_none_or(Path::is_dir) {
        Ok(())
    } else {
        Err(Fault::new("cannot be created: there is no such directory").in_file(path))
    }
}

impl Offline {
    /// Opens the journal at `path`, whether a gateway has it open or not.
    ///
    /// # Errors
    /// When it cannot be read or is not a journal.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        Self::read(Box::new(SqliteStore::new(path, BUSY)))
    }

    /// Opens the journal in that store.
    pub(super) fn read(store: Box<dyn Store>) -> Result<Self, Fault> {
        let archive = store.read()?;
        Ok(Self { store, archive })
    }

    /// A warning for the reader, for example that a part of the journal is missing.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.archive.note()
    }

    /// Walks the whole chain, up to its present end, and compares the table of operations with it.
    ///
    /// # Errors
    /// The first broken link, or what does not match `expected`.
    pub fn verify(&self, expected: &Expected) -> Result<Result<Head, Broken>, Fault> {
        let mut walk = Walk { expected, head: None, seen: expected.head.is_none(), broken: None };
        let start = self.entries(|start, entry| walk.step(start, &entry))?;
        let walked = walk.end(start);
        if walked.is_ok()
            && let Some(seq) = self.archive.misfiled().map_err(|error| self.fault(&error))?
        {
            let what =
                "the table of operations, from which lists are made, differs from the entries"
                    .to_owned();
            return Ok(Err(Broken { seq, what }));
        }
        Ok(walked)
    }

    /// Where the chain begins and since when, if older entries were deleted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn start(&self) -> Result<Option<(Head, SystemTime)>, Fault> {
        self.archive.start().map_err(|error| self.fault(&error))
    }

    /// Passes each entry in order to `each`, until `each` returns false. Each call also gets the beginning of
    /// the chain, because older entries may have been deleted. That beginning is returned too.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn entries(&self, mut each: impl FnMut(Head, Entry) -> bool) -> Result<Head, Fault> {
        self.archive.entries(&mut each).map_err(|error| self.fault(&error))
    }

    /// Operations, newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<View>, Fault> {
        let page = self.archive.list(filter, &Unheard::default());
        page.map(|page| page.views).map_err(|error| self.fault(&error))
    }

    /// One operation.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, id: OperationId) -> Result<Option<View>, Fault> {
        self.archive.find(id).map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> Fault {
        self.store.fault(error)
    }
}

/// A walk along the chain.
struct Walk<'a> {
    expected: &'a Expected,
    /// The head so far.
    head: Option<Head>,
    /// Whether the noted hash was found.
    seen: bool,
    broken: Option<Broken>,
}

impl Walk<'_> {
    /// Checks the next entry. Returns whether to continue.
    fn step(&mut self, start: Head, entry: &Entry) -> bool {
        let head = self.head.get_or_insert(start);
        if let Err(error) = entry.check(*head) {
            self.broken = Some(error);
            return false;
        }
        *head = entry.head();
        self.meet(entry.head());
        self.broken.is_none()
    }

    /// Compares a place of the chain with what was noted.
    fn meet(&mut self, head: Head) {
        let fits = |wanted: &String| head.hash.to_string().starts_with(wanted);
        let fits = self.expected.head.as_ref().is_some_and(fits);
        match self.expected.length {
            Some(length) if length == head.length && !self.seen => {
                self.seen = fits;
                if !fits {
                    let what = format!("its hash is {}, not the one that was noted", head.hash);
                    self.broken = Some(Broken { seq: head.length, what });
                }
            }
            Some(_) => {}
            None => self.seen = self.seen || fits,
        }
    }

    fn end(mut self, start: Head) -> Result<Head, Broken> {
        let broken = |seq, what: &str| Some(Broken { seq, what: what.to_owned() });
        let (head, length) = (self.head.unwrap_or(start), self.expected.length);
        if self.broken.is_none() && start != Head::EMPTY {
            let older = length.is_some_and(|length| (1..start.length).contains(&length));
            if older && self.expected.head.is_some() {
                let what = "the noted entry has expired and was deleted, so nothing can be \
                            compared with it: note the current head";
                self.broken = broken(start.length, what);
            } else {
                self.meet(start);
            }
        }
        if self.broken.is_none() && length.is_some_and(|length| length > head.length) {
            let what = "it is missing: the end was cut off since the length was noted";
            self.broken = broken(head.length + 1, what);
        }
        if self.broken.is_none() && !self.seen && length != Some(0) {
            let what = "no entry has the hash that was noted: either the end was cut off since, or \
                        the noted entry has expired and was deleted";
            self.broken = broken(head.length + 1, what);
        }
        self.broken.map_or(Ok(head), Err)
    }
}
