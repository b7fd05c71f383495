//! Tokens that no issuer issued: each is refused for its own reason (docs/threats.md, row 17).

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac, rsa,
    signature::KeyPair as _,
};
use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn a_flipped_signature_and_a_swapped_payload_are_refused() {
    let world = world();
    for signer in [&world.es, &world.rs, &world.ed] {
        let token = signer.sign(&world.claims()).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = B64.decode(signature).unwrap();
        bytes[20] ^= 1;
        world.refuses(&format!("{message}.{}", B64.encode(&bytes)), "signature is not");
        let (header, _) = message.split_once('.').unwrap();
        let bob = B64.encode(Value::Object(world.with("sub", json!("bob"))).to_string());
        world.refuses(&format!("{header}.{bob}.{signature}"), "signature is not");
    }
}

/// The private key of an RSA signer.
pub(super) fn rsa_pair(signer: &Signer) -> rsa::KeyPair {
    let body: String = signer.pem().lines().filter(|line| !line.starts_with('-')).collect();
    rsa::KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap()
}

/// The public half of an RSA key in its published forms: PEM and DER.
fn public_key(signer: &Signer) -> (String, Vec<u8>) {
    let pair = rsa_pair(signer);
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
    (pem, der.as_ref().to_vec())
}

#[test]
fn the_algorithm_is_the_keys_never_the_tokens() {
    let world = world();
    let payload = B64.encode(Value::Object(world.claims()).to_string());
    // `none`, in each spelling, and with each kind of empty signature.
    for alg in ["none", "None", "NONE", ""] {
        let header = B64.encode(json!({"alg": alg, "kid": world.es.key_id()}).to_string());
        world.refuses(&format!("{header}.{payload}."), "not signed");
        world.refuses(&format!("{header}.{payload}.AAAA"), "`alg`");
    }
    // HMAC keyed with public values: the PEM, the DER, the JWK, the modulus, the key id.
    let (public_pem, public_der) = public_key(&world.rs);
    let secrets = [
        public_pem.as_bytes(),
        public_der.as_slice(),
        world.rs.jwk().to_string().as_bytes(),
        world.rs.jwk()["n"].as_str().unwrap().as_bytes(),
        world.rs.key_id().as_bytes(),
    ]
    .map(<[u8]>::to_vec);
    let families =
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for secret in &secrets {
        for (alg, family) in families {
            let header = B64.encode(json!({"alg": alg, "kid": world.rs.key_id()}).to_string());
            let message = format!("{header}.{payload}");
            let tag = hmac::sign(&hmac::Key::new(family, secret), message.as_bytes());
            world.refuses(&format!("{message}.{}", B64.encode(tag)), "`alg`");
        }
    }
    // An algorithm of another family than the key's, and an algorithm that is not configured.
    for (alg, kid, why) in [
        ("RS256", world.es.key_id(), "another algorithm"),
        ("ES256", world.rs.key_id(), "another algorithm"),
        ("EdDSA", world.rs.key_id(), "another algorithm"),
        ("RS512", world.rs.key_id(), "not an accepted algorithm"),
        ("ES256K", world.es.key_id(), "`alg`"),
    ] {
        let header = json!({"alg": alg, "kid": kid}).to_string();
        world.refuses(&world.forged(&header, &Value::Object(world.claims()).to_string()), why);
    }
    let no_alg = json!({"kid": world.es.key_id()}).to_string();
    world.refuses(&world.forged(&no_alg, &Value::Object(world.claims()).to_string()), "`alg`");
    let odd = world.forged(r#"{"alg":["ES256"]}"#, "{}");
    world.refuses(&odd, "`alg`");
}

#[test]
fn no_key_is_ever_taken_from_a_token() {
    let world = world();
    let mallory = Signer::es256().unwrap();
    world.refuses(&mallory.sign(&world.claims()).unwrap(), "does not publish");
    // The right key signed these, but the header member makes them invalid.
    for member in [
        format!(r#""jwk":{}"#, mallory.jwk()),
        r#""jku":"https://evil.example/jwks.json""#.to_owned(),
        r#""x5u":"https://evil.example/chain.pem""#.to_owned(),
        r#""x5c":["MIIB"]"#.to_owned(),
        r#""crit":["exp"],"exp":1"#.to_owned(),
        r#""crit":[]"#.to_owned(),
        r#""b64":false,"crit":["b64"]"#.to_owned(),
        r#""zip":"DEF""#.to_owned(),
        r#""enc":"A128GCM""#.to_owned(),
    ] {
        world.refuses(&world.header_with(&member), "in its header");
    }
    for kind in ["JWT", "application/jwt"] {
        world.refuses(&world.header_with(&format!(r#""cty":"{kind}""#)), "nested");
    }
    world.refuses(&world.header_with(r#""alg":"ES256""#), "each key once");
    assert!(world.check(&world.header_with(r#""x5t":"abc","typ":"at+jwt""#)).is_ok());
}

#[test]
fn tokens_that_are_no_tokens_are_refused() {
    let world = world();
    let good = world.es.sign(&world.claims()).unwrap();
    for (token, why) in [
        ("", "not a JWT"),
        ("not-a-jwt", "not a JWT"),
        ("a.b", "not a JWT"),
        ("a.b.c.d", "not a JWT"),
        ("a.b.c.d.e", "encrypted"),
        ("a.b.c.d.e.f", "not a JWT"),
        ("!.!.!", "not base64url"),
        ("e30.e30.AAAA", "`alg`"),
        (&format!("{good}="), "signature is not"),
        (&format!("{good}A"), "signature is not"),
        (&good.replacen('.', " .", 1), "not base64url"),
    ] {
        world.refuses(token, why);
    }
    world.refuses(&world.forged(r#"["ES256"]"#, "{}"), "not a JSON object");
    world.refuses(&world.forged(r#"{"alg":"ES256"}"#, "[]"), "not a JSON object");
    world.refuses(&world.forged(r#"{"alg":"ES256"}"#, r#"{"iss":"a"} "#), "issuer");
    let kid = world.es.key_id();
    let twice = format!(r#"{{"iss":"{ISS}","sub":"alice","su\u0062":"bob"}}"#);
    world.refuses(
        &world.forged(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#), &twice),
        "each key once",
    );
    let long = world.with("x", json!("y".repeat(12_500)));
    world.refuses_claims(&long, "16 KiB");
}

#[test]
fn a_header_that_is_known_already_changes_nothing() {
    let world = world();
    let good = world.es.sign(&world.claims()).unwrap();
    world.check(&good).unwrap();
    // The same header again: with other claims, without a signature, with another token's signature.
    let other = world.es.sign(&world.with("sub", json!("bob"))).unwrap();
    assert_eq!(world.check(&other).unwrap().subject(), "bob");
    let (message, _) = good.rsplit_once('.').unwrap();
    world.refuses(&format!("{message}."), "not signed");
    let forged = world.rs.sign_message(message.as_bytes()).unwrap();
    world.refuses(&format!("{message}.{forged}"), "signature is not");
    world.refuses_claims(&world.with("exp", json!(1)), "expired");
}
