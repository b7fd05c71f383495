//! Takes a bearer token apart (RFC 6750, RFC 7515): checks its form only and believes nothing yet.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use quick_cache::sync::Cache;

use super::{Algorithm, keys::KeyNames, refusal::Refusal};
use crate::domain::json::{self, Members, Node};

/// The longest token, in bytes. A token from Entra ID with 199 groups, the most that it puts into one, has 11.6 KB. All
/// headers together may have 32 KiB.
const MAX_TOKEN: usize = 16 * 1024;

/// How many headers to remember: a few keys of a few issuers.
const MAX_HEADERS: usize = 64;

/// Header members that name a key, or change what the rest means. The gateway never takes a key from a token
/// (docs/threats.md, row 17), and must refuse an unknown extension (RFC 7515, 4.1.11).
const REFUSED_MEMBERS: [&str; 7] = ["crit", "jku", "jwk", "x5u", "x5c", "enc", "zip"];

/// A token in its compact form (RFC 7515, section 7.1), its payload decoded.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    message: &'a [u8],
    header: &'a str,
    payload: Vec<u8>,
    signature: &'a str,
}

/// A token's parts, not verified.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// The signed bytes: header and payload as they came.
    pub(super) message: &'a [u8],
    /// The signature, in base64url.
    pub(super) signature: &'a str,
    /// The header, parsed and as text.
    pub(super) header: Arc<Header>,
    header_text: &'a str,
    /// The claims, not verified.
    pub(super) claims: Members<'a>,
}

/// A token's header.
#[derive(Debug)]
pub(super) struct Header {
    /// The algorithm that the header names.
    pub(super) algorithm: Algorithm,
    /// The key that the header names.
    pub(super) key: KeyNames,
    /// The token's `typ`.
    pub(super) kind: Option<String>,
}

/// Parsed headers, kept because all tokens of an issuer have the same header until its key changes. Only headers of
/// good tokens are kept, so that forged ones cannot fill the cache.
#[derive(Debug)]
pub(super) struct Headers(Cache<Box<str>, Arc<Header>>);

impl Headers {
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_HEADERS))
    }

    /// Remembers the header of a token that has been accepted.
    pub(super) fn keep(&self, token: &Token<'_>) {
        if self.0.peek(token.header_text).is_none() {
            self.0.insert(token.header_text.into(), Arc::clone(&token.header));
        }
    }

    fn read(&self, text: &str) -> Result<Arc<Header>, Refusal> {
        match self.0.get(text) {
            Some(header) => Ok(header),
            None => Header::parse(text).map(Arc::new),
        }
    }
}

impl<'a> Compact<'a> {
    /// Splits a token.
    ///
    /// # Errors
    /// When it is not a signed JWT.
    pub(super) fn split(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::malformed(
                "the token is longer than 16 KiB: ask for one with fewer groups or claims",
            ));
        }
        let mut parts = token.split('.');
        let (header, payload, signature, more) =
            (parts.next(), parts.next(), parts.next(), parts.count());
        let (Some(header), Some(payload), Some(signature), 0) = (header, payload, signature, more)
        else {
            return Err(Refusal::malformed(match more {
                2 => "encrypted tokens are not accepted: send a signed one",
                _ => "the token is not a JWT: header.payload.signature",
            }));
        };
        if signature.is_empty() {
            return Err(Refusal::malformed("the token is not signed"));
        }
        let message = token.get(..header.len() + 1 + payload.len()).unwrap_or_default().as_bytes();
        Ok(Self { message, header, payload: decode(payload, "payload")?, signature })
    }
}

impl<'a> Token<'a> {
    /// Parses a token's header and claims.
    ///
    /// # Errors
    /// When it is not a plain signed JWT.
    pub(super) fn read(compact: &'a Compact<'a>, headers: &Headers) -> Result<Self, Refusal> {
        Ok(Self {
            message: compact.message,
            signature: compact.signature,
            header: headers.read(compact.header)?,
            header_text: compact.header,
            claims: object(&compact.payload, "payload")?,
        })
    }
}

impl Header {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let bytes = decode(text, "header")?;
        let header = object(&bytes, "header")?;
        if let Some(member) = REFUSED_MEMBERS.iter().find(|name| header.has(name)) {
            return Err(Refusal::malformed(format!(
                "a token with `{member}` in its header is not accepted"
            )));
        }
        if member(&header, "cty")?.is_some_and(|kind| is_type(kind, "JWT")) {
            return Err(Refusal::malformed("nested tokens are not accepted"));
        }
        let algorithm = member(&header, "alg")?
            .and_then(Algorithm::from_name)
            .ok_or_else(|| Refusal::malformed("the token's `alg` is missing or not accepted"))?;
        let owned = |name| Ok(member(&header, name)?.map(str::to_owned));
        let key = KeyNames { id: owned("kid")?, sha1: owned("x5t")?, sha256: owned("x5t#S256")? };
        Ok(Self { algorithm, key, kind: owned("typ")? })
    }
}

/// Whether a `typ` or `cty` is this type; its `application/` may be omitted (RFC 7515, 4.1.9).
pub(super) fn is_type(value: &str, kind: &str) -> bool {
    let short = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.strip_prefix("application/").map_or(text.clone(), str::to_owned)
    };
    short(value) == short(kind)
}

fn decode(part: &str, name: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refusal::malformed(format!("the token's {name} is not base64url")))
}

fn object<'a>(bytes: &'a [u8], name: &str) -> Result<Members<'a>, Refusal> {
    match json::read(bytes) {
        Ok(Node::Object(members)) => Ok(members),
        _ => Err(Refusal::malformed(format!(
            "the token's {name} is not a JSON object with each key once"
        ))),
    }
}

/// A member of the header, as text.
fn member<'a>(header: &'a Members<'a>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match header.get(name) {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::malformed(format!("the token's `{name}` is not a string"))),
    }
}
