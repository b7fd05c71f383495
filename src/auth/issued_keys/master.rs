//! The master secret, from which the password of every key is derived. So the gateway keeps no passwords, and the file
//! of keys is no secret.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, SystemTime},
};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

use super::{
    MASTER_KEY,
    hex::{BYTES, hex, random},
};
use crate::error::Fault;

/// The fewest characters of a master secret: 128 random bits in hexadecimal digits. The gateway makes 256.
const MIN_SECRET: usize = 32;

/// The most secrets of a file. Each request is checked against all of them.
const MAX_SECRETS: usize = 4;

/// What a password is derived for, so that no other use of the secret gives the same.
const PURPOSE: &str = "zec-gateway access key 1\n";

/// The start of each password, by which people and scanners of repositories know it.
const PASSWORD_PREFIX: &str = "zgs";

/// The word between an older secret and its last day.
const UNTIL: &str = "until";

/// A file of master secrets: on its first line the current one, and on each further line an older one with the time
/// until which it is taken: `SECRET until 2027-03-01T00:00:00Z`.
#[derive(Clone)]
pub struct MasterFile {
    current: SecretString,
    older: Vec<(SecretString, SystemTime)>,
}

impl std::fmt::Debug for MasterFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterFile(redacted)")
    }
}

/// A password as the gateway checks with it, and until when.
#[derive(Debug)]
pub(super) struct Password {
    key: hmac::Key,
    until: Option<SystemTime>,
}

impl Password {
    pub(super) fn new(password: &SecretString, until: Option<SystemTime>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, password.expose_secret().as_bytes());
        Self { key, until }
    }

    /// The key to check with, if the password is taken at that time.
    pub(super) fn at(&self, now: SystemTime) -> Option<&hmac::Key> {
        self.until.is_none_or(|until| now < until).then_some(&self.key)
    }
}

impl MasterFile {
    /// Reads a file's text. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// Every line that is wrong. No message shows a part of a secret.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        let (mut current, mut older, mut faults) = (None, Vec::new(), Vec::new());
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let mut fault = |text: &str| {
                faults.push(Fault::new(text).in_file(path).on_line(number).at_key(MASTER_KEY));
            };
            let mut words = line.split_ascii_whitespace();
            let secret = words.next().unwrap_or_default();
            let rest: Vec<&str> = words.collect();
            if secret.len() < MIN_SECRET {
                fault(
                    "is shorter than 32 characters: remove the file, and make another one with `zec-gateway key rotate-master`",
                );
            }
            match (&current, rest.as_slice()) {
                (None, []) => current = Some(SecretString::from(secret)),
                (None, _) => fault("the first line is the current secret, and holds nothing else"),
                (Some(_), [UNTIL, time]) => match humantime::parse_rfc3339(time) {
                    Ok(until) => older.push((SecretString::from(secret), until)),
                    Err(_) => {
                        fault("write the time in UTC, as `SECRET until 2027-03-01T00:00:00Z`");
                    }
                },
                (Some(_), _) => fault(
                    "an older secret needs its last time: `SECRET until 2027-03-01T00:00:00Z`",
                ),
            }
        }
        if older.len() >= MAX_SECRETS {
            let text =
                "holds more than 4 secrets: remove the oldest, or wait until its time is over";
            faults.push(Fault::new(text).in_file(path).at_key(MASTER_KEY));
        }
        match current {
            Some(current) if faults.is_empty() => Ok(Self { current, older }),
            None if faults.is_empty() => {
                let text = "holds no secret: remove the file, and make another one with `zec-gateway key rotate-master`";
                Err(vec![Fault::new(text).in_file(path).at_key(MASTER_KEY)])
            }
            _ => Err(faults),
        }
    }

    /// Until when each older secret is taken.
    pub fn older_until(&self) -> impl Iterator<Item = SystemTime> {
        self.older.iter().map(|(_, until)| *until)
    }

    /// The password that the current secret gives to a key.
    #[must_use]
    pub fn password(&self, id: &str) -> SecretString {
        derive(&self.current, id)
    }

    /// What the gateway takes as the password of a key: one for each secret.
    pub(super) fn passwords(&self, id: &str) -> Vec<Password> {
        let current = Password::new(&derive(&self.current, id), None);
        let older = self.older.iter();
        let older = older.map(|(secret, until)| Password::new(&derive(secret, id), Some(*until)));
        [current].into_iter().chain(older).collect()
    }

    /// The text of a file with a new current secret. All others stay valid for `keep` at most, and none longer than before.
    #[must_use]
    pub fn rotated(&self, fresh: &SecretString, keep: Duration, now: SystemTime) -> SecretString {
        let mut text = format!("{}\n", fresh.expose_secret());
        let until = now.checked_add(keep).unwrap_or(now);
        let older = self.older.iter().map(|(secret, until)| (secret, *until));
        let older = older.map(|(secret, before)| (secret, before.min(until)));
        let all = [(&self.current, until)].into_iter().chain(older);
        for (secret, until) in all.filter(|(_, until)| now < *until) {
            let until = humantime::format_rfc3339_seconds(until);
            let _ = writeln!(text, "{} {UNTIL} {until}", secret.expose_secret());
        }
        SecretString::from(text)
    }
}

fn derive(secret: &SecretString, id: &str) -> SecretString {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, format!("{PURPOSE}{id}").as_bytes());
    let digits = hex(tag.as_ref());
    SecretString::from(format!("{PASSWORD_PREFIX}{}", str::from_utf8(&digits).unwrap_or_default()))
}

/// A new master secret: 32 random bytes.
///
/// # Errors
/// When the system gives no random bytes.
pub fn fresh_master() -> Result<SecretString, Fault> {
    let random = random::<BYTES>()?;
    Ok(SecretString::from(str::from_utf8(&hex(&random)).unwrap_or_default()))
}
