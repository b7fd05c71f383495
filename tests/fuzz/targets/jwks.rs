//! Key sets: no key verifies a signature that its type and size may not, and no key is found by chance.

#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use zec_gateway::{auth::Algorithm, fuzz::Keys};

/// The most keys that the gateway reads from one set.
const MAX_KEYS: usize = 100;

const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

fuzz_target!(|document: &[u8]| {
    let Ok(keys) = Keys::parse(document) else { return };
    let all = keys.algorithms();
    let value = oracle::strict(document).expect("strict JSON");
    let list = value["keys"].as_array().expect("a list of keys");
    assert!((1..=MAX_KEYS).contains(&all.len()));

    // Each key alone is the same as in the set, and the set has no key that is unusable alone.
    let mut alone = Vec::new();
    for jwk in list.iter().take(MAX_KEYS) {
        if let Ok(found) = Keys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()) {
            let found = found.algorithms();
            let [algorithms] = found.as_slice() else { panic!("several keys of one") };
            fits(jwk, algorithms);
            alone.push((jwk["kid"].as_str(), algorithms.clone()));
        }
    }
    // A repeated key counts once, so some may be missing, but none may be added or moved.
    let mut rest = alone.iter();
    for one in &all {
        assert!(rest.any(|(_, algorithms)| algorithms == one), "a key that is nowhere in the set");
    }

    // The fitting keys are those with that id, or all if the token names no id.
    for algorithm in Algorithm::ALL {
        let ids = alone.iter().take(3).map(|(id, _)| *id);
        for id in ids.chain([None, Some("nobody's")]) {
            let fitting = alone.iter().filter(|(one, algorithms)| {
                algorithms.contains(&algorithm) && (id.is_none() || *one == id)
            });
            let (found, most) = (keys.fitting(id, algorithm), fitting.count());
            assert!(found <= most && (found == 0) == (most == 0), "{found} of {most}");
        }
    }
});

fn fits(jwk: &Value, algorithms: &[Algorithm]) {
    let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
    let bytes = |name: &str| {
        let text = jwk[name].as_str().unwrap_or_else(|| panic!("no `{name}`"));
        let bytes = URL_SAFE_NO_PAD.decode(text).expect("base64url");
        bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>()
    };
    assert!(!names.is_empty() && jwk.get("d").is_none(), "{jwk}");
    assert!(jwk.get("use").is_none_or(|usage| usage == "sig"));
    let verifies =
        |list: &Value| list.as_array().is_some_and(|list| list.contains(&json!("verify")));
    assert!(jwk.get("key_ops").is_none_or(verifies));
    assert!(jwk.get("kid").is_none_or(Value::is_string));
    let fitting: &[&str] = match (jwk["kty"].as_str(), jwk["crv"].as_str()) {
        (Some("RSA"), _) => {
            let (n, e) = (bytes("n"), bytes("e"));
            let bits = n.len() * 8 - n[0].leading_zeros() as usize;
            assert!((2048..=8192).contains(&bits), "{bits} bits");
            assert!(e.len() <= 4 && e != [1] && e.last().is_some_and(|last| last % 2 == 1));
            &RSA
        }
        (Some("EC"), Some("P-256")) => &["ES256"],
        (Some("EC"), Some("P-384")) => &["ES384"],
        (Some("OKP"), Some("Ed25519")) => &["EdDSA"],
        other => panic!("a key of the type {other:?}"),
    };
    match jwk.get("alg") {
        None => assert_eq!(names, fitting),
        Some(alg) => {
            let alg = match alg.as_str().expect("a text") {
                "Ed25519" => "EdDSA",
                other => other,
            };
            assert!(names == [alg] && fitting.contains(&names[0]))
        }
    }
}
