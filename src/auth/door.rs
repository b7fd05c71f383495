//! For `tests/fuzz`: the parsers of this room, called as the room itself does.

use std::time::SystemTime;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::{Algorithm, IssuerSettings, KeySet, Token, claims, token};
use crate::domain::Caller;

/// A token taken apart, not verified.
#[derive(Debug)]
pub struct TokenParts {
    /// What is signed.
    pub message: Vec<u8>,
    /// The algorithm that it claims.
    pub algorithm: Algorithm,
    /// The key that it claims.
    pub key_id: Option<String>,
    /// Its claims.
    pub claims: Map<String, Value>,
}

pub(crate) fn token(text: &str) -> Option<TokenParts> {
    let Token { message, algorithm, key_id, claims, .. } = Token::parse(text).ok()?;
    Some(TokenParts { message: message.to_owned(), algorithm, key_id, claims })
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    token::bearer(headers).ok()
}

pub(crate) fn claims(
    claims: &Map<String, Value>,
    settings: &IssuerSettings,
    now: SystemTime,
) -> Option<Caller> {
    claims::check(claims, settings, now).ok()
}

pub(crate) fn keys(document: &[u8]) -> Result<Vec<Vec<Algorithm>>, String> {
    KeySet::parse(document).map(|set| set.algorithms())
}

pub(crate) fn finds_key(document: &[u8], id: Option<&str>, algorithm: Algorithm) -> bool {
    KeySet::parse(document).is_ok_and(|set| set.find(id, algorithm).is_some())
}
