//! Changes of the file of keys and of the master secret, by `zec-gateway key`.

use std::{
    cmp::Reverse,
    fmt::Write as _,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use ipnet::IpNet;

use super::{
    file::{KeyEntry, KeyFile},
    header::MAX_ID,
    hex::random,
};
use crate::{error::Fault, files};

/// The letters of new ids, without `i`, `l`, `o` and `1`, which look like others.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// The start of each new id, by which people know what it is.
const ID_PREFIX: &str = "zgk";

/// The random letters of a new id: 100 bits, so that nobody finds one by trying.
const ID_LETTERS: usize = 20;

/// How long to wait for another command that changes the same file: ten seconds.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

const _: () = assert!(ID_PREFIX.len() + ID_LETTERS <= MAX_ID);

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The caller's name.
    pub name: String,
    /// The caller's groups.
    pub groups: Vec<String>,
    /// When it ends.
    pub ends: SystemTime,
    /// The networks from which it may be used.
    pub from: Vec<IpNet>,
}

impl KeyFile {
    /// The text of the file with one more key at its end, and the new key's id.
    ///
    /// # Errors
    /// What is wrong with the new key.
    pub fn with_new(&self, key: &NewKey) -> Result<(String, String), Vec<Fault>> {
        let id = new_id().map_err(|fault| vec![fault])?;
        let NewKey { name, groups, ends, from } = key;
        // JSON's strings are strings of TOML too, and a name has no control characters.
        let quoted = |text: &String| serde_json::Value::String(text.clone()).to_string();
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        let mut text = self.text.clone();
        if !text.is_empty() {
            text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
        }
        let _ = write!(
            text,
            "[[key]]\nid = \"{id}\"\nname = {}\ngroups = {}\nends = {}\n",
            quoted(name),
            list(groups.iter().map(quoted).collect()),
            humantime::format_rfc3339_seconds(*ends),
        );
        if !from.is_empty() {
            let from = from.iter().map(|network| format!("\"{network}\"")).collect();
            let _ = writeln!(text, "from = {}", list(from));
        }
        // The gateway will read it with the same code.
        Self::parse(self.path(), text.clone()).map(|_| (text, id))
    }

    /// The text of the file in which these keys end at that time. All else is as it was.
    #[must_use]
    pub fn with_end(&self, keys: &[KeyEntry], at: SystemTime) -> String {
        let mut places: Vec<_> = keys.iter().map(|key| key.ends_at.clone()).collect();
        // From the last to the first, because each change moves what is behind it.
        places.sort_by_key(|place| Reverse(place.start));
        let (mut text, at) = (self.text.clone(), humantime::format_rfc3339_seconds(at).to_string());
        for place in places {
            text.replace_range(place, &at);
        }
        text
    }
}

/// An id that no key has.
fn new_id() -> Result<String, Fault> {
    let random = random::<ID_LETTERS>()?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).map(|letter| char::from(*letter));
    Ok(ID_PREFIX.chars().chain(random.iter().filter_map(letter)).collect())
}

/// Puts a new text in the place of a file, which is whole at every moment. `change` gets the text before, and nobody else
/// changes the file meanwhile. Owner and permissions stay; a new file has `mode`.
///
/// # Errors
/// What `change` says, or why the file cannot be written; the file before is then intact.
pub fn replace_file<T>(
    path: &Path,
    mode: u32,
    change: impl FnOnce(Option<String>) -> Result<(String, T), Vec<Fault>>,
) -> Result<T, Vec<Fault>> {
    let fault = |what: &str, error: &dyn std::fmt::Display| {
        vec![Fault::new(format!("cannot be {what}: {error}")).in_file(path)]
    };
    let target = followed(path).map_err(|error| fault("followed", &error))?;
    let _lock = lock(&target, LOCK_ATTEMPTS).map_err(|error| fault("locked", &error))?;
    let before = match files::read_text(&target) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(fault("read", &error)),
    };
    let (text, result) = change(before)?;
    let prepare = |file: &File| like_before(&target, file, mode);
    files::replace(&target, text.as_bytes(), prepare).map_err(|error| fault("written", &error))?;
    Ok(result)
}

/// The file that a path leads to, so that a link leads to the new text as well.
fn followed(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            Ok(path.to_owned())
        }
        followed => followed,
    }
}

/// Locks a file against other changes, by a file beside it that only its owner can open: the file itself is replaced, so
/// a lock on it would not outlive the first change. Gives up after so many attempts.
pub(super) fn lock(path: &Path, attempts: u32) -> io::Result<File> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.lock"));
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside)?;
    for _ in 0..attempts {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(file),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "another command is changing it: try again"))
}

/// Gives a new file the owner and the permissions of the one before.
fn like_before(path: &Path, file: &File, mode: u32) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(before) => {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
                fchown(file, Some(before.uid()), Some(before.gid()))?;
            }
            file.set_permissions(before.permissions())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            file.set_permissions(Permissions::from_mode(mode))
        }
        Err(error) => Err(error),
    }
}
