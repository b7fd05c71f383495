//! The one way by which `tests/fuzz` reaches what is private: parsers of what comes from
//! outside, called as the gateway calls them. It is there under `cfg(fuzzing)` only.

use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode, Uri};

pub use crate::auth::fuzz_entry::{Keys, TokenParts};
use crate::{
    api,
    auth::{self, IssuerSettings},
    catalogue::{self, ActionRow, CatalogueError},
    domain::{Caller, Nic, NicId, Operation},
    error::Error,
    execute, server, zec,
};

/// The operation that a request asks for.
///
/// # Errors
/// What is wrong with it.
pub fn operation(
    method: &Method,
    target: &Uri,
    headers: &HeaderMap,
    body: Option<&[u8]>,
    max_addresses: usize,
) -> Result<Operation, Error> {
    api::fuzz_entry(method, target, headers, body, max_addresses)
}

/// The actions that an operator's file adds.
///
/// # Errors
/// What is wrong with the file.
pub fn added_actions(text: &str) -> Result<Vec<ActionRow>, CatalogueError> {
    catalogue::fuzz_entry(text)
}

/// Takes a token apart.
#[must_use]
pub fn token(text: &str) -> Option<TokenParts> {
    auth::fuzz_entry::token(text)
}

/// The one bearer token of a request.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    auth::fuzz_entry::bearer(headers)
}

/// Whom the claims of a token speak of, if they count.
#[must_use]
pub fn claims(claims: &[u8], settings: &IssuerSettings, now: SystemTime) -> Option<Caller> {
    auth::fuzz_entry::claims(claims, settings, now)
}

/// Where the discovery document of this issuer says that its keys are.
#[must_use]
pub fn discovered(document: &[u8], issuer: &str) -> Option<Uri> {
    auth::fuzz_entry::discovered(document, issuer)
}

/// What the caller of a write is told of ZEC's answer; ZEC's request id if it was done.
///
/// # Errors
/// The error of a write that did not succeed, or whose outcome is unknown.
pub fn written(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<String, Error> {
    zec::fuzz_entry::written(status, headers, body).map_err(|failure| execute::fuzz_entry(&failure))
}

/// The vNIC that ZEC's answer shows, where this one was asked for.
#[must_use]
pub fn found(
    asked: &NicId,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Option<Nic>> {
    zec::fuzz_entry::found(asked, status, headers, body)
}

/// What of a connection's bytes is handed on, cut as it is read in pieces of this size, none of
/// them a body.
#[must_use]
pub fn heads(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
    server::fuzz_entry(bytes, piece)
}
