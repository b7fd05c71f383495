//! An issuer's public keys: what of a JWKS (RFC 7517) can verify a token, and with what.

use aws_lc_rs::{
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    encoding::AsDer,
    error::KeyRejected,
    signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::Algorithm;
use crate::domain::json;

/// The most keys that are read of one set.
const MAX_KEYS: usize = 100;

/// How much of a key's name is shown in the log: the issuer chooses it.
const MAX_SHOWN: usize = 64;

/// RSA keys are taken from 2048 bits (NIST SP 800-131A) to 8192, past which verifying one token
/// costs so much that a set could stall the gateway.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The usable keys of one issuer.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// The SHA-256 of the document, where it was read from bytes.
    document: Option<[u8; SHA256_OUTPUT_LEN]>,
    /// Why the other keys of the document were left out, for the log.
    pub(super) left_out: Vec<String>,
}

/// One key, ready to verify with each algorithm that it alone decides on.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

impl KeySet {
    /// Reads a JWKS document; a key that cannot be used does not spoil the others.
    ///
    /// # Errors
    /// When the document is not one, or no key in it can be used.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let value = json::parse(document).map_err(|error| format!("not JSON: {error}"))?;
        let mut set = Self::read(&value)?;
        set.document = digest(&SHA256, document).as_ref().try_into().ok();
        Ok(set)
    }

    /// Reads the JWKS document of a file. An empty list is meant there, by whoever cuts the issuer
    /// off: it verifies no token. From an address it is a provider in trouble.
    ///
    /// # Errors
    /// When the document is not one, or no key of those in it can be used.
    pub(super) fn parse_file(document: &[u8]) -> Result<Self, String> {
        let none = || Self { keys: Vec::new(), document: None, left_out: Vec::new() };
        match json::parse(document) {
            Ok(value) if is_empty(&value) => Ok(none()),
            _ => Self::parse(document),
        }
    }

    /// Reads a JWKS that is JSON already.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let Some(list) = value.get("keys").and_then(Value::as_array) else {
            return Err("no member `keys` with a list of keys".to_owned());
        };
        let mut set = Self { keys: Vec::new(), document: None, left_out: Vec::new() };
        for jwk in list.iter().take(MAX_KEYS) {
            match jwk.as_object().ok_or_else(|| "not an object".to_owned()).and_then(key) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.left_out.push(why),
            }
        }
        if list.len() > MAX_KEYS {
            set.left_out.push(format!("all keys after the first {MAX_KEYS}: too many"));
        }
        if set.keys.is_empty() {
            return Err(format!("no usable key: {}", set.left_out.join("; ")));
        }
        Ok(set)
    }

    /// Whether both were read from the same document, byte for byte.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.document.is_some() && self.document == other.document
    }

    /// How many keys can be used.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// For `tests/fuzz`.
    #[cfg(fuzzing)]
    pub(super) fn algorithms(&self) -> Vec<Vec<Algorithm>> {
        let of = |key: &Key| key.verifiers.iter().map(|(algorithm, _)| *algorithm).collect();
        self.keys.iter().map(of).collect()
    }

    /// The one key that a token with this `kid` and algorithm can have been signed with. A token
    /// without `kid` finds one only where a single key fits.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup<'_> {
        let named = || self.keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
        let verifiers = named().flat_map(|key| &key.verifiers);
        let mut fitting = verifiers.filter(|(fits, _)| *fits == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some((_, key)), None) => Lookup::Key(key),
            (Some(_), Some(_)) => Lookup::Unfit,
            (None, _) if id.is_some() && named().next().is_some() => Lookup::Unfit,
            (None, _) => Lookup::Unknown,
        }
    }
}

/// Whether it is a key set that says outright that there is no key.
fn is_empty(value: &Value) -> bool {
    value.get("keys").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// What a key set has for a token.
#[derive(Debug)]
pub(super) enum Lookup<'a> {
    /// The key that must have signed it, parsed once for all tokens.
    Key(&'a ParsedPublicKey),
    /// Keys that cannot have signed it, or several that might.
    Unfit,
    /// Nothing: the set may be older than the key.
    Unknown,
}

fn key(jwk: &Map<String, Value>) -> Result<Key, String> {
    let id = match jwk.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err("a `kid` that is no text".to_owned()),
    };
    let name: String = id.as_deref().unwrap_or("(no kid)").escape_debug().take(MAX_SHOWN).collect();
    let refuse = |why: &str| Err(format!("{name}: {why}"));
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return refuse("not for signatures (`use`)");
    }
    if let Some(operations) = jwk.get("key_ops")
        && !operations.as_array().is_some_and(|list| list.iter().any(|one| one == "verify"))
    {
        return refuse("not for verifying (`key_ops`)");
    }
    if jwk.contains_key("d") {
        return refuse("a private key: the issuer has published its secret");
    }
    let (mut algorithms, public) = match material(jwk) {
        Ok(material) => material,
        Err(why) => return refuse(why),
    };
    match jwk.get("alg") {
        None => {}
        Some(Value::String(alg)) => algorithms.retain(|algorithm| algorithm.name() == alg),
        Some(_) => return refuse("an `alg` that is no text"),
    }
    if algorithms.is_empty() {
        return refuse("its `alg` does not fit its type, or is not taken");
    }
    let verifiers: Result<Vec<_>, _> = algorithms
        .into_iter()
        .map(|algorithm| Ok((algorithm, ParsedPublicKey::new(verification(algorithm), &public)?)))
        .collect();
    match verifiers {
        Ok(verifiers) => Ok(Key { id, verifiers }),
        Err(KeyRejected { .. }) => refuse("its numbers are no key of its type"),
    }
}

/// The public key itself, and every algorithm that a key of its type could have.
fn material(jwk: &Map<String, Value>) -> Result<(Vec<Algorithm>, Vec<u8>), &'static str> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    match (text("kty"), text("crv")) {
        (Some("RSA"), _) => rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?),
        (Some("EC"), Some("P-256")) => Ok((vec![Algorithm::Es256], point(jwk, 32)?)),
        (Some("EC"), Some("P-384")) => Ok((vec![Algorithm::Es384], point(jwk, 48)?)),
        (Some("OKP"), Some("Ed25519")) => Ok((vec![Algorithm::EdDsa], bytes(jwk, "x")?)),
        (Some("oct"), _) => Err("a shared secret: only asymmetric keys are taken"),
        _ => Err("a type or curve that is not taken"),
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<(Vec<Algorithm>, Vec<u8>), &'static str> {
    let n = strip_zeros(n);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err("an RSA key under 2048 or over 8192 bits");
    }
    // An even or tiny exponent is no RSA key; 65537 is what everyone uses.
    let e = strip_zeros(e);
    if e.len() > 4 || e.last().is_none_or(|last| last % 2 == 0) || e == [1] {
        return Err("an RSA key with an unusual exponent");
    }
    let algorithms = vec![
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ];
    let der = RsaPublicKeyComponents { n, e }.as_der().map_err(|_| "no RSA key")?;
    Ok((algorithms, der.as_ref().to_vec()))
}

fn strip_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// A point in SEC 1's uncompressed form.
fn point(jwk: &Map<String, Value>, size: usize) -> Result<Vec<u8>, &'static str> {
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err("coordinates of the wrong length");
    }
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    jwk.get(name)
        .and_then(Value::as_str)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or("a part of the key that is missing or not base64url")
}

/// How aws-lc verifies with an algorithm.
fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::EdDsa => &signature::ED25519,
    }
}
