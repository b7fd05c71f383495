//! Which key verifies a token, and which keys of a set can verify tokens.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding,
    },
};

use super::{forged::rsa_pair, *};

/// A world that accepts every algorithm and has this key set.
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
    // A key without `alg` fits every algorithm of its type.
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
    world.refuses(&world.forged(r#"{"alg":"ES256","kid":"es384"}"#, &claims), "another algorithm");
}

/// A token from the signer with these header members beside its `alg`.
fn signed_as(world: &World, signer: &Signer, alg: &str, members: &Value) -> String {
    let mut header = json!({ "alg": alg });
    for (name, value) in members.as_object().unwrap() {
        header[name] = value.clone();
    }
    let payload = Value::Object(world.claims()).to_string();
    let message = format!("{}.{}", B64.encode(header.to_string()), B64.encode(payload));
    format!("{message}.{}", signer.sign_message(message.as_bytes()).unwrap())
}

/// The signer's public key with these members replaced; `null` removes a member.
fn jwk(signer: &Signer, members: &Value) -> Value {
    let mut jwk = signer.jwk().clone();
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
            value => jwk[name] = value.clone(),
        }
    }
    jwk
}

fn signers<const N: usize>() -> [Signer; N] {
    std::array::from_fn(|_| Signer::es256().unwrap())
}

#[test]
fn a_token_without_kid_is_tried_with_four_keys_that_fit_and_no_more() {
    let all: [Signer; 5] = signers();
    let set = |count: usize| key_set(&all.iter().take(count).collect::<Vec<_>>());
    let (four, five) = (world_of(&set(4)), world_of(&set(5)));
    for signer in &all[..4] {
        for world in [&four, &five] {
            assert!(world.check(&signed_as(world, signer, "ES256", &json!({}))).is_ok());
        }
    }
    let fifth = |world: &World| signed_as(world, &all[4], "ES256", &json!({}));
    four.refuses(&fifth(&four), "signature is not");
    five.refuses(&fifth(&five), "more than four keys");
    let named = signed_as(&five, &all[4], "ES256", &json!({"kid": all[4].key_id()}));
    assert!(five.check(&named).is_ok());
    // Keys of another type are not tried.
    four.refuses(&signed_as(&four, &four.rs, "RS256", &json!({})), "does not publish");
}

#[test]
fn each_key_of_one_kid_is_tried() {
    let [old, new, other]: [Signer; 3] = signers();
    let same = json!({"kid": "key-1"});
    let set = json!({"keys": [jwk(&old, &same), jwk(&new, &same), other.jwk()]});
    let world = world_of(&set.to_string());
    for signer in [&old, &new] {
        assert!(world.check(&signed_as(&world, signer, "ES256", &same)).is_ok());
    }
    world.refuses(&signed_as(&world, &other, "ES256", &same), "signature is not");
    let unknown = json!({"kid": "key-2"});
    world.refuses(&signed_as(&world, &old, "ES256", &unknown), "does not publish");
    // A key without a name does not match a named key.
    let nameless = world_of(&json!({"keys": [jwk(&old, &json!({"kid": null}))]}).to_string());
    assert!(nameless.check(&signed_as(&nameless, &old, "ES256", &json!({}))).is_ok());
    nameless.refuses(&signed_as(&nameless, &old, "ES256", &same), "does not publish");
}

#[test]
fn a_key_that_is_in_a_set_twice_is_one_key() {
    let [one, other]: [Signer; 2] = signers();
    let named_again = jwk(&one, &json!({"kid": "again"}));
    let keys = json!({"keys": [one.jwk(), one.jwk(), other.jwk(), one.jwk(), named_again]});
    let set = KeySet::parse(keys.to_string().as_bytes()).unwrap();
    assert_eq!((set.len(), set.left_out.len()), (3, 0));
    let world = world_of(&keys.to_string());
    let kid = json!({"kid": one.key_id()});
    assert!(world.check(&signed_as(&world, &one, "ES256", &kid)).is_ok());
}

#[test]
fn a_token_may_name_its_key_by_the_certificates_thumbprint() {
    let all: [Signer; 6] = signers();
    let keys = |member: &str| {
        let one = |(number, signer)| jwk(signer, &json!({member: format!("print-{number}")}));
        json!({"keys": all.iter().enumerate().map(one).collect::<Vec<_>>()})
    };
    for (published, named) in
        [("x5t", "x5t"), ("x5t#S256", "x5t#S256"), ("kid", "x5t"), ("kid", "x5t#S256")]
    {
        let world = world_of(&keys(published).to_string());
        // Without a key id, the gateway would not try the sixth key.
        let good = json!({named: "print-5"});
        assert!(world.check(&signed_as(&world, &all[5], "ES256", &good)).is_ok(), "{published}");
        world.refuses(&signed_as(&world, &all[4], "ES256", &good), "signature is not");
    }
    let world = world_of(&keys("x5t").to_string());
    let unknown = json!({"x5t": "print-6"});
    world.refuses(&signed_as(&world, &all[0], "ES256", &unknown), "does not publish");
    world.refuses(&signed_as(&world, &all[0], "ES256", &json!({"x5t": 7})), "`x5t`");
    // If the set has no thumbprints, the gateway ignores the token's thumbprint and tries each key that fits.
    let world = world_of(&key_set(&[&all[0], &all[1]]));
    assert!(world.check(&signed_as(&world, &all[1], "ES256", &unknown)).is_ok());
    // A `kid` beside it is still binding.
    let both = json!({"kid": all[0].key_id(), "x5t": "print-6"});
    world.refuses(&signed_as(&world, &all[1], "ES256", &both), "signature is not");
}

#[test]
fn ed25519_is_eddsa_by_another_name() {
    let ed = Signer::eddsa().unwrap();
    for published in [json!("Ed25519"), json!("EdDSA"), Value::Null] {
        let set = json!({"keys": [jwk(&ed, &json!({"alg": published}))]});
        let world = world_of(&set.to_string());
        for alg in ["Ed25519", "EdDSA"] {
            let token = signed_as(&world, &ed, alg, &json!({"kid": ed.key_id()}));
            assert!(world.check(&token).is_ok(), "{alg} by a key for {published}");
        }
    }
    // A name alone does not turn a key into a key of another type.
    let es = Signer::es256().unwrap();
    let set = json!({"keys": [jwk(&es, &json!({"alg": "Ed25519"}))]});
    assert!(KeySet::parse(set.to_string().as_bytes()).is_err());
}

#[test]
fn a_token_of_a_key_that_was_left_out_is_told_so() {
    let [good, bad]: [Signer; 2] = signers();
    let left_out = jwk(&bad, &json!({"use": "enc"}));
    let world = world_of(&json!({"keys": [good.jwk(), left_out]}).to_string());
    let token = signed_as(&world, &bad, "ES256", &json!({"kid": bad.key_id()}));
    world.refuses(&token, "cannot use that key (not for signatures (`use`))");
    let token = signed_as(&world, &world.rs, "RS256", &json!({"kid": good.key_id()}));
    world.refuses(&token, "another algorithm");
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
    let settings = Settings { keys_cache_directory: None, proxy: None, issuers, access_keys: None };
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
    let keys: Vec<Value> = (0..101).map(|n| jwk(&es, &json!({"kid": n.to_string()}))).collect();
    let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
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
