//! The directory of a policy, in which every file is accounted for. If somebody takes a file for a policy and it is not
//! loaded, a forbid may be missing.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{error::Fault, files};

/// The extension of policy files.
pub const ENDING: &str = "cedar";

/// Extensions that cannot belong to a policy: documents for people, and the schema for an editor.
const DOCUMENTS: [&str; 2] = ["md", SCHEMA];
/// Names before the extension that cannot belong to a policy. A `ConfigMap` may hold the freeze file beside the
/// policies.
const NAMES: [&str; 4] = ["README", "LICENSE", "CODEOWNERS", "FREEZE"];
/// The extension of schemas.
const SCHEMA: &str = "cedarschema";

/// A directory of policies after it has been read.
#[derive(Debug)]
pub struct Directory<'a> {
    /// The directory's path.
    pub path: &'a Path,
    /// Its `*.cedar` files, with their bytes or the error of reading them.
    pub files: Vec<(PathBuf, io::Result<Vec<u8>>)>,
    /// The other files in it, as [`files::Listing::others`].
    pub others: Vec<PathBuf>,
}

impl<'a> Directory<'a> {
    /// Reads a directory.
    pub(super) fn read(path: &'a Path) -> Result<Self, Fault> {
        let listing = files::list(path, ENDING).map_err(|error| unreadable(path, &error))?;
        let read = |path: PathBuf| {
            let bytes = files::read(&path);
            (path, bytes)
        };
        Ok(Self {
            path,
            files: listing.files.into_iter().map(read).collect(),
            others: listing.others,
        })
    }

    /// The faults and the warnings about files that are not loaded.
    pub(super) fn unloaded(&self) -> (Vec<Fault>, Vec<Fault>) {
        let (mut faults, mut warnings, mut strange) = (Vec::new(), Vec::new(), Vec::new());
        for path in &self.others {
            let say = |text: &str| Fault::new(text).in_file(path);
            if path.parent() != Some(self.path) {
                faults.push(say(
                    "a policy in a folder of its own is not loaded: move it into the directory itself, or out of it",
                ));
            } else if has_ending(path, &[ENDING]) && !files::is_hidden(path) {
                faults.push(say("is not loaded: write its ending in lower case, as `.cedar`"));
            } else if files::resembles(path, ENDING) && !has_ending(path, &[SCHEMA]) {
                warnings.push(say(
                    "is not loaded: only `*.cedar` files that are not hidden are loaded; rename it, or remove it",
                ));
            } else if !files::is_hidden(path) && !is_document(path) {
                strange.push(path);
            }
        }
        warnings.extend(self.strangers(&strange));
        (faults, warnings)
    }

    /// One warning for all files with unrelated names, because policies may lie beside other configuration.
    fn strangers(&self, paths: &[&PathBuf]) -> Option<Fault> {
        const SHOWN: usize = 5;
        let name = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default();
            format!("`{}`", name.to_string_lossy().escape_debug())
        };
        let mut names: Vec<_> = paths.iter().take(SHOWN).map(name).collect();
        if paths.len() > SHOWN {
            names.push(format!("{} more", paths.len() - SHOWN));
        }
        let text = format!(
            "not loaded, as the names do not end in `.cedar`: {}; if one is a policy, rename it",
            names.join(", ")
        );
        (!paths.is_empty()).then(|| Fault::new(text).in_file(self.path))
    }
}

fn is_document(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
    has_ending(path, &DOCUMENTS) || NAMES.contains(&stem.as_str())
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let own = path.extension().unwrap_or_default();
    endings.iter().any(|ending| own.eq_ignore_ascii_case(ending))
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(format!("cannot be read: {error}")).in_file(path)
}
