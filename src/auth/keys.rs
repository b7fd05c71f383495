//! An issuer's public keys: what of a JWKS (RFC 7517) can verify a token, and with what.

use std::collections::HashMap;

use aws_lc_rs::signature::{self, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm as JwtAlgorithm, DecodingKey};
use serde_json::{Map, Value};

use super::Algorithm;
use crate::domain::json;

/// The most keys that are read of one set.
const MAX_KEYS: usize = 100;

/// RSA keys are taken from 2048 bits (NIST SP 800-131A) to 8192, past which verifying one token
/// costs so much that a set could stall the gateway.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The usable keys of one issuer.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    by_id: HashMap<String, Vec<usize>>,
    /// Why the other keys of the document were left out, for the log.
    pub(super) left_out: Vec<String>,
}

/// One key, with the algorithms that it alone decides on.
#[derive(Debug)]
struct Key {
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

impl KeySet {
    /// Reads a JWKS document; a key that cannot be used does not spoil the others.
    ///
    /// # Errors
    /// When the document is not one, or no key in it can be used.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let value = json::parse(document).map_err(|error| format!("not JSON: {error}"))?;
        let Some(list) = value.get("keys").and_then(Value::as_array) else {
            return Err("no member `keys` with a list of keys".to_owned());
        };
        let mut set = Self { keys: Vec::new(), by_id: HashMap::new(), left_out: Vec::new() };
        for jwk in list.iter().take(MAX_KEYS) {
            match jwk.as_object().ok_or_else(|| "not an object".to_owned()).and_then(key) {
                Ok((id, key)) => {
                    if let Some(id) = id {
                        set.by_id.entry(id).or_default().push(set.keys.len());
                    }
                    set.keys.push(key);
                }
                Err(why) => set.left_out.push(why),
            }
        }
        if set.keys.is_empty() {
            return Err(format!("no usable key: {}", set.left_out.join("; ")));
        }
        Ok(set)
    }

    /// How many keys can be used.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// For `tests/fuzz`.
    #[cfg(fuzzing)]
    pub(super) fn algorithms(&self) -> Vec<Vec<Algorithm>> {
        self.keys.iter().map(|key| key.algorithms.clone()).collect()
    }

    /// The one key that a token with this `kid` and algorithm can have been signed with. A token
    /// without `kid` finds one only where a single key fits.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let mut fitting: Box<dyn Iterator<Item = &Key>> = match id {
            Some(id) => Box::new(
                self.by_id
                    .get(id)
                    .into_iter()
                    .flatten()
                    .filter_map(|at| self.keys.get(*at))
                    .filter(fits),
            ),
            None => Box::new(self.keys.iter().filter(fits)),
        };
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(&key.decoding),
            _ => None,
        }
    }
}

fn key(jwk: &Map<String, Value>) -> Result<(Option<String>, Key), String> {
    let id = match jwk.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err("a `kid` that is no text".to_owned()),
    };
    let name = id.as_deref().unwrap_or("(no kid)").escape_debug().to_string();
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
    let (mut algorithms, decoding) = match material(jwk) {
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
    Ok((id, Key { algorithms, decoding }))
}

/// The key itself, checked, and every algorithm that a key of its type could have.
fn material(jwk: &Map<String, Value>) -> Result<(Vec<Algorithm>, DecodingKey), &'static str> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    match (text("kty"), text("crv")) {
        (Some("RSA"), _) => rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?),
        (Some("EC"), Some("P-256")) => {
            elliptic(jwk, Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED, 32)
        }
        (Some("EC"), Some("P-384")) => {
            elliptic(jwk, Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED, 48)
        }
        (Some("OKP"), Some("Ed25519")) => {
            let x = bytes(jwk, "x")?;
            ParsedPublicKey::new(&signature::ED25519, &x).map_err(|_| "not an Ed25519 key")?;
            Ok((vec![Algorithm::EdDsa], DecodingKey::from_ed_der(&x)))
        }
        (Some("oct"), _) => Err("a shared secret: only asymmetric keys are taken"),
        _ => Err("a type or curve that is not taken"),
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<(Vec<Algorithm>, DecodingKey), &'static str> {
    let n = strip_zeros(n);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err("an RSA key under 2048 or over 8192 bits");
    }
    // An even or tiny exponent is no RSA key; 65537 is what everyone uses.
    let e = strip_zeros(e);
    if e.len() > 4 || e.last().is_none_or(|last| last % 2 == 0) || e == [1] {
        return Err("an RSA key with an odd exponent");
    }
    let algorithms = vec![
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ];
    Ok((algorithms, DecodingKey::from_rsa_raw_components(n, e)))
}

fn strip_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn elliptic(
    jwk: &Map<String, Value>,
    algorithm: Algorithm,
    verification: &'static signature::EcdsaVerificationAlgorithm,
    size: usize,
) -> Result<(Vec<Algorithm>, DecodingKey), &'static str> {
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err("coordinates of the wrong length");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    ParsedPublicKey::new(verification, &point).map_err(|_| "a point that is not on its curve")?;
    Ok((vec![algorithm], DecodingKey::from_ec_der(&point)))
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    jwk.get(name)
        .and_then(Value::as_str)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or("a part of the key that is missing or not base64url")
}

/// The same algorithm in `jsonwebtoken`'s words.
pub(super) fn jwt_algorithm(algorithm: Algorithm) -> JwtAlgorithm {
    match algorithm {
        Algorithm::Es256 => JwtAlgorithm::ES256,
        Algorithm::Es384 => JwtAlgorithm::ES384,
        Algorithm::Rs256 => JwtAlgorithm::RS256,
        Algorithm::Rs384 => JwtAlgorithm::RS384,
        Algorithm::Rs512 => JwtAlgorithm::RS512,
        Algorithm::Ps256 => JwtAlgorithm::PS256,
        Algorithm::Ps384 => JwtAlgorithm::PS384,
        Algorithm::Ps512 => JwtAlgorithm::PS512,
        Algorithm::EdDsa => JwtAlgorithm::EdDSA,
    }
}
