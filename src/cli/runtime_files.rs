//! The files of a running `dev` for `token` and curl: the signing key and a header with a token. Only their owner can
//! read them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use crate::{auth::IssuedKeySettings, error::Fault};

const KEY: &str = "key.pem";
const ISSUER: &str = "issuer";
/// The file of access keys, the master secret, and the last uses.
const ACCESS_KEYS: [&str; 3] = ["access-keys.toml", "access-keys-master", "access-keys-used.json"];

/// The directory for the files of a running `dev`.
#[derive(Debug)]
pub(super) struct RuntimeFiles {
    directory: PathBuf,
}

impl RuntimeFiles {
    /// Opens this user's directory: under `XDG_RUNTIME_DIR`, else in the system's directory for temporary files. It
    /// must not belong to another user.
    pub(super) fn open() -> Result<Self, Fault> {
        let own = fs::metadata("/proc/self").map(|own| own.uid());
        let own = own.map_err(|error| Fault::new(format!("/proc cannot be read: {error}")))?;
        let directory = match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(base) if !base.is_empty() => PathBuf::from(base).join("zec-gateway-dev"),
            _ => std::env::temp_dir().join(format!("zec-gateway-dev-{own}")),
        };
        let fault = |text: String| Fault::new(text).in_file(&directory);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(fault(format!("cannot be created: {error}"))),
        }
        let found = fs::symlink_metadata(&directory).map_err(|e| fault(e.to_string()))?;
        if !found.is_dir() || found.uid() != own || found.mode() & 0o077 != 0 {
            return Err(fault("is not a directory that is private to you: remove it".to_owned()));
        }
        Ok(Self { directory })
    }

    /// Writes the signing key and the issuer's name, for `token`.
    pub(super) fn put_key(&self, pem: &str, issuer: &str) -> Result<(), Fault> {
        self.put(KEY, pem)?;
        self.put(ISSUER, issuer).map(drop)
    }

    /// Reads the signing key and the issuer's name of the most recently started `dev`.
    pub(super) fn key(&self) -> Result<(String, String), Fault> {
        let read = |name: &str| {
            let path = self.directory.join(name);
            fs::read_to_string(&path).map_err(|_| {
                Fault::new("no running `dev` has left a key here: start one, or give --key")
                    .in_file(&path)
            })
        };
        Ok((read(KEY)?, read(ISSUER)?))
    }

    /// The files of the access keys, which outlive each `dev`.
    pub(super) fn access_keys(&self) -> Result<IssuedKeySettings, Fault> {
        let [file, master_file, state_file] = ACCESS_KEYS.map(|name| self.directory.join(name));
        if !master_file.exists() {
            let text = "no `dev` has run here: start one, or give --config";
            return Err(Fault::new(text).in_file(&self.directory));
        }
        Ok(IssuedKeySettings { file, master_file, state_file })
    }

    /// Makes the files of the access keys that are not there yet, with this master secret.
    pub(super) fn make_access_keys(&self, master: &SecretString) -> Result<(), Fault> {
        let [file, master_file, _] = ACCESS_KEYS;
        for (name, text) in [(file, ""), (master_file, master.expose_secret())] {
            if !self.directory.join(name).exists() {
                self.put(name, text)?;
            }
        }
        Ok(())
    }

    /// Writes a header line with a token, for `curl -H @FILE`, so that the token does not get into a shell's history.
    pub(super) fn put_header(&self, port: u16, token: &str) -> Result<PathBuf, Fault> {
        self.put(&format!("header-{port}"), &format!("Authorization: Bearer {token}\n"))
    }

    /// A directory for the journal of one `dev`, deleted with it, because the emulator's vNICs also start fresh.
    pub(super) fn for_a_journal(&self) -> Result<tempfile::TempDir, Fault> {
        tempfile::Builder::new()
            .prefix("journal-")
            .tempdir_in(&self.directory)
            .map_err(|e| Fault::new(format!("cannot be written: {e}")).in_file(&self.directory))
    }

    fn put(&self, name: &str, text: &str) -> Result<PathBuf, Fault> {
        let path = self.directory.join(name);
        let fresh = self.directory.join(format!(".{name}-{}", std::process::id()));
        write_private(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| Fault::new(format!("cannot be written: {error}")).in_file(&path))?;
        Ok(path)
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
