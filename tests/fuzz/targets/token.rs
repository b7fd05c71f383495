//! The `Authorization` header and its token. Only a plain signed JWT is taken apart, and no caller is accepted without
//! the issuer's signature.
//!
//! An input is the header's value; a line feed starts another one.

#![no_main]

use std::{sync::LazyLock, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zec_gateway::{auth::Algorithm, fuzz};

/// The possible values of a token's `alg`.
const ALGORITHMS: [&str; 10] =
    ["ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"];

/// Members that name a key, or change what the rest means.
const REFUSED: [&str; 7] = ["crit", "jku", "jwk", "x5u", "x5c", "enc", "zip"];

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for value in input.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        headers.append(AUTHORIZATION, value);
    }
    assert!(
        oracle::at_once(world().authenticate(&headers, SystemTime::now())).is_err(),
        "nobody signed this"
    );
    let Some(token) = fuzz::bearer(&headers) else { return };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).expect("a text");
    assert!(values.next().is_none(), "one of several was taken");
    let (scheme, rest) = value.split_at(7);
    assert!(scheme.eq_ignore_ascii_case("bearer ") && rest.trim_matches(' ') == token);
    if let Some(parts) = fuzz::token(token) {
        plain(token, &parts);
    }
});

/// A gateway with one issuer that has one key.
fn world() -> &'static zec_gateway::auth::Authenticator {
    static WORLD: LazyLock<zec_gateway::auth::Authenticator> = LazyLock::new(oracle::authenticator);
    &WORLD
}

fn plain(token: &str, parts: &fuzz::TokenParts) {
    assert!(token.len() <= 8 * 1024);
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("not three parts")
    };
    assert!(!signature.is_empty(), "not signed");
    assert_eq!(parts.message, format!("{header}.{payload}").as_bytes());
    let json = |part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
        oracle::strict(&bytes).expect("strict JSON")
    };
    let header = json(header);
    assert!(ALGORITHMS.contains(&header["alg"].as_str().expect("a text")), "{header}");
    assert_eq!(
        Algorithm::from_name(header["alg"].as_str().expect("a text")),
        Some(parts.algorithm)
    );
    assert!(REFUSED.iter().all(|name| header.get(name).is_none()), "{header}");
    assert_eq!(header.get("kid").and_then(Value::as_str), parts.key_id.as_deref());
    assert!(header.get("kid").is_none_or(Value::is_string));
    assert!(header.get("typ").is_none_or(Value::is_string));
    assert_eq!(json(payload), Value::Object(parts.claims.clone()));
}
