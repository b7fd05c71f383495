//! Which key verifies a token, and which keys of a set can.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding,
    },
};

use super::{forged::rsa_pair, *};
use crate::auth::keys::Lookup;

/// A world of every algorithm and this key set.
fn world_of(document: &str) -> World {
    world_with(|issuer| {
        issuer.algorithms = Algorithm::ALL.to_vec();
        let KeySource::File(path) = &issuer.keys else { unreachable!() };
        std::fs::write(path, document).unwrap();
    })
}

#[test]
fn each_rsa_algorithm_is_verified_as_itself_and_no_other() {
    let mut world = world();
    let mut jwk = world.rs.jwk().clone();
    // A key that names no `alg` is one of each.
    jwk.as_object_mut().unwrap().remove("alg");
    world.auth = world_of(&json!({"keys": [jwk]}).to_string()).auth;
    let pair = rsa_pair(&world.rs);
    let families: [(&str, &'static dyn RsaEncoding); 6] = [
        ("RS256", &RSA_PKCS1_SHA256),
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
        ("PS384", &RSA_PSS_SHA384),
        ("PS512", &RSA_PSS_SHA512),
    ];
    let payload = B64.encode(Value::Object(world.claims()).to_string());
    for (alg, _) in families {
        let header = B64.encode(json!({"alg": alg, "kid": world.rs.key_id()}).to_string());
        let message = format!("{header}.{payload}");
        for (signed_as, encoding) in families {
            let mut signature = vec![0; pair.public_modulus_len()];
            let random = SystemRandom::new();
            pair.sign(encoding, &random, message.as_bytes(), &mut signature).unwrap();
            let token = format!("{message}.{}", B64.encode(signature));
            if alg == signed_as {
                assert!(world.check(&token).is_ok(), "{alg}");
            } else {
                world.refuses(&token, "signature is not");
            }
        }
    }
}

#[test]
fn es384_is_verified_with_keys_of_its_curve() {
    let random = SystemRandom::new();
    let signing = &ECDSA_P384_SHA384_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(signing, pair.as_ref()).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
    let jwk = json!({"kty": "EC", "crv": "P-384", "kid": "es384", "x": B64.encode(x), "y": B64.encode(y)});
    let world = world_of(&json!({"keys": [jwk]}).to_string());
    let payload = B64.encode(Value::Object(world.claims()).to_string());
    let message = format!("{}.{payload}", B64.encode(r#"{"alg":"ES384","kid":"es384"}"#));
    let signature = pair.sign(&random, message.as_bytes()).unwrap();
    assert!(world.check(&format!("{message}.{}", B64.encode(signature))).is_ok());
    world.refuses(&world.forged(r#"{"alg":"ES256","kid":"es384"}"#, &payload), "not a JSON");
    let claims = Value::Object(world.claims()).to_string();
    world.refuses(&world.forged(r#"{"alg":"ES256","kid":"es384"}"#, &claims), "does not publish");
}

#[test]
fn a_token_without_kid_counts_only_where_one_key_fits() {
    let world = world();
    let claims = Value::Object(world.claims()).to_string();
    assert!(world.check(&world.forged(r#"{"alg":"ES256"}"#, &claims)).is_ok());
    let other = Signer::es256().unwrap();
    let two = KeySet::parse(key_set(&[&world.es, &other]).as_bytes()).unwrap();
    assert!(matches!(two.find(None, Algorithm::Es256), Lookup::Unfit));
    assert!(matches!(two.find(Some(other.key_id()), Algorithm::Es256), Lookup::Key(_)));
    // Only what could be new is worth a question to the provider.
    assert!(matches!(two.find(None, Algorithm::Rs256), Lookup::Unknown));
    assert!(matches!(two.find(Some("new"), Algorithm::Es256), Lookup::Unknown));
    assert!(matches!(two.find(Some(other.key_id()), Algorithm::Rs256), Lookup::Unfit));
    // A key without a name answers to none.
    let mut jwk = other.jwk().clone();
    jwk.as_object_mut().unwrap().remove("kid");
    let nameless = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
    assert!(matches!(nameless.find(None, Algorithm::Es256), Lookup::Key(_)));
    assert!(matches!(nameless.find(Some("a"), Algorithm::Es256), Lookup::Unknown));
}

#[test]
fn two_issuers_that_share_a_kid_never_cross() {
    let (corp, partner) = (Signer::es256().unwrap(), Signer::es256().unwrap());
    let files = tempfile::tempdir().unwrap();
    let mut issuers = Vec::new();
    for (name, iss, signer) in [("corp", ISS, &corp), ("partner", "https://p.example", &partner)] {
        let mut jwk = signer.jwk().clone();
        jwk["kid"] = json!("shared");
        let file = files.path().join(name);
        std::fs::write(&file, json!({"keys": [jwk]}).to_string()).unwrap();
        issuers.push(settings(name, iss, file));
    }
    let names = ["corp".to_owned(), "partner".to_owned()];
    let metrics = Arc::new(Metrics::new(&[], &names).unwrap());
    let settings = Settings { keys_cache_directory: None, issuers };
    let auth = Authenticator::load(&settings, metrics).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let check = |signer: &Signer, iss: &str| {
        let claims = json!({"iss": iss, "aud": "zec-gateway", "sub": "alice", "exp": now + 60});
        let head = B64.encode(r#"{"alg":"ES256","kid":"shared"}"#);
        let message = format!("{head}.{}", B64.encode(claims.to_string()));
        let token = format!("{message}.{}", signer.sign_message(message.as_bytes()).unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let caller = at_once(auth.authenticate(&headers, SystemTime::now()));
        caller.map(|caller| caller.id().to_owned()).ok()
    };
    assert_eq!(check(&corp, ISS).as_deref(), Some("corp/alice"));
    assert_eq!(check(&partner, "https://p.example").as_deref(), Some("partner/alice"));
    assert_eq!(check(&partner, ISS), None);
    assert_eq!(check(&corp, "https://p.example"), None);
}

#[test]
fn unusable_keys_are_left_out_and_do_not_spoil_the_set() {
    let (es, rs) = (Signer::es256().unwrap(), Signer::rs256().unwrap());
    let with = |signer: &Signer, name: &str, value: Value| {
        let mut jwk = signer.jwk().clone();
        jwk[name] = value;
        jwk
    };
    let (small, huge) = (B64.encode([0xff_u8; 128]), B64.encode([0xff_u8; 1025]));
    let bad = [
        with(&es, "use", json!("enc")),
        with(&es, "key_ops", json!(["encrypt"])),
        with(&es, "key_ops", json!("verify")),
        with(&es, "alg", json!("RS256")),
        with(&es, "alg", json!(7)),
        with(&es, "kid", json!(7)),
        with(&es, "crv", json!("P-521")),
        with(&es, "x", es.jwk()["y"].clone()),
        with(&es, "x", json!("AAAA")),
        with(&es, "d", json!("AAAA")),
        with(&rs, "n", json!(small)),
        with(&rs, "n", json!(huge)),
        with(&rs, "e", json!("Ag")),
        with(&rs, "e", json!("AQ")),
        with(&rs, "e", json!("AQAAAAE")),
        with(&rs, "n", json!("?")),
        json!({"kty": "oct", "k": "AAAA", "kid": "shared-secret"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
        json!({"kty": "unheard-of"}),
        json!("no object"),
    ];
    for jwk in &bad {
        let set = KeySet::parse(json!({"keys": [jwk, es.jwk()]}).to_string().as_bytes()).unwrap();
        assert_eq!((set.len(), set.left_out.len()), (1, 1), "{jwk}");
        assert!(KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).is_err());
    }
    for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>"] {
        assert!(KeySet::parse(document.as_bytes()).is_err(), "{document}");
    }
}

#[test]
fn no_more_than_a_hundred_keys_of_a_set_are_read() {
    let es = Signer::es256().unwrap();
    let document = json!({"keys": vec![es.jwk(); 101]}).to_string();
    let set = KeySet::parse(document.as_bytes()).unwrap();
    assert_eq!(set.len(), 100);
}

#[test]
fn what_is_said_of_a_key_is_short_whatever_its_name() {
    let name = "\u{7f}".repeat(100_000);
    let keys: Vec<Value> = (0..2).map(|_| json!({"kty": "oct", "kid": name})).collect();
    let said = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap_err();
    assert!(said.len() < 10_000, "{} bytes of log at every try", said.len());
}

#[test]
fn keys_past_the_most_that_are_read_are_told_of() {
    let signer = Signer::es256().unwrap();
    let mut keys = vec![signer.jwk().clone(); 100];
    let mut last = signer.jwk().clone();
    last["kid"] = json!("the-101st");
    keys.push(last);
    let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    assert!(!set.left_out.is_empty(), "a key was left out without a word");
}
