//! Authentication: ZEC's signature and its access tokens, checked as ZEC documents them.
//!
//! This module is written from ZEC's documentation alone and shares nothing with the gateway's own signing. So the same
//! fault in both cannot hide itself.

mod authorization;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

use aws_lc_rs::{constant_time, digest, hmac};
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use super::{
    failure::{Code, Failure},
    lock,
};
use authorization::{Authorization, SCHEME, Signed};

/// How far a timestamp may be from the server's clock, in seconds either way (documented).
const MAX_SKEW_SECONDS: u64 = 300;

/// The accepted credentials.
pub(super) struct Access {
    keys: Mutex<Vec<(String, hmac::Key)>>,
    tokens: Vec<SecretString>,
}

impl Access {
    pub(super) fn new(key_id: String, password: &SecretString, tokens: Vec<SecretString>) -> Self {
        let access = Self { keys: Mutex::default(), tokens };
        access.accept(key_id, password);
        access
    }

    /// Accepts one more access key.
    pub(super) fn accept(&self, key_id: String, password: &SecretString) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, password.expose_secret().as_bytes());
        lock(&self.keys).push((key_id, key));
    }

    /// Stops accepting that access key.
    pub(super) fn refuse(&self, key_id: &str) {
        lock(&self.keys).retain(|(known, _)| known != key_id);
    }

    /// Checks one request's headers and the exact bytes of its body. `now` is Unix time in seconds.
    ///
    /// # Errors
    /// ZEC's 401, in this order (inferred): form, timestamp, key and signature.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8], now: u64) -> Result<(), Failure> {
        let value = single(headers, header::AUTHORIZATION.as_str())?;
        match Authorization::parse(value)? {
            Authorization::Bearer(token) => self.check_token(token),
            Authorization::Signed(signed) => self.check_signature(&signed, headers, body, now),
        }
    }

    fn check_token(&self, token: &str) -> Result<(), Failure> {
        let known = |known: &SecretString| {
            let known = known.expose_secret().as_bytes();
            constant_time::verify_slices_are_equal(known, token.as_bytes()).is_ok()
        };
        if self.tokens.iter().any(known) {
            return Ok(());
        }
        // ZEC does not document its code for this case.
        Err(Failure::new(Code::InvalidAuthorization, "the access token is not valid"))
    }

    fn check_signature(
        &self,
        signed: &Signed<'_>,
        headers: &HeaderMap,
        body: &[u8],
        now: u64,
    ) -> Result<(), Failure> {
        // ZEC's Chinese page spells the example with an underscore.
        let method = single(headers, "x-zc-signature-method")?;
        if method != SCHEME && method != "ZC2-HMAC_SHA256" {
            return Err(form("the header `X-ZC-Signature-Method` names another method"));
        }
        let timestamp = single(headers, "x-zc-timestamp")?;
        check_time(timestamp, now)?;
        let mut values = Vec::with_capacity(signed.headers.len());
        for name in &signed.headers {
            values.push((*name, single(headers, name)?.to_owned()));
        }
        // ZEC's pages say that values are lower-cased, but its SDKs sign them as they are: both are accepted.
        let as_sent = to_sign(timestamp, &values, body);
        for (_, value) in &mut values {
            *value = value.to_lowercase();
        }
        let lowered = to_sign(timestamp, &values, body);
        let matches = |key: &hmac::Key| {
            [&as_sent, &lowered]
                .into_iter()
                .any(|text| hmac::verify(key, text.as_bytes(), &signed.signature).is_ok())
        };
        let known = |(id, key): &(String, hmac::Key)| *id == signed.credential && matches(key);
        if lock(&self.keys).iter().any(known) {
            Ok(())
        } else {
            Err(Failure::new(Code::SignatureFailure, "the key is unknown or the signature wrong"))
        }
    }
}

fn check_time(timestamp: &str, now: u64) -> Result<(), Failure> {
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let time: u64 = timestamp
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| form("the header `X-ZC-Timestamp` is no Unix time in seconds"))?;
    if time.abs_diff(now) > MAX_SKEW_SECONDS {
        return Err(Failure::new(
            Code::SignatureExpired,
            format!("the timestamp is {} s away from the server's time", time.abs_diff(now)),
        ));
    }
    Ok(())
}

/// The signed text: the scheme, the time, and the hash of the canonical request. The path is always `/` and the query
/// always empty, whatever the request's own.
fn to_sign(timestamp: &str, headers: &[(&str, String)], body: &[u8]) -> String {
    let mut canonical = String::from("POST\n/\n\n");
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    for (name, value) in headers {
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical.extend(["\n", &names, "\n", &sha256_hex(body)]);
    format!("{SCHEME}\n{timestamp}\n{}", sha256_hex(canonical.as_bytes()))
}

fn sha256_hex(bytes: &[u8]) -> String {
    authorization::to_hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The value of a header that must appear exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Failure> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        (None, _) => Err(form(format!("the header `{name}` is missing"))),
        _ => Err(form(format!("the header `{name}` appears twice or is no ASCII text"))),
    }
}

fn form(message: impl Into<String>) -> Failure {
    Failure::new(Code::InvalidAuthorization, message)
}
