//! Reads the `Authorization` header of a request to the emulator.

use super::{Failure, form};

/// The algorithm's name in `Authorization` and in the signed text.
pub(super) const SCHEME: &str = "ZC2-HMAC-SHA256";

/// The length of a SHA-256 HMAC, in bytes.
const SIGNATURE_BYTES: usize = 32;

/// The content of an `Authorization` header.
pub(super) enum Authorization<'a> {
    /// An access token.
    Bearer(&'a str),
    /// A signature with an access key.
    Signed(Signed<'a>),
}

/// `ZC2-HMAC-SHA256 Credential=<id>, SignedHeaders=<a;b>, Signature=<64 hex digits>`.
pub(super) struct Signed<'a> {
    pub(super) credential: &'a str,
    /// In lower case and in order; `content-type` and `host` are among them.
    pub(super) headers: Vec<&'a str>,
    pub(super) signature: [u8; SIGNATURE_BYTES],
}

impl<'a> Authorization<'a> {
    pub(super) fn parse(value: &'a str) -> Result<Self, Failure> {
        match value.split_once(' ') {
            Some(("Bearer", token)) if !token.trim().is_empty() => Ok(Self::Bearer(token.trim())),
            Some((SCHEME, rest)) => Signed::parse(rest).map(Self::Signed),
            _ => Err(form("the header `Authorization` is of another scheme")),
        }
    }
}

impl<'a> Signed<'a> {
    fn parse(text: &'a str) -> Result<Self, Failure> {
        let mut parts = text.split(',').map(|part| part.trim().split_once('='));
        let mut part = |name| match parts.next() {
            Some(Some((found, value))) if found == name && !value.is_empty() => Ok(value),
            _ => Err(form(format!("the header `Authorization` has no `{name}` in its place"))),
        };
        let (credential, headers, signature) =
            (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        if parts.next().is_some() {
            return Err(form("the header `Authorization` has more than three parts"));
        }
        let headers: Vec<&str> = headers.split(';').collect();
        let lower = headers.iter().all(|name| *name == name.to_ascii_lowercase());
        if !lower || !headers.is_sorted_by(|a, b| a < b) {
            return Err(form("`SignedHeaders` is not in lower case and in order"));
        }
        if !headers.contains(&"content-type") || !headers.contains(&"host") {
            return Err(form("`SignedHeaders` must name `content-type` and `host`"));
        }
        let signature = from_hex(signature)
            .ok_or_else(|| form("`Signature` is not 64 hexadecimal digits in lower case"))?;
        Ok(Self { credential, headers, signature })
    }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut bytes = [0; SIGNATURE_BYTES];
    if text.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |byte: u8, digit| Some(byte << 4 | nibble(*digit)?))?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
