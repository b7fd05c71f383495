//! When each key was last used: a small file that the gateway writes every minute, and `key list` reads. It is for people
//! alone; nothing is decided by it.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::files;

/// The year 10000, from which on a time has no text.
const LAST_MOMENT: Duration = Duration::from_secs(253_402_300_800);

/// When each key was last used, in Unix seconds, by the key's id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUses {
    used: BTreeMap<String, u64>,
}

impl FromIterator<(String, u64)> for LastUses {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(uses: I) -> Self {
        Self { used: uses.into_iter().filter(|(_, at)| *at > 0).collect() }
    }
}

impl LastUses {
    /// Reads the file; nothing is known if there is none.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match files::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| said(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(said(&error)),
        }
    }

    /// When a key was last used, if that is known.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<SystemTime> {
        let at = Duration::from_secs(self.used.get(id).copied()?);
        SystemTime::UNIX_EPOCH.checked_add(at).filter(|_| at < LAST_MOMENT)
    }

    /// The same in Unix seconds; 0 if that is not known.
    pub(super) fn seconds(&self, id: &str) -> u64 {
        let since = self.of(id).and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.unwrap_or_default().as_secs()
    }

    /// Writes the file in place of the one before.
    ///
    /// # Errors
    /// Why it cannot be written; the file before is then intact.
    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = serde_json::to_vec(self).map_err(|error| said(&error))?;
        files::replace(path, &text, |_| Ok(())).map_err(|error| said(&error))
    }
}
