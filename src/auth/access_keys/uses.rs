//! When each key was last used: a small file that the gateway writes every minute, and `key list` reads. It is for people
//! alone; nothing is decided by it.

use std::{collections::BTreeMap, io, io::Write, path::Path};

use serde::{Deserialize, Serialize};

use crate::files;

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

    /// When a key was last used, in Unix seconds; 0 if that is not known.
    #[must_use]
    pub fn of(&self, id: &str) -> u64 {
        self.used.get(id).copied().unwrap_or_default()
    }

    /// Writes the file in place of the one before.
    ///
    /// # Errors
    /// Why it cannot be written; the file before is then intact.
    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        let write = || {
            let directory = path.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            serde_json::to_writer(&mut file, self)?;
            file.flush()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|error: io::Error| format!("{}: {error}", path.display()))
    }
}
