//! A token issuer for development and tests. It signs with its own private key, or with one from a file, and publishes
//! the public half as a key set. It never signs production tokens.

mod serve;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, ThumbprintHash},
};
use serde_json::{Map, Value, json};

/// Signs tokens with one private key.
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    key_id: String,
    jwk: Value,
    pem: String,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SignerError(String);

/// The subject and lifetime of a token.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `aud`.
    pub audience: String,
    /// The token's `sub`.
    pub subject: String,
    /// The token's `groups`.
    pub groups: Vec<String>,
    /// The lifetime, counted from now.
    pub lifetime: Duration,
}

impl Signer {
    /// Creates an ES256 key.
    ///
    /// # Errors
    /// When the system provides no randomness.
    pub fn es256() -> Result<Self, SignerError> {
        let key =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| no_randomness())?;
        Self::from_pem(&pem(key.as_ref()))
    }

    /// Creates an RS256 key of 2048 bits.
    ///
    /// # Errors
    /// When the system provides no randomness.
    pub fn rs256() -> Result<Self, SignerError> {
        let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| no_randomness())?;
        let der = key.as_der().map_err(|_| no_randomness())?;
        Self::from_pem(&pem(der.as_ref()))
    }

    /// Creates an Ed25519 key.
    ///
    /// # Errors
    /// When the system provides no randomness.
    pub fn eddsa() -> Result<Self, SignerError> {
        let key = Ed25519KeyPair::generate().map_err(|_| no_randomness())?;
        let der = key.to_pkcs8v1().map_err(|_| no_randomness())?;
        Self::from_pem(&pem(der.as_ref()))
    }

    /// Reads the key from a PKCS#8 PEM text: P-256, Ed25519 or RSA.
    ///
    /// # Errors
    /// When the text contains no such key.
    pub fn from_pem(pem: &str) -> Result<Self, SignerError> {
        let bytes = pem.as_bytes();
        let tried = [
            (Algorithm::ES256, EncodingKey::from_ec_pem(bytes)),
            (Algorithm::EdDSA, EncodingKey::from_ed_pem(bytes)),
            (Algorithm::RS256, EncodingKey::from_rsa_pem(bytes)),
        ];
        for (algorithm, key) in tried {
            let Ok(key) = key else { continue };
            let Ok(jwk) = Jwk::from_encoding_key(&key, algorithm) else { continue };
            let Ok(key_id) = jwk.thumbprint(ThumbprintHash::SHA256) else { continue };
            let mut jwk = serde_json::to_value(&jwk).map_err(|e| SignerError(e.to_string()))?;
            if let Some(members) = jwk.as_object_mut() {
                members.insert("kid".to_owned(), json!(key_id));
                members.insert("use".to_owned(), json!("sig"));
            }
            return Ok(Self { algorithm, key, key_id, jwk, pem: pem.to_owned() });
        }
        Err(SignerError(
            "no private key that can sign: make one with `openssl genpkey -algorithm EC \
             -pkeyopt ec_paramgen_curve:P-256`"
                .to_owned(),
        ))
    }

    /// The private key in PEM, for a file that only its owner can read.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The key's RFC 7638 thumbprint, which is the `kid` of every token.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half, as a JWK.
    #[must_use]
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// A token for a grant, valid from now on.
    ///
    /// # Errors
    /// When signing fails.
    pub fn token(&self, grant: &Grant) -> Result<String, SignerError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({
            "iss": grant.issuer,
            "aud": grant.audience,
            "sub": grant.subject,
            "groups": grant.groups,
            "iat": now,
            "exp": now + grant.lifetime.as_secs(),
        });
        match claims {
            Value::Object(claims) => self.sign(&claims),
            _ => Err(SignerError("no claims".to_owned())),
        }
    }

    /// A token with exactly these claims.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, SignerError> {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|e| SignerError(e.to_string()))
    }

    /// The signature over any message, in base64url, for tests that forge tokens.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign_message(&self, message: &[u8]) -> Result<String, SignerError> {
        jsonwebtoken::crypto::sign(message, &self.key, self.algorithm)
            .map_err(|error| SignerError(error.to_string()))
    }
}

/// The key set document of these signers.
#[must_use]
pub fn key_set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

pub use serve::serve_key_set;

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for (at, char) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(char);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

fn no_randomness() -> SignerError {
    SignerError("the system gives no randomness".to_owned())
}
