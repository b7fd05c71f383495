//! The access key: how it is loaded, replaced, and kept out of logs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::{constant_time, digest, hmac};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::Settings;
use crate::{
    error::Fault,
    files::{self, ReadFile},
};

/// The variables that hold the access key if no file is configured.
const ID_VARIABLE: &str = "ZEC_ACCESS_KEY_ID";
const PASSWORD_VARIABLE: &str = "ZEC_ACCESS_KEY_PASSWORD";

/// The team's access key, ready to sign with. Anyone who holds it can do everything. So only signing reads
/// the password, and `Debug` shows neither half.
pub struct AccessKey {
    id: String,
    key: hmac::Key,
    /// The digest that [`Self::identity`] returns, computed once.
    identity: OnceLock<Arc<str>>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(redacted)")
    }
}

impl AccessKey {
    /// A key from its two halves, as ZEC's console shows them.
    ///
    /// # Errors
    /// When a half is empty, or the id cannot be part of a header.
    pub fn new(id: String, password: &SecretString) -> Result<Self, Fault> {
        let in_header = |byte: u8| byte.is_ascii_graphic() && byte != b',' && byte != b';';
        if id.is_empty() || !id.bytes().all(in_header) {
            return Err(Fault::new(
                "the access key id is empty or holds characters that no id has: copy it again from ZEC's console",
            ));
        }
        if password.expose_secret().is_empty() {
            return Err(Fault::new(
                "the access key password is empty: copy it again from ZEC's console",
            ));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, password.expose_secret().as_bytes());
        Ok(Self { id, key, identity: OnceLock::new() })
    }

    /// Reads the key from the configured files, or from the environment if none are configured.
    ///
    /// # Errors
    /// All faults together: a file that cannot be read, a variable that is not set, an empty half.
    pub fn load(settings: &Settings) -> Result<Self, Vec<Fault>> {
        Self::load_with(settings, &files::read)
    }

    /// As [`Self::load`], with files read by `read`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(settings: &Settings, read: ReadFile<'_>) -> Result<Self, Vec<Fault>> {
        let (id, password) = (&settings.access_key_id_file, &settings.access_key_password_file);
        let id = half(id.as_deref(), "access_key_id_file", ID_VARIABLE, read);
        let password =
            half(password.as_deref(), "access_key_password_file", PASSWORD_VARIABLE, read);
        match (id, password) {
            (Ok(id), Ok(password)) => Self::new(id.expose_secret().to_owned(), &password)
                .map_err(|fault| vec![fault.at_key("zec")]),
            (id, password) => Err([id.err(), password.err()].into_iter().flatten().collect()),
        }
    }

    /// The public half.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A digest of this key's id and that host: the first half of a SHA-256, in hexadecimal digits. It
    /// changes only if one of them does, and it reveals neither.
    pub(super) fn identity(&self, host: &str) -> Arc<str> {
        let digest = || {
            let whole = digest::digest(&digest::SHA256, format!("{host}\n{}", self.id).as_bytes());
            let half = whole.as_ref().iter().take(16);
            let digits = half.flat_map(|byte| [byte >> 4, byte & 15]);
            digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect::<String>().into()
        };
        Arc::clone(self.identity.get_or_init(digest))
    }

    pub(super) fn hmac_key(&self) -> &hmac::Key {
        &self.key
    }

    /// Whether both halves are the same.
    fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.has_password_of(other)
    }

    fn has_password_of(&self, other: &Self) -> bool {
        // Compares what the keys sign, because keys themselves cannot be compared.
        let [ours, theirs] = [self, other].map(|one| hmac::sign(&one.key, b"the same"));
        constant_time::verify_slices_are_equal(ours.as_ref(), theirs.as_ref()).is_ok()
    }

    /// Whether one half is of one key and the other half of the other key. That is what the files hold while
    /// someone replaces one after the other.
    fn is_mixed(&self, before: &Self, after: &Self) -> bool {
        (self.id == after.id && self.has_password_of(before))
            || (self.id == before.id && self.has_password_of(after))
    }
}

/// The access key in use, which can be replaced, and the previous one. Clones share them.
#[derive(Clone, Debug)]
pub struct AccessKeys(Arc<ArcSwap<Overlap>>);

/// Two keys that ZEC may both accept for a while. People create one at ZEC and delete the other there, and
/// neither happens at the moment when the files change here.
#[derive(Debug)]
pub(super) struct Overlap {
    pub(super) current: Arc<AccessKey>,
    pub(super) previous: Option<Arc<AccessKey>>,
    /// Until when the previous key is kept.
    until: Instant,
}

/// How long the previous key is kept. ZEC knows a new key within moments of its creation. An hour leaves
/// people the time to see that it works, and to put the old files back. After that, a key that is in no file
/// any more must not be used again: it may have leaked.
const OVERLAP: Duration = Duration::from_hours(1);

impl From<AccessKey> for AccessKeys {
    fn from(key: AccessKey) -> Self {
        let current = Arc::new(key);
        let alone = Overlap { current, previous: None, until: Instant::now() };
        Self(Arc::new(ArcSwap::from_pointee(alone)))
    }
}

impl AccessKeys {
    /// Signs with that key from now on; the key in use becomes the previous one. The same key again changes
    /// nothing. Returns whether anything changed.
    #[must_use]
    pub fn replace(&self, key: AccessKey) -> bool {
        let before = self.now();
        if before.current.is_same(&key) {
            return false;
        }
        // A mixture of two keys never was a key, so it does not take the previous key's place.
        let mixed = |previous: &&Arc<AccessKey>| before.current.is_mixed(previous, &key);
        let previous = before.previous.as_ref().filter(mixed).unwrap_or(&before.current);
        let (current, previous) = (Arc::new(key), Some(Arc::clone(previous)));
        self.0.store(Arc::new(Overlap { current, previous, until: Instant::now() + OVERLAP }));
        true
    }

    /// The keys as they are now. When its time is over, the previous key is deleted for good.
    pub(super) fn now(&self) -> Arc<Overlap> {
        let keys = self.0.load_full();
        if keys.previous.is_none() || Instant::now() < keys.until {
            return keys;
        }
        let (current, until) = (Arc::clone(&keys.current), keys.until);
        let alone = Arc::new(Overlap { current, previous: None, until });
        let found = self.0.compare_and_swap(&keys, Arc::clone(&alone));
        // If another key was set in between, that one is used.
        if Arc::ptr_eq(&found, &keys) { alone } else { Arc::clone(&found) }
    }
}

impl Settings {
    /// The files that hold the access key, if it is in files.
    #[must_use]
    pub fn access_key_files(&self) -> Vec<PathBuf> {
        let files = [&self.access_key_id_file, &self.access_key_password_file];
        files.into_iter().flatten().cloned().collect()
    }
}

fn half(
    file: Option<&Path>,
    key: &str,
    variable: &str,
    read: ReadFile<'_>,
) -> Result<SecretString, Fault> {
    let key = format!("zec.{key}");
    let Some(path) = file else {
        return std::env::var(variable).map(SecretString::from).map_err(|_| {
            Fault::new(format!("name a file here, or set the variable {variable}")).at_key(key)
        });
    };
    let fault = |text: String| Fault::new(text).in_file(path).at_key(key.clone());
    let bytes = read(path).map_err(|error| fault(format!("the file cannot be read: {error}")))?;
    // Bytes that are not text are not shown, not even in part.
    let text = str::from_utf8(&bytes).map_err(|_| fault("the file is not UTF-8".to_owned()))?;
    // One newline at the end comes from an editor and is not part of the secret.
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(SecretString::from(text.strip_suffix('\r').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn settings(id: &Path, password: &Path) -> Settings {
        Settings {
            access_key_id_file: Some(id.to_owned()),
            access_key_password_file: Some(password.to_owned()),
            ..Settings::for_tests("127.0.0.1:1")
        }
    }

    #[test]
    fn the_same_key_again_leaves_the_one_before_it_in_its_place() {
        let key = |id: &str, word: &str| {
            AccessKey::new(id.to_owned(), &SecretString::from(word.to_owned())).unwrap()
        };
        let keys = AccessKeys::from(key("old", "word"));
        assert!(!keys.replace(key("old", "word")) && keys.now().previous.is_none());
        assert!(keys.replace(key("new", "word")) && !keys.replace(key("new", "word")));
        let now = keys.now();
        assert_eq!((now.current.id(), now.previous.as_ref().unwrap().id()), ("new", "old"));
        assert!(keys.replace(key("new", "other word")));
        let shown = format!("{keys:?}");
        assert!(!shown.contains("new") && !shown.contains("word"), "{shown}");
    }

    #[test]
    fn debug_shows_neither_half() {
        let key = AccessKey::new("the-id".to_owned(), &SecretString::from("the-word")).unwrap();
        let shown = format!("{key:?} {key:#?}");
        assert!(!shown.contains("the-id") && !shown.contains("the-word"), "{shown}");
    }

    #[test]
    fn one_newline_at_the_end_of_a_file_is_not_part_of_the_secret() {
        let directory = tempfile::tempdir().unwrap();
        let (id, password) = (directory.path().join("ak"), directory.path().join("sk"));
        fs::write(&id, "the-id\n").unwrap();
        fs::write(&password, "the-word\r\n").unwrap();
        let loaded = AccessKey::load(&settings(&id, &password)).unwrap();
        let typed = AccessKey::new("the-id".to_owned(), &SecretString::from("the-word")).unwrap();
        let sign = |key: &AccessKey| hmac::sign(key.hmac_key(), b"x").as_ref().to_vec();
        assert_eq!(loaded.id(), "the-id");
        assert_eq!(sign(&loaded), sign(&typed));
    }

    #[test]
    fn an_id_that_could_end_its_place_in_the_header_is_refused() {
        let word = SecretString::from("the-word");
        for id in ["", "a b", "a,b", "a;b", "a\nb", "a\u{7f}b", "\u{e9}"] {
            assert!(AccessKey::new(id.to_owned(), &word).is_err(), "{id:?}");
        }
        assert!(AccessKey::new("0D9UtpyKYcHxms5v".to_owned(), &word).is_ok());
    }

    #[test]
    fn both_missing_files_are_said_at_once_and_an_empty_half_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (id, password) = (directory.path().join("ak"), directory.path().join("sk"));
        assert_eq!(AccessKey::load(&settings(&id, &password)).unwrap_err().len(), 2);
        fs::write(&id, "id").unwrap();
        fs::write(&password, "\n").unwrap();
        assert_eq!(AccessKey::load(&settings(&id, &password)).unwrap_err().len(), 1);
        fs::write(&id, "a b").unwrap();
        assert_eq!(AccessKey::load(&settings(&id, &password)).unwrap_err().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_before_is_kept_for_an_hour() {
        let key = |id: &str| AccessKey::new(id.to_owned(), &SecretString::from("word")).unwrap();
        let keys = AccessKeys::from(key("old"));
        assert!(keys.replace(key("new")));
        tokio::time::advance(OVERLAP.saturating_sub(Duration::from_secs(1))).await;
        // The same key again is not a new one, and gives the old one no further hour.
        assert!(!keys.replace(key("new")));
        let overlap = keys.now();
        let old = Arc::downgrade(overlap.previous.as_ref().unwrap());
        drop(overlap);
        tokio::time::advance(Duration::from_secs(1)).await;
        let alone = keys.now();
        assert!(alone.previous.is_none() && alone.current.is_same(&key("new")));
        assert!(old.upgrade().is_none(), "it is in memory still");
        // When a newer key follows, the key in use now becomes the previous one.
        assert!(keys.replace(key("newest")));
        assert!(keys.now().previous.as_ref().unwrap().is_same(&key("new")));
    }

    #[test]
    fn halves_that_are_replaced_one_after_the_other_cost_no_key() {
        let key = |id: &str, password: &str| {
            AccessKey::new(id.to_owned(), &SecretString::from(password)).unwrap()
        };
        for halfway in [("new", "old"), ("old", "new")] {
            let keys = AccessKeys::from(key("old", "old"));
            assert!(keys.replace(key(halfway.0, halfway.1)));
            assert!(keys.replace(key("new", "new")));
            let overlap = keys.now();
            assert!(overlap.current.is_same(&key("new", "new")));
            assert!(overlap.previous.as_ref().unwrap().is_same(&key("old", "old")), "{halfway:?}");
            // The next key replaces it as usual.
            assert!(keys.replace(key("newest", "newest")));
            assert!(keys.now().previous.as_ref().unwrap().is_same(&key("new", "new")));
        }
    }
}
