//! An issuer's public keys: which keys of a JWKS (RFC 7517) can verify tokens, and for which algorithms.

use std::fmt;

use aws_lc_rs::{
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    encoding::AsDer,
    error::KeyRejected,
    signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::Algorithm;
use crate::domain::{json, text::excerpt};

/// The most keys that the gateway reads from one set.
const MAX_KEYS: usize = 100;

/// How many keys the gateway tries for one token: several keys of a set may fit, and a token may omit the key id.
pub(super) const MAX_TRIED: usize = 4;

/// The accepted sizes of RSA keys: at least 2048 bits (NIST SP 800-131A), at most 8192. Above that, verifying one token
/// costs so much that a set could stall the gateway.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The usable keys of one issuer.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<VerificationKey>,
    /// The SHA-256 of the document, if the set was read from bytes.
    document: Option<[u8; SHA256_OUTPUT_LEN]>,
    /// The keys of the document that cannot be used.
    pub(super) left_out: Vec<LeftOut>,
}

/// A key of the document that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    id: Option<String>,
    /// The reason, for callers and for the log.
    pub(super) why: &'static str,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_deref().unwrap_or("(no kid)");
        write!(f, "{}: {}", excerpt(id), self.why)
    }
}

/// The names of a key in a key set (RFC 7517, 4.5, 4.8 and 4.9) and in the header of a token (RFC 7515, 4.1.4, 4.1.7
/// and 4.1.8). AD FS names its keys by the certificate's thumbprint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyNames {
    /// `kid`.
    pub(super) id: Option<String>,
    /// `x5t`.
    pub(super) sha1: Option<String>,
    /// `x5t#S256`.
    pub(super) sha256: Option<String>,
}

/// One key with a verifier for each algorithm that the key allows.
#[derive(Debug)]
struct VerificationKey {
    names: KeyNames,
    /// The key's bytes; two entries of a set with the same bytes are one key.
    public: Vec<u8>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

impl VerificationKey {
    fn is_same(&self, other: &Self) -> bool {
        let algorithms = |key: &Self| key.verifiers.iter().map(|(a, _)| *a).collect::<Vec<_>>();
        self.names == other.names
            && self.public == other.public
            && algorithms(self) == algorithms(other)
    }

    fn fits(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifiers.iter().find(|(fits, _)| *fits == algorithm).map(|(_, key)| key)
    }
}

/// How a token identifies the key that signed it.
#[derive(Clone, Copy, Debug)]
enum Named<'a> {
    Id(&'a str),
    Thumbprint(&'a KeyNames),
    NotAtAll,
}

impl Named<'_> {
    /// Whether the token may mean the key with these names.
    fn means(self, names: &KeyNames) -> bool {
        let equal = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        match self {
            Self::Id(id) => names.id.as_deref() == Some(id),
            Self::Thumbprint(named) => {
                equal(&named.sha1, &names.sha1)
                    || equal(&named.sha256, &names.sha256)
                    // AD FS and Entra ID publish the thumbprint as the `kid`.
                    || equal(&named.sha1, &names.id)
                    || equal(&named.sha256, &names.id)
            }
            Self::NotAtAll => true,
        }
    }
}

impl KeySet {
    /// Reads a JWKS document, skipping the keys that cannot be used.
    ///
    /// # Errors
    /// When the document is not a JWKS, or no key in it can be used.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let value = json::parse(document).map_err(|error| format!("not JSON: {error}"))?;
        let mut set = Self::read(&value)?;
        set.document = digest(&SHA256, document).as_ref().try_into().ok();
        Ok(set)
    }

    /// Reads the JWKS document of a file. An empty list in a file is deliberate: the operator shuts the issuer out, and
    /// the set verifies no token. An empty list from an address is a provider's fault.
    ///
    /// # Errors
    /// When the document is not a JWKS, or it lists keys and none of them can be used.
    pub(super) fn parse_file(document: &[u8]) -> Result<Self, String> {
        let none = || Self { keys: Vec::new(), document: None, left_out: Vec::new() };
        match json::parse(document) {
            Ok(value) if is_empty(&value) => Ok(none()),
            _ => Self::parse(document),
        }
    }

    /// Reads a JWKS from parsed JSON.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let Some(list) = value.get("keys").and_then(Value::as_array) else {
            return Err("no member `keys` with a list of keys".to_owned());
        };
        let mut set = Self { keys: Vec::new(), document: None, left_out: Vec::new() };
        let unnamed = |why| LeftOut { id: None, why };
        for jwk in list.iter().take(MAX_KEYS) {
            match jwk.as_object().ok_or(unnamed("not an object")).and_then(key) {
                // Some providers publish a key twice.
                Ok(key) if set.keys.iter().any(|other| other.is_same(&key)) => {}
                Ok(key) => set.keys.push(key),
                Err(left_out) => set.left_out.push(left_out),
            }
        }
        if list.len() > MAX_KEYS {
            set.left_out.push(unnamed(
                "one of those after the first 100, which is the most that the gateway reads",
            ));
        }
        if set.keys.is_empty() {
            let why: Vec<_> = set.left_out.iter().map(LeftOut::to_string).collect();
            return Err(format!("no usable key: {}", why.join("; ")));
        }
        Ok(set)
    }

    /// Whether both sets come from the same document, byte for byte.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.document.is_some() && self.document == other.document
    }

    /// The number of usable keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    #[cfg(test)]
    pub(super) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.names.id.as_deref() == Some(id))
    }

    /// For `tests/fuzz`.
    #[cfg(fuzzing)]
    pub(super) fn algorithms(&self) -> Vec<Vec<Algorithm>> {
        let of =
            |key: &VerificationKey| key.verifiers.iter().map(|(algorithm, _)| *algorithm).collect();
        self.keys.iter().map(of).collect()
    }

    /// The keys that may have signed a token with these names and this algorithm. A `kid` is binding. A thumbprint is
    /// binding if the set has thumbprints.
    pub(super) fn fitting<'a>(
        &'a self,
        names: &'a KeyNames,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a ParsedPublicKey> {
        let named = self.named(names);
        let meant = self.keys.iter().filter(move |key| named.means(&key.names));
        meant.filter_map(move |key| key.fits(algorithm))
    }

    fn named<'a>(&self, names: &'a KeyNames) -> Named<'a> {
        if let Some(id) = &names.id {
            return Named::Id(id);
        }
        let thumbprint = Named::Thumbprint(names);
        let have = |which: fn(&KeyNames) -> bool| self.keys.iter().any(|key| which(&key.names));
        let binding = (names.sha1.is_some() && have(|key| key.sha1.is_some()))
            || (names.sha256.is_some() && have(|key| key.sha256.is_some()))
            || self.keys.iter().any(|key| thumbprint.means(&key.names));
        if binding { thumbprint } else { Named::NotAtAll }
    }

    /// Why no key fits.
    pub(super) fn why_none_fits(&self, names: &KeyNames) -> NoKey {
        let named = self.named(names);
        if matches!(named, Named::NotAtAll) {
            return NoKey::Unknown;
        }
        let known = self.keys.iter().any(|key| named.means(&key.names));
        let id = names.id.as_ref();
        let left_out = self.left_out.iter().find(|key| id.is_some() && key.id.as_ref() == id);
        match left_out {
            Some(left_out) => NoKey::LeftOut(left_out.why),
            None if known => NoKey::OfAnotherAlgorithm,
            None => NoKey::Unknown,
        }
    }
}

/// Whether this is a key set with an empty list of keys.
fn is_empty(value: &Value) -> bool {
    value.get("keys").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// Why a key set has no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The set has the key, but the gateway cannot use it.
    LeftOut(&'static str),
    /// The set has the key, but it is for another algorithm.
    OfAnotherAlgorithm,
    /// The reason is unknown: the set may be older than the key.
    Unknown,
}

fn key(jwk: &Map<String, Value>) -> Result<VerificationKey, LeftOut> {
    let mut names = KeyNames::default();
    let refuse = |id: &Option<String>, why| Err(LeftOut { id: id.clone(), why });
    for (member, name, why) in [
        ("kid", &mut names.id, "a `kid` that is not a string"),
        ("x5t", &mut names.sha1, "an `x5t` that is not a string"),
        ("x5t#S256", &mut names.sha256, "an `x5t#S256` that is not a string"),
    ] {
        match jwk.get(member) {
            None => {}
            Some(Value::String(text)) => *name = Some(text.clone()),
            Some(_) => return refuse(&None, why),
        }
    }
    let refuse = |why| refuse(&names.id, why);
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
        Some(Value::String(alg)) => {
            let alg = Algorithm::from_name(alg);
            algorithms.retain(|algorithm| Some(*algorithm) == alg);
        }
        Some(_) => return refuse("an `alg` that is not a string"),
    }
    if algorithms.is_empty() {
        return refuse("its `alg` does not fit its type, or the gateway does not accept it");
    }
    let verifiers: Result<Vec<_>, _> = algorithms
        .into_iter()
        .map(|algorithm| Ok((algorithm, ParsedPublicKey::new(verification(algorithm), &public)?)))
        .collect();
    match verifiers {
        Ok(verifiers) => Ok(VerificationKey { names, public, verifiers }),
        Err(KeyRejected { .. }) => refuse("its numbers do not make a key of its type"),
    }
}

/// The public key's bytes, and every algorithm that a key of its type can have.
fn material(jwk: &Map<String, Value>) -> Result<(Vec<Algorithm>, Vec<u8>), &'static str> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    match (text("kty"), text("crv")) {
        (Some("RSA"), _) => rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?),
        (Some("EC"), Some("P-256")) => Ok((vec![Algorithm::Es256], point(jwk, 32)?)),
        (Some("EC"), Some("P-384")) => Ok((vec![Algorithm::Es384], point(jwk, 48)?)),
        (Some("OKP"), Some("Ed25519")) => Ok((vec![Algorithm::EdDsa], bytes(jwk, "x")?)),
        (Some("oct"), _) => Err("a shared secret: only asymmetric keys are accepted"),
        _ => Err("a type or curve that is not accepted"),
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<(Vec<Algorithm>, Vec<u8>), &'static str> {
    let n = strip_zeros(n);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err("an RSA key under 2048 or over 8192 bits");
    }
    // An even or tiny exponent cannot belong to an RSA key; 65537 is the usual one.
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
    let der = RsaPublicKeyComponents { n, e }.as_der().map_err(|_| "not an RSA key")?;
    Ok((algorithms, der.as_ref().to_vec()))
}

fn strip_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// The key's point in the uncompressed form of SEC 1.
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

/// The aws-lc verification for an algorithm.
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
