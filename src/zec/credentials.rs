use std::{fmt, fs, path::Path};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

use super::Settings;
use crate::error::Fault;

/// The variables that hold the access key where no file is configured.
const ID_VARIABLE: &str = "ZEC_ACCESS_KEY_ID";
const PASSWORD_VARIABLE: &str = "ZEC_ACCESS_KEY_PASSWORD";

/// The team's access key, ready to sign with. Whoever holds it can do everything, so nothing
/// but signing ever reads the password, and `Debug` shows neither half.
pub struct AccessKey {
    id: String,
    key: hmac::Key,
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
    /// When a half is empty, or the id could not stand in a header.
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
        Ok(Self { id, key })
    }

    /// Reads the key from the configured files, or from the environment where none are named.
    ///
    /// # Errors
    /// Every fault at once: a file that cannot be read, a variable that is not set, an empty half.
    pub fn load(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let id = half(settings.access_key_id_file.as_deref(), "access_key_id_file", ID_VARIABLE);
        let password = half(
            settings.access_key_password_file.as_deref(),
            "access_key_password_file",
            PASSWORD_VARIABLE,
        );
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

    pub(super) fn hmac_key(&self) -> &hmac::Key {
        &self.key
    }
}

fn half(file: Option<&Path>, key: &str, variable: &str) -> Result<SecretString, Fault> {
    let key = format!("zec.{key}");
    let Some(path) = file else {
        return std::env::var(variable).map(SecretString::from).map_err(|_| {
            Fault::new(format!("name a file here, or set the variable {variable}")).at_key(key)
        });
    };
    match fs::read_to_string(path) {
        // One newline at the end is the editor's, not the secret's.
        Ok(text) => {
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(SecretString::from(text.strip_suffix('\r').unwrap_or(text)))
        }
        Err(error) => {
            Err(Fault::new(format!("the file cannot be read: {error}")).in_file(path).at_key(key))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(id: &Path, password: &Path) -> Settings {
        Settings {
            access_key_id_file: Some(id.to_owned()),
            access_key_password_file: Some(password.to_owned()),
            ..Settings::for_tests("127.0.0.1:1")
        }
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
}
