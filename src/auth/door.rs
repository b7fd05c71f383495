//! The door: which scheme a request uses to say who calls. Each scheme has files of its own.

use http::{HeaderMap, header::AUTHORIZATION};

use super::{issued_keys, refusal::Refusal};
use crate::metrics::AuthResult;

const HINT: &str = "send one header `Authorization: Bearer <JWT>`";

/// What a request offers, by the scheme that its header names; the text is the rest of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered<'a> {
    /// A token of an issuer (`bearer.rs`).
    Token(&'a str),
    /// A signature with an access key (`issued_keys`).
    Signature(&'a str),
}

/// Reads the one `Authorization` header of a request.
///
/// # Errors
/// When there is none, more than one, or one of another scheme.
pub(super) fn offered(headers: &HeaderMap) -> Result<Offered<'_>, Refusal> {
    let missing = |why: &str| Refusal::new(AuthResult::Missing, format!("{why}: {HINT}"));
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(missing("the request has no token")),
        (Some(value), None) => value,
        (Some(_), Some(_)) => {
            return Err(Refusal::malformed(format!("several `Authorization` headers: {HINT}")));
        }
    };
    let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Err(missing("the `Authorization` header holds no token"));
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Offered::Token(rest.trim_matches(' ')));
    }
    if scheme.eq_ignore_ascii_case(issued_keys::SCHEME) {
        return Ok(Offered::Signature(rest.trim_matches(' ')));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        return Err(missing(
            "the `Authorization` header is Basic, with a user and a password; some clients, such \
             as Python's requests, replace yours with one from `~/.netrc`: look for this host in \
             that file",
        ));
    }
    Err(missing("the `Authorization` header is of another scheme"))
}
