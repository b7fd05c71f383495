//! The directory of a policy, in which every file is accounted for: one that somebody takes for a
//! policy and that is not loaded is an open door, where it would have forbidden something.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{error::Fault, files};

/// How the names of policy files end.
pub const ENDING: &str = "cedar";

/// What is told by a name alone to be no policy: words for people, and the schema for an editor.
const DOCUMENTS: [&str; 2] = ["md", SCHEMA];
/// The same, before the ending. A `ConfigMap` may hold the freeze file beside the policies.
const NAMES: [&str; 4] = ["README", "LICENSE", "CODEOWNERS", "FREEZE"];
/// How the names of schemas end.
const SCHEMA: &str = "cedarschema";

/// A directory of policies that was read.
#[derive(Debug)]
pub struct Directory<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Its `*.cedar`, with their bytes or why they cannot be read.
    pub files: Vec<(PathBuf, io::Result<Vec<u8>>)>,
    /// What else lies there, as [`files::Listing::others`].
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

    /// What is to be said of the files that are not loaded: faults, and warnings.
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

    /// One warning for all that has quite another name: policies may lie beside a configuration.
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
