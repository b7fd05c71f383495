//! Reads what a signed request says of itself: which key, which headers, which signature, at which time.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{super::refusal::Refusal, hex::from_hex, signature::Signature};

/// The scheme's name, in `Authorization`, in the signed text, and in `X-ZC-Signature-Method`.
pub(in crate::auth) const SCHEME: &str = "ZC2-HMAC-SHA256";

/// How ZEC's older pages spell it in `X-ZC-Signature-Method`, and only there (docs/zec-api.md, section 1).
const LEGACY_METHOD: &str = "ZC2-HMAC_SHA256";

/// The longest id of a key, in bytes.
pub(super) const MAX_ID: usize = 64;

/// The most headers that a signature may cover. ZEC's clients sign two.
const MAX_HEADERS: usize = 32;

/// The headers that every signature covers.
const ALWAYS_SIGNED: [&str; 2] = ["content-type", "host"];

const TIMESTAMP: HeaderName = HeaderName::from_static("x-zc-timestamp");
const METHOD: HeaderName = HeaderName::from_static("x-zc-signature-method");

/// What `Authorization` says, after the scheme: `Credential=<id>, SignedHeaders=<a;b>, Signature=<64 digits>`.
#[derive(Debug)]
pub(super) struct Claimed<'a> {
    pub(super) id: &'a str,
    /// `SignedHeaders` as it came.
    pub(super) names: &'a str,
    pub(super) signature: Signature,
}

/// `X-ZC-Timestamp`, as it came and in Unix seconds.
#[derive(Debug)]
pub(super) struct Timestamp<'a> {
    pub(super) text: &'a str,
    pub(super) seconds: u64,
}

impl<'a> Claimed<'a> {
    /// Reads the three parts, which have this order in every client of ZEC.
    ///
    /// # Errors
    /// When a part is missing, malformed or repeated.
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut parts = text.split(',').map(|part| part.trim_matches(' ').split_once('='));
        let mut part = |name: &str| match parts.next().flatten() {
            Some((found, value)) if found == name => Ok(value),
            _ => Err(Refusal::malformed(format!(
                "the header `Authorization` has no `{name}` in its place: it is `{SCHEME} Credential=<id>, \
                 SignedHeaders=<names>, Signature=<64 digits>`"
            ))),
        };
        let (id, names, signature) =
            (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        if parts.next().is_some() {
            return Err(Refusal::malformed("the header `Authorization` has more than three parts"));
        }
        if !is_id(id) {
            return Err(Refusal::malformed(format!(
                "`Credential` is no id of an access key: 1 to {MAX_ID} letters and digits"
            )));
        }
        check_names(names)?;
        let signature = from_hex(signature).ok_or_else(|| {
            Refusal::malformed("`Signature` is not 64 hexadecimal digits in lower case")
        })?;
        Ok(Self { id, names, signature })
    }
}

/// Whether a text can be the id of a key.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Checks the list of signed headers: in lower case, in order, each once, with those that must be there.
fn check_names(names: &str) -> Result<(), Refusal> {
    let mut before = "";
    let mut must = ALWAYS_SIGNED.into_iter().peekable();
    for (number, name) in names.split(';').enumerate() {
        let token = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if name.is_empty() || !name.bytes().all(token) || name <= before {
            return Err(Refusal::malformed(
                "`SignedHeaders` are not names in lower case, in alphabetical order, each once, with `;` between them",
            ));
        }
        if number >= MAX_HEADERS {
            return Err(Refusal::malformed(format!(
                "`SignedHeaders` names more than {MAX_HEADERS} headers"
            )));
        }
        must.next_if_eq(&name);
        before = name;
    }
    match must.next() {
        Some(name) => Err(Refusal::malformed(format!(
            "`SignedHeaders` does not name `{name}`: sign `content-type;host`"
        ))),
        None => Ok(()),
    }
}

/// The time of a signed request, and whether its method is ours.
///
/// # Errors
/// When the time is missing, repeated or no time, or the method is another one.
pub(super) fn timestamp(headers: &HeaderMap) -> Result<Timestamp<'_>, Refusal> {
    if headers.contains_key(METHOD) {
        let method = single(headers, &METHOD)?.as_bytes();
        if method != SCHEME.as_bytes() && method != LEGACY_METHOD.as_bytes() {
            return Err(Refusal::malformed(format!(
                "`X-ZC-Signature-Method` names another method: use {SCHEME}"
            )));
        }
    }
    let text = single(headers, &TIMESTAMP)?.to_str().unwrap_or_default();
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits);
    let seconds = seconds.ok_or_else(|| {
        Refusal::malformed("`X-ZC-Timestamp` is no time: send the Unix time in seconds")
    })?;
    Ok(Timestamp { text, seconds })
}

/// The value of a header that must be there exactly once.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<&'a HeaderValue, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(Refusal::malformed(format!(
            "the header `{name}` is missing: send it, because the signature covers it"
        ))),
        (Some(_), Some(_)) => Err(Refusal::malformed(format!(
            "the header `{name}` appears twice, and the signature speaks of one"
        ))),
    }
}
