//! The claims that a well-signed token must have, and its times.

use super::*;

#[test]
fn times_are_checked_within_the_leeway_and_must_be_numbers() {
    let world = world();
    let now = world.now;
    for (claims, why) in [
        (world.with("exp", json!(now - 31)), "expired"),
        (world.with("exp", json!(0)), "expired"),
        (world.with("exp", json!(-1)), "expired"),
        (world.without("exp"), "no `exp`"),
        (world.with("exp", json!((now + 600).to_string())), "`exp` is not a number"),
        (world.with("exp", json!(null)), "`exp` is null"),
        (world.with("exp", json!([now + 600])), "`exp` is not a number"),
        (world.with("nbf", json!(now + 31)), "not valid yet"),
        (world.with("nbf", json!("999")), "`nbf` is not a number"),
        (world.with("nbf", json!(null)), "`nbf` is null"),
        (world.with("iat", json!(now + 31)), "in the future"),
        (world.with("iat", json!("999")), "`iat` is not a number"),
    ] {
        world.refuses_claims(&claims, why);
    }
    for claims in [
        world.with("exp", json!(now - 29)),
        world.with("nbf", json!(now + 29)),
        world.with("iat", json!(now + 29)),
        world.without("iat"),
    ] {
        assert!(world.check(&world.es.sign(&claims).unwrap()).is_ok(), "{claims:?}");
    }
}

#[test]
fn issuer_audience_and_subject_must_be_there_and_right() {
    let world = world();
    for (claims, why) in [
        (world.without("iss"), "`iss`"),
        (world.with("iss", json!("")), "`iss`"),
        (world.with("iss", json!([ISS])), "`iss`"),
        (world.with("iss", json!("https://evil.example")), "does not know"),
        (world.with("iss", json!(format!("{ISS}/"))), "does not know"),
        (world.with("iss", json!(ISS.to_uppercase())), "does not know"),
        (world.without("aud"), "has no `aud`"),
        (world.with("aud", json!(null)), "`aud` is null"),
        (world.with("aud", json!("someone-else")), "another service"),
        (world.with("aud", json!([])), "another service"),
        (world.with("aud", json!("zec-gateway ")), "another service"),
        (world.with("aud", json!(["zec-gateway", 7])), "`aud` is not a string"),
        (world.with("aud", json!({"zec-gateway": true})), "`aud` is not a string"),
        (world.without("sub"), "`sub` is missing"),
        (world.with("sub", json!("")), "`sub` is empty"),
        (world.with("sub", json!(null)), "`sub` is null"),
        (world.with("sub", json!(7)), "`sub` is not a string"),
        (world.with("sub", json!("a\u{0}b")), "control character"),
        (world.with("sub", json!("x".repeat(257))), "256 bytes"),
        (world.with("cnf", json!({"jkt": "x"})), "bound to a key (`cnf`)"),
        (world.with("cnf", json!(null)), "`cnf` is null"),
    ] {
        world.refuses_claims(&claims, why);
    }
}

#[test]
fn the_subject_is_found_by_a_dotted_path_too() {
    let world = world_with(|issuer| issuer.subject_claim = "user.id".into());
    let nested = world.with("user", json!({"id": "al"}));
    assert_eq!(world.check(&world.es.sign(&nested).unwrap()).unwrap().subject(), "al");
    world.refuses_claims(&world.claims(), "`user.id`");
    world.refuses_claims(&world.with("user", json!({"id": ""})), "`user.id`");
    world.refuses_claims(&world.with("user", json!("al")), "`user.id` is not a string");
}

#[test]
fn type_party_and_lifetime_are_enforced_where_configured() {
    let world = world_with(|issuer| {
        issuer.token_types = Some(vec!["at+jwt".to_owned()]);
        issuer.authorized_parties = Some(vec!["webapp".to_owned()]);
        issuer.max_lifetime = Some(Duration::from_mins(10));
    });
    let kid = world.es.key_id();
    let typed = |kind: &str, claims: &Map<String, Value>| {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{kind}"}}"#);
        world.forged(&header, &Value::Object(claims.clone()).to_string())
    };
    let good = world.with("azp", json!("webapp"));
    assert!(world.check(&typed("at+jwt", &good)).is_ok());
    assert!(world.check(&typed("application/AT+JWT", &good)).is_ok());
    assert!(world.check(&typed("at+jwt", &world.with("client_id", json!("webapp")))).is_ok());
    world.refuses(&typed("JWT", &good), "another type");
    world.refuses(
        &world.forged(
            &format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#),
            "{\"iss\":\"https://sso.example.com\"}",
        ),
        "another type",
    );
    world.refuses(&typed("at+jwt", &world.claims()), "`azp`");
    let mut other = world.with("azp", json!("other"));
    other.insert("client_id".to_owned(), json!("webapp"));
    world.refuses(&typed("at+jwt", &other), "`azp`");
    let mut long = good.clone();
    long.insert("exp".to_owned(), json!(world.now + 601));
    world.refuses(&typed("at+jwt", &long), "valid for longer");
    long.remove("iat");
    world.refuses(&typed("at+jwt", &long), "no `iat`");
}

/// AD FS and AWS send tokens without `sub`.
#[test]
fn where_another_claim_says_who_calls_nobody_needs_the_subject() {
    let world = world_with(|issuer| issuer.subject_claim = "email".into());
    let mut named = world.with("email", json!("alice@example.com"));
    named.remove("sub");
    let caller = world.check(&world.es.sign(&named).unwrap()).unwrap();
    assert_eq!(caller.id(), "corp/alice@example.com");
    // The subject does not replace that claim.
    world.refuses_claims(&world.claims(), "`email` is missing");
}

#[test]
fn a_token_may_have_sixteen_kib() {
    let world = world();
    let with = |size: usize| {
        let token = world.es.sign(&world.with("x", json!("x".repeat(size)))).unwrap();
        (token.len(), token)
    };
    let (length, most) =
        (11_800..12_300).map(with).find(|(length, _)| *length == 16 * 1024).unwrap();
    assert_eq!(length, 16 * 1024);
    assert!(world.check(&most).is_ok());
    world.refuses(&format!("{most}A"), "longer than 16 KiB");
}
