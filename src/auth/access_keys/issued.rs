//! The keys of both files, ready to check requests.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use aws_lc_rs::hmac;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    AccessKeySettings,
    file::{KeyEntry, KeyFile, ending_soon},
    master::{MasterFile, Password},
    text_of,
    uses::LastUses,
};
use crate::{domain::Caller, error::Fault, files::ReadFile};

/// How many bodies are read at once for a key whose signature is not checked yet, and as many for all ids that no key
/// has. Terraform asks for fifty pages at once. A caller may have no more requests in flight by default.
const MAX_UNVERIFIED: usize = 64;

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

/// What the signature of a key is checked with.
#[derive(Debug)]
pub(super) struct Verifier {
    passwords: Vec<Password>,
    /// A place for each body that is read before its signature is checked.
    pub(super) places: Arc<Semaphore>,
}

impl Verifier {
    /// Checks with this password alone.
    #[cfg(test)]
    pub(super) fn of_password(password: &str) -> Self {
        let passwords = vec![Password::new(&password.into(), None)];
        Self { passwords, places: Arc::new(Semaphore::new(1)) }
    }

    /// The passwords that are taken at that time.
    pub(super) fn passwords(&self, now: SystemTime) -> impl Iterator<Item = &hmac::Key> {
        self.passwords.iter().filter_map(move |password| password.at(now))
    }
}

/// A key in force.
#[derive(Debug)]
pub(super) struct IssuedKey {
    pub(super) entry: KeyEntry,
    pub(super) caller: Caller,
    pub(super) verifier: Arc<Verifier>,
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
    keys: HashMap<String, Arc<IssuedKey>>,
    /// Checks signatures of keys that do not exist, with passwords that nobody knows.
    pub(super) unknown: Arc<Verifier>,
    path: PathBuf,
}

impl Issued {
    /// # Errors
    /// Every fault of both files.
    pub(super) fn load(
        settings: &AccessKeySettings,
        read: ReadFile<'_>,
        uses: &LastUses,
    ) -> Result<Self, Vec<Fault>> {
        let used = |id: &str| Arc::new(AtomicU64::new(uses.of(id)));
        Self::build(settings, read, None, &used)
    }

    /// As [`Self::load`]; what is known of a key that is there still is kept.
    pub(super) fn reload(
        settings: &AccessKeySettings,
        read: ReadFile<'_>,
        before: &Self,
    ) -> Result<Self, Vec<Fault>> {
        let used = |id: &str| before.find(id).map(|key| Arc::clone(&key.used)).unwrap_or_default();
        Self::build(settings, read, Some(before), &used)
    }

    fn build(
        settings: &AccessKeySettings,
        read: ReadFile<'_>,
        before: Option<&Self>,
        used: &dyn Fn(&str) -> Arc<AtomicU64>,
    ) -> Result<Self, Vec<Fault>> {
        let file = text_of(&settings.file, "auth.access_keys.file", read)
            .map_err(|fault| vec![fault])
            .and_then(|text| KeyFile::parse(&settings.file, text));
        let master = text_of(&settings.master_file, "auth.access_keys.master_file", read)
            .map_err(|fault| vec![fault])
            .and_then(|text| MasterFile::parse(&settings.master_file, &text));
        let (file, master) = match (file, master) {
            (Ok(file), Ok(master)) => (file, master),
            (file, master) => {
                return Err([file.err(), master.err()].into_iter().flatten().flatten().collect());
            }
        };
        let path = file.path().to_owned();
        let verifier = |id: &str, places: Option<&Arc<Verifier>>| {
            let places = places.map(|before| Arc::clone(&before.places));
            let places = places.unwrap_or_else(|| Arc::new(Semaphore::new(MAX_UNVERIFIED)));
            Arc::new(Verifier { passwords: master.passwords(id), places })
        };
        let mut keys = HashMap::new();
        for entry in file.into_entries() {
            // The file's reader has checked the names.
            let caller = entry.caller().map_err(|error| vec![Fault::new(error).in_file(&path)])?;
            let known = before.and_then(|before| before.find(&entry.id));
            let verifier = verifier(&entry.id, known.map(|key| &key.verifier));
            let used = used(&entry.id);
            keys.insert(entry.id.clone(), Arc::new(IssuedKey { entry, caller, verifier, used }));
        }
        // No id of a key has a `-`.
        let nobody = Uuid::new_v4().to_string();
        let unknown = verifier(&nobody, before.map(|before| &before.unknown));
        Ok(Self { keys, unknown, path })
    }

    pub(super) fn find(&self, id: &str) -> Option<&Arc<IssuedKey>> {
        self.keys.get(id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<IssuedKey>> {
        self.keys.values()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// A warning for each caller whose last key ends soon.
    pub(super) fn ending_soon(&self, now: SystemTime) -> Vec<Fault> {
        ending_soon(&self.path, self.all().map(|key| &key.entry), now)
    }

    /// When each key was last used.
    pub(super) fn last_uses(&self) -> LastUses {
        self.all().map(|key| (key.entry.id.clone(), key.used.load(Ordering::Relaxed))).collect()
    }
}
