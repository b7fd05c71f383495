//! The keys of both files, ready to check requests.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use ipnet::IpNet;
use uuid::Uuid;

use super::{
    FILE_KEY, IssuedKeySettings, MASTER_KEY,
    file::KeyFile,
    master::{MasterFile, Password},
    text_of,
};
use crate::{domain::Caller, error::Fault, files::ReadFile, metrics::KeyCounts};

/// Whether a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// For more than two weeks.
    Valid,
    /// It ends within two weeks.
    Ending,
    /// It has ended.
    Ended,
}

/// A key in force.
#[derive(Debug)]
pub(super) struct IssuedKey {
    pub(super) ends: SystemTime,
    pub(super) from: Vec<IpNet>,
    pub(super) caller: Caller,
    pub(super) passwords: Vec<Password>,
    /// When the key was last used, in Unix seconds; 0 if never.
    used: Arc<AtomicU64>,
}

impl IssuedKey {
    pub(super) fn note_use(&self, now: SystemTime) {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.used.load(Ordering::Relaxed) < now {
            self.used.fetch_max(now, Ordering::Relaxed);
        }
    }
}

/// Every key in force.
#[derive(Debug)]
pub(super) struct Issued {
    file: KeyFile,
    master: MasterFile,
    keys: HashMap<String, IssuedKey>,
    /// Checks the signatures of keys that do not exist: random passwords.
    pub(super) nobodys: Vec<Password>,
}

/// What is in the files, each of them as it is or with its faults.
pub(super) struct FilesRead {
    file: Result<KeyFile, Vec<Fault>>,
    master: Result<MasterFile, Vec<Fault>>,
}

impl FilesRead {
    pub(super) fn read(settings: &IssuedKeySettings, read: ReadFile<'_>) -> Self {
        let one = |fault| vec![fault];
        let file = text_of(&settings.file, FILE_KEY, read);
        let master = text_of(&settings.master_file, MASTER_KEY, read);
        Self {
            file: file.map_err(one).and_then(|text| KeyFile::parse(&settings.file, text)),
            master: master
                .map_err(one)
                .and_then(|text| MasterFile::parse(&settings.master_file, &text)),
        }
    }
}

impl Issued {
    /// The keys of both files; `used` says when each was last used.
    ///
    /// # Errors
    /// Every fault of both files.
    pub(super) fn new(files: FilesRead, used: &dyn Fn(&str) -> u64) -> Result<Self, Vec<Fault>> {
        let used = |id: &str| Arc::new(AtomicU64::new(used(id)));
        match (files.file, files.master) {
            (Ok(file), Ok(master)) => Self::build(file, master, &used),
            (file, master) => {
                Err([file.err(), master.err()].into_iter().flatten().flatten().collect())
            }
        }
    }

    /// The keys of both files in place of these. A file with faults is replaced by what it held before, so that a faulty
    /// master secret does not keep a key from ending. The faults are returned as well.
    pub(super) fn replaced(&self, files: FilesRead) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let mut faults = Vec::new();
        let file = files.file.unwrap_or_else(|found| {
            faults.extend(found);
            self.file.clone()
        });
        let master = files.master.unwrap_or_else(|found| {
            faults.extend(found);
            self.master.clone()
        });
        let used = |id: &str| self.find(id).map(|key| Arc::clone(&key.used)).unwrap_or_default();
        Ok((Self::build(file, master, &used)?, faults))
    }

    fn build(
        file: KeyFile,
        master: MasterFile,
        used: &dyn Fn(&str) -> Arc<AtomicU64>,
    ) -> Result<Self, Vec<Fault>> {
        let mut keys = HashMap::new();
        for entry in file.entries() {
            // The file's reader has checked the names.
            let caller =
                entry.caller().map_err(|error| vec![Fault::new(error).in_file(file.path())])?;
            let (passwords, used) = (master.passwords(&entry.id), used(&entry.id));
            let (ends, from) = (entry.ends, entry.from.clone());
            let key = IssuedKey { ends, from, caller, passwords, used };
            keys.insert(entry.id.clone(), key);
        }
        // No id of a key has a `-`.
        let nobodys = master.passwords(&Uuid::new_v4().to_string());
        Ok(Self { file, master, keys, nobodys })
    }

    pub(super) fn find(&self, id: &str) -> Option<&IssuedKey> {
        self.keys.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// A warning for each caller whose last key ends soon.
    pub(super) fn ending_soon(&self, now: SystemTime) -> Vec<Fault> {
        self.file.ending_soon(now)
    }

    /// When each key was last used, in Unix seconds, by its id.
    pub(super) fn last_uses(&self) -> impl Iterator<Item = (String, u64)> {
        self.keys.iter().map(|(id, key)| (id.clone(), key.used.load(Ordering::Relaxed)))
    }

    /// How many keys there are, by whether they are good at that time.
    pub(super) fn counts(&self, now: SystemTime) -> KeyCounts {
        let mut counts = KeyCounts::default();
        for entry in self.file.entries() {
            match entry.state(now) {
                KeyState::Valid => counts.valid += 1,
                KeyState::Ending => counts.ending += 1,
                KeyState::Ended => counts.ended += 1,
            }
        }
        let last = self.file.last_of_each_caller().into_iter();
        let ends = last.map(|entry| entry.ends).filter(|ends| now < *ends);
        counts.next_end =
            ends.min().and_then(|ends| ends.duration_since(SystemTime::UNIX_EPOCH).ok());
        counts
    }
}
