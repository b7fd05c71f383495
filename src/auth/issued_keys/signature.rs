//! The text that a client of ZEC signs, and the check of its signature (docs/zec-api.md, section 2).

use std::time::SystemTime;

use aws_lc_rs::{digest, hmac};
use http::{HeaderName, HeaderValue, header::HOST};

use super::{
    super::refusal::Refusal,
    SignedHead,
    header::{Claimed, SCHEME, single},
    hex::{BYTES, hex},
    master::Password,
};
use crate::domain::text::excerpt_of;

/// The most characters of the signed headers in the log.
const MAX_SHOWN: usize = 200;

/// A signature: an HMAC with SHA-256.
pub(super) type Signature = [u8; BYTES];

/// A signed request but for the hash of its body.
#[derive(Debug)]
pub(super) struct Canonical {
    /// The texts that the client may have signed, up to the hash of the body: with the headers' values as they came, and
    /// with the values in lower case, if that is another text. ZEC's pages say the latter, and its SDKs do the former.
    texts: Vec<Vec<u8>>,
    timestamp: String,
}

impl Canonical {
    /// # Errors
    /// When a signed header is missing or repeated.
    pub(super) fn new(
        claimed: &Claimed<'_>,
        head: SignedHead<'_>,
        timestamp: &str,
    ) -> Result<Self, Refusal> {
        // Line by line: the method; the path, always `/`, whatever the request's own; no query; each header; an empty
        // line; the headers' names. The hash of the body follows.
        let mut as_sent = b"POST\n/\n\n".to_vec();
        let mut lowered = as_sent.clone();
        for name in claimed.names.split(';') {
            let value = value(name, head)?.trim_ascii();
            for (text, value) in
                [(&mut as_sent, value), (&mut lowered, value.to_ascii_lowercase().as_slice())]
            {
                for piece in [name.as_bytes(), b":", value, b"\n"] {
                    text.extend_from_slice(piece);
                }
            }
        }
        for text in [&mut as_sent, &mut lowered] {
            for piece in [b"\n", claimed.names.as_bytes(), b"\n"] {
                text.extend_from_slice(piece);
            }
        }
        let mut texts = vec![as_sent];
        if texts.first() != Some(&lowered) {
            texts.push(lowered);
        }
        Ok(Self { texts, timestamp: timestamp.to_owned() })
    }

    /// The signed headers as they came, for the log: what a hop changes is seen there.
    pub(super) fn signed_headers(&self) -> String {
        let text = self.texts.first().map(Vec::as_slice).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().skip(3).take_while(|line| !line.is_empty());
        excerpt_of(&lines.collect::<Vec<_>>().join(", "), MAX_SHOWN)
    }

    /// Whether the signature is one that a password makes over this request with that body. The work, and so the time,
    /// does not depend on which password it is, or on whether there is one.
    pub(super) fn is_signed(
        &self,
        passwords: &[Password],
        signature: &Signature,
        body: &[u8],
        now: SystemTime,
    ) -> bool {
        let body = sha256(body);
        let mut good = false;
        for text in &self.texts {
            let mut canonical = Vec::with_capacity(text.len() + body.len());
            canonical.extend_from_slice(text);
            canonical.extend_from_slice(&body);
            let mut to_sign = format!("{SCHEME}\n{}\n", self.timestamp).into_bytes();
            to_sign.extend_from_slice(&sha256(&canonical));
            for password in passwords.iter().filter_map(|password| password.at(now)) {
                good |= is_made_by(password, &to_sign, signature);
            }
        }
        good
    }
}

/// The value of a signed header. The host is what the client named: over HTTP/2 in `:authority`.
fn value<'a>(name: &str, head: SignedHead<'a>) -> Result<&'a [u8], Refusal> {
    let name = HeaderName::try_from(name)
        .map_err(|_| Refusal::malformed("`SignedHeaders` names no header"))?;
    if name == HOST
        && let (false, Some(authority)) = (head.headers.contains_key(HOST), head.authority)
    {
        return Ok(authority.as_bytes());
    }
    single(head.headers, &name).map(HeaderValue::as_bytes)
}

/// Compares in constant time.
fn is_made_by(password: &hmac::Key, to_sign: &[u8], signature: &Signature) -> bool {
    #[cfg(test)]
    work::COMPARED.with(|compared| compared.set(compared.get() + 1));
    hmac::verify(password, to_sign, signature).is_ok()
}

/// The SHA-256 of some bytes, in hexadecimal digits.
fn sha256(bytes: &[u8]) -> [u8; 2 * BYTES] {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Counts the signatures that are computed, so that tests can compare the work for good and bad requests.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local! {
        /// How many signatures this thread has computed to compare them.
        pub(crate) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }
}
