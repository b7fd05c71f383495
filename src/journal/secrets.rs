//! What stands for a secret in a record.

use std::{fmt::Write as _, sync::OnceLock};

use aws_lc_rs::{hmac, rand::SystemRandom};

/// How many bytes of the digest are kept: enough to tell two secrets apart.
const KEPT: usize = 16;

/// A digest that stands for a secret. Each run makes a key of its own and keeps it nowhere, so nobody who reads a record can
/// find a secret by guessing. Two equal secrets of one run have the same digest.
#[must_use]
pub fn digest(secret: &str) -> String {
    static KEY: OnceLock<Option<hmac::Key>> = OnceLock::new();
    let key = KEY.get_or_init(|| hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok());
    let Some(key) = key else { return "(secret)".to_owned() };
    let tag = hmac::sign(key, secret.as_bytes());
    let mut text = "secret:".to_owned();
    for byte in tag.as_ref().iter().take(KEPT) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_secrets_apart_and_does_not_hold_them() {
        assert_eq!(digest("hunter2"), digest("hunter2"));
        assert_ne!(digest("hunter2"), digest("hunter3"));
        assert!(!digest("hunter2").contains("hunter2"));
        assert_eq!(digest("hunter2").len(), "secret:".len() + 2 * KEPT);
    }
}
