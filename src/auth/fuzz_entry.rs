//! For `tests/fuzz`: the parsers of this module, called as the module itself calls them.

use std::time::SystemTime;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::{
    Algorithm, Compact, IssuerSettings, KeySet, Token, claims, discovery,
    door::{self, Offered},
    keys::KeyNames,
    token::Headers,
};
use crate::domain::{
    Caller,
    json::{self, Node},
};

/// The parts of a token, not verified.
#[derive(Debug)]
pub struct TokenParts {
    /// The signed bytes.
    pub message: Vec<u8>,
    /// The algorithm in the token's header.
    pub algorithm: Algorithm,
    /// The key id in the token's header.
    pub key_id: Option<String>,
    /// Its claims.
    pub claims: Map<String, Value>,
}

pub(crate) fn token(text: &str) -> Option<TokenParts> {
    let compact = Compact::split(text).ok()?;
    let Token { message, header, claims, .. } = Token::read(&compact, &Headers::new()).ok()?;
    let (algorithm, key_id) = (header.algorithm, header.key.id.clone());
    Some(TokenParts { message: message.to_owned(), algorithm, key_id, claims: claims.into() })
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    match door::offered(headers).ok()? {
        Offered::Token(token) => Some(token),
        Offered::Signature(_) => None,
    }
}

pub(crate) fn claims(claims: &[u8], settings: &IssuerSettings, now: SystemTime) -> Option<Caller> {
    let Ok(Node::Object(claims)) = json::read(claims) else { return None };
    claims::check(&claims, settings, now).ok().map(|(caller, _, _)| caller)
}

/// The usable keys of a key set.
#[derive(Debug)]
pub struct Keys(KeySet);

impl Keys {
    /// Reads a key set.
    ///
    /// # Errors
    /// When there is no usable key in it.
    pub fn parse(document: &[u8]) -> Result<Self, String> {
        KeySet::parse(document).map(Self)
    }

    /// The algorithms of each key, in the set's order.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Vec<Algorithm>> {
        self.0.algorithms()
    }

    /// How many keys may have signed a token with this `kid` and algorithm.
    #[must_use]
    pub fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> usize {
        let names = KeyNames { id: id.map(str::to_owned), ..KeyNames::default() };
        self.0.fitting(&names, algorithm).count()
    }
}

/// The address of the keys in the discovery document of this issuer.
pub(crate) fn discovered(document: &[u8], issuer: &str) -> Option<http::Uri> {
    discovery::parse(document, issuer).ok()
}
