//! The last good key sets on disk, so that a gateway that starts during a provider's outage can serve.

use std::{
    fs::DirBuilder,
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{IssuerSettings, KeySet, KeySource};
use crate::{domain::json, files};

/// The largest file that the gateway reads, in bytes: a key set with its label.
const MAX_FILE: u64 = 1024 * 1024;

/// How far ahead of our clock the time in a file may be, because a clock is sometimes set back a little.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// A directory with one file for each issuer.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    directory: PathBuf,
}

impl Cache {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn file(&self, issuer: &IssuerSettings) -> PathBuf {
        // A configured name has only characters of `[a-z0-9-]`, so it cannot lead out of the directory.
        self.directory.join(format!("{}.json", issuer.name))
    }

    /// The key set on disk for an issuer, with its age. `None` if there is no file or the set is too old.
    ///
    /// # Errors
    /// Why the file cannot be used.
    pub(super) fn read(
        &self,
        issuer: &IssuerSettings,
    ) -> Result<Option<(KeySet, Duration)>, String> {
        let path = self.file(issuer);
        let said = |error: String| format!("{}: {error}", path.display());
        let Some(bytes) = read_own(&path).map_err(said)? else { return Ok(None) };
        let kept = json::parse(&bytes).map_err(|error| said(format!("not JSON: {error}")))?;
        // The keys must belong to this issuer and come from its configured source, whatever the file's name says.
        if kept.get("issuer").and_then(Value::as_str) != Some(&issuer.issuer)
            || kept.get("source").and_then(Value::as_str) != Some(&source(issuer))
        {
            return Err(said("it belongs to another issuer".to_owned()));
        }
        let fetched = kept.get("fetchedAt").and_then(Value::as_u64);
        let fetched = fetched.ok_or_else(|| said("no `fetchedAt`".to_owned()))?;
        let fetched = UNIX_EPOCH.checked_add(Duration::from_secs(fetched));
        let fetched = fetched.ok_or_else(|| said("no time in `fetchedAt`".to_owned()))?;
        let age = match SystemTime::now().duration_since(fetched) {
            Ok(age) => age,
            Err(ahead) if ahead.duration() <= CLOCK_SLACK => Duration::ZERO,
            Err(_) => {
                return Err(said(
                    "it was written in the future: set this machine's clock".to_owned(),
                ));
            }
        };
        if age >= issuer.max_stale {
            return Err(said("it is older than `max_stale`".to_owned()));
        }
        let keys = kept.get("keySet").ok_or_else(|| said("no `keySet`".to_owned()))?;
        Ok(Some((KeySet::read(keys).map_err(said)?, age)))
    }

    /// Writes a freshly fetched key set document in place of the previous one.
    ///
    /// # Errors
    /// Why the file cannot be written; the previous file is then intact.
    pub(super) fn write(&self, issuer: &IssuerSettings, document: &[u8]) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let keys = json::parse(document).map_err(|error| error.to_string())?;
        let kept = json!({
            "issuer": issuer.issuer,
            "source": source(issuer),
            "fetchedAt": now.as_secs(),
            "keySet": keys,
        });
        let path = self.file(issuer);
        self.replace(&path, kept.to_string().as_bytes())
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        files::replace(path, bytes, |_| Ok(()))
    }
}

/// The source of an issuer's keys, as a text that changes when the configuration changes.
fn source(issuer: &IssuerSettings) -> String {
    match &issuer.keys {
        KeySource::Url(uri) => uri.to_string(),
        KeySource::Discovery => "discovery".to_owned(),
        KeySource::File(path) => path.display().to_string(),
    }
}

/// Reads a file that only our user can have written, because its content decides who may sign tokens. `None` if there
/// is no such file.
fn read_own(path: &Path) -> Result<Option<Vec<u8>>, String> {
    // The open does not wait: a FIFO or a device under this name must not hold up the start.
    let file = match files::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let owner = metadata.uid();
    if !metadata.is_file() {
        return Err("it is not a regular file: remove it".to_owned());
    }
    if (owner != 0 && owner != rustix::process::geteuid().as_raw()) || metadata.mode() & 0o022 != 0
    {
        return Err("other users than the gateway's can write it".to_owned());
    }
    if metadata.len() > MAX_FILE {
        return Err("it is too large".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, chown},
    };

    use super::*;
    use crate::{
        auth::tests::settings,
        issuer::{Signer, key_set},
    };

    fn issuer() -> IssuerSettings {
        let mut settings = settings("corp", "https://sso.example.com", "no-file".into());
        settings.keys = KeySource::Discovery;
        settings
    }

    fn kept() -> (tempfile::TempDir, Cache, Signer) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("deep/keys"));
        let signer = Signer::es256().unwrap();
        cache.write(&issuer(), key_set(&[&signer]).as_bytes()).unwrap();
        (directory, cache, signer)
    }

    #[test]
    fn what_is_kept_is_found_again_and_replaced_whole() {
        let (_files, cache, signer) = kept();
        let (set, age) = cache.read(&issuer()).unwrap().unwrap();
        assert!(age < Duration::from_mins(10), "{age:?}");
        assert!(set.has(signer.key_id()));
        let second = Signer::eddsa().unwrap();
        cache.write(&issuer(), key_set(&[&second]).as_bytes()).unwrap();
        let (set, _) = cache.read(&issuer()).unwrap().unwrap();
        assert!(set.has(second.key_id()) && !set.has(signer.key_id()));
        let names: Vec<_> = fs::read_dir(&cache.directory).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let mode = fs::metadata(cache.file(&issuer())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mode = fs::metadata(&cache.directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn nothing_kept_is_no_fault() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Cache::new(directory.path().join("none")).read(&issuer()).unwrap().is_none());
    }

    #[test]
    fn another_issuers_keys_are_not_used_under_its_name() {
        let (_files, cache, _) = kept();
        let mut other = issuer();
        other.issuer = "https://elsewhere.example".to_owned();
        assert!(cache.read(&other).unwrap_err().contains("another issuer"));
        let mut moved = issuer();
        moved.keys = KeySource::Url("https://sso.example.com/keys".parse().unwrap());
        assert!(cache.read(&moved).unwrap_err().contains("another issuer"));
    }

    #[test]
    fn files_that_others_can_write_are_not_used() {
        let (_files, cache, _) = kept();
        let path = cache.file(&issuer());
        for (mode, fine) in [(0o620, false), (0o602, false), (0o644, true), (0o600, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(cache.read(&issuer()).is_ok(), fine, "{mode:o}");
        }
        // Only root can change a file's owner.
        if chown(&path, Some(4242), None).is_ok() {
            assert!(cache.read(&issuer()).unwrap_err().contains("other users"));
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(cache.read(&issuer()).is_err());
        fs::remove_dir(&path).unwrap();
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status();
        assert!(made.unwrap().success());
        assert!(cache.read(&issuer()).unwrap_err().contains("regular"), "a pipe without a writer");
    }

    #[test]
    fn an_age_that_is_too_high_or_impossible_is_refused() {
        let (_files, cache, _) = kept();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let text = fs::read_to_string(cache.file(&issuer())).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        for (at, why) in [
            (json!(now - 24 * 3600), "older than"),
            (json!(0), "older than"),
            (json!(now + 3600), "in the future"),
            (json!(u64::MAX), "`fetchedAt`"),
            (json!("now"), "`fetchedAt`"),
        ] {
            value["fetchedAt"] = at;
            cache.replace(&cache.file(&issuer()), value.to_string().as_bytes()).unwrap();
            let said = cache.read(&issuer()).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        value["fetchedAt"] = json!(now + 5);
        cache.replace(&cache.file(&issuer()), value.to_string().as_bytes()).unwrap();
        assert_eq!(cache.read(&issuer()).unwrap().unwrap().1, Duration::ZERO);
    }

    #[test]
    fn garbage_is_refused() {
        let (_files, cache, _) = kept();
        for garbage in ["", "{}", "[", "<html>"] {
            cache.replace(&cache.file(&issuer()), garbage.as_bytes()).unwrap();
            assert!(cache.read(&issuer()).is_err(), "{garbage}");
        }
        let huge = vec![b' '; 1024 * 1024 + 1];
        cache.replace(&cache.file(&issuer()), &huge).unwrap();
        assert!(cache.read(&issuer()).unwrap_err().contains("too large"));
    }
}
