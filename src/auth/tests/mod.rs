//! A battery of tokens: what counts, what does not, and for which reason (threats, row 17).

mod groups;
mod keys;
mod remembering;
mod refresh;

use std::{
    future::Future,
    path::PathBuf,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac, rsa,
    signature::KeyPair as _,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as B64},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    error::Problem,
    issuer::{Signer, key_set},
};

const ISS: &str = "https://sso.example.com";

struct World {
    auth: Authenticator,
    es: Signer,
    rs: Signer,
    ed: Signer,
    now: u64,
    _files: tempfile::TempDir,
}

pub(super) fn settings(name: &str, iss: &str, file: PathBuf) -> IssuerSettings {
    IssuerSettings {
        name: name.to_owned(),
        issuer: iss.to_owned(),
        audiences: vec!["zec-gateway".to_owned(), "second".to_owned()],
        algorithms: vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
        keys: KeySource::File(file),
        subject_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
        leeway: Duration::from_secs(30),
        refresh_interval: Duration::from_mins(10),
        max_stale: Duration::from_hours(24),
        max_lifetime: None,
        token_types: None,
        authorized_parties: None,
    }
}

/// What a future gives that waits for nobody: whoever has the keys at hand never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn world_with(change: impl FnOnce(&mut IssuerSettings)) -> World {
    let (es, rs, ed) =
        (Signer::es256().unwrap(), Signer::rs256().unwrap(), Signer::eddsa().unwrap());
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("jwks.json");
    std::fs::write(&file, key_set(&[&es, &rs, &ed])).unwrap();
    let mut issuer = settings("corp", ISS, file);
    change(&mut issuer);
    let settings = Settings { keys_cache_directory: None, issuers: vec![issuer] };
    let metrics = Metrics::new(&[], &["corp".to_owned()]).unwrap();
    let auth = Authenticator::load(&settings, Arc::new(metrics)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    World { auth, es, rs, ed, now, _files: files }
}

fn world() -> World {
    world_with(|_| {})
}

impl World {
    fn claims(&self) -> Map<String, Value> {
        let claims = json!({
            "iss": ISS, "aud": "zec-gateway", "sub": "alice", "groups": ["netops", "staff"],
            "iat": self.now, "exp": self.now + 600
        });
        claims.as_object().unwrap().clone()
    }

    fn with(&self, name: &str, value: Value) -> Map<String, Value> {
        let mut claims = self.claims();
        claims.insert(name.to_owned(), value);
        claims
    }

    fn without(&self, name: &str) -> Map<String, Value> {
        let mut claims = self.claims();
        claims.remove(name);
        claims
    }

    /// A token with this header text, signed with the ES256 key.
    fn forged(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", B64.encode(header), B64.encode(payload));
        let signature = self.es.sign_message(message.as_bytes()).unwrap();
        format!("{message}.{signature}")
    }

    /// A good token but for a member more in its header.
    fn header_with(&self, member: &str) -> String {
        let header = format!(r#"{{"alg":"ES256","kid":"{}",{member}}}"#, self.es.key_id());
        self.forged(&header, &Value::Object(self.claims()).to_string())
    }

    fn check(&self, token: &str) -> Result<Caller, Error> {
        self.check_at(token, self.now)
    }

    fn check_at(&self, token: &str, now: u64) -> Result<Caller, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        at_once(self.auth.authenticate(&headers, UNIX_EPOCH + Duration::from_secs(now)))
    }

    /// The token is refused, for a reason whose text holds `why`.
    #[track_caller]
    fn refuses(&self, token: &str, why: &str) {
        let error = self.check(token).expect_err("the token was taken");
        assert_eq!(error.problem(), Problem::InvalidToken, "{}", error.detail());
        assert!(error.detail().contains(why), "`{}` does not say `{why}`", error.detail());
    }

    #[track_caller]
    fn refuses_claims(&self, claims: &Map<String, Value>, why: &str) {
        self.refuses(&self.es.sign(claims).unwrap(), why);
    }
}

#[test]
fn good_tokens_of_every_key_type_name_their_caller() {
    let world = world();
    for signer in [&world.es, &world.rs, &world.ed] {
        let caller = world.check(&signer.sign(&world.claims()).unwrap()).unwrap();
        assert_eq!(caller.id(), "corp/alice");
        assert_eq!(caller.groups().collect::<Vec<_>>(), ["netops", "staff"]);
    }
    let both = world.with("aud", json!(["other", "second"]));
    assert!(world.check(&world.es.sign(&both).unwrap()).is_ok());
    let fractional = world.with("exp", json!(f64::from(u32::try_from(world.now).unwrap()) + 5.5));
    assert!(world.check(&world.es.sign(&fractional).unwrap()).is_ok());
}

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
fn rsa_pair(signer: &Signer) -> rsa::KeyPair {
    let body: String = signer.pem().lines().filter(|line| !line.starts_with('-')).collect();
    rsa::KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap()
}

/// The public half of an RSA key as the world knows it: PEM and DER.
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
    // `none`, in every case and with every kind of emptiness.
    for alg in ["none", "None", "NONE", ""] {
        let header = B64.encode(json!({"alg": alg, "kid": world.es.key_id()}).to_string());
        world.refuses(&format!("{header}.{payload}."), "not signed");
        world.refuses(&format!("{header}.{payload}.AAAA"), "`alg`");
    }
    // HMAC keyed with what is public: the PEM, the DER, the JWK, the modulus, the key id.
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
    // An algorithm of another family than the key's, and one that is not configured.
    for (alg, kid, why) in [
        ("RS256", world.es.key_id(), "does not publish"),
        ("ES256", world.rs.key_id(), "does not publish"),
        ("EdDSA", world.rs.key_id(), "does not publish"),
        ("RS512", world.rs.key_id(), "not taken from this issuer"),
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
    // Signed by the right key, and refused all the same.
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
    let long = world.with("x", json!("y".repeat(9000)));
    world.refuses_claims(&long, "8 KiB");
}

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
        (world.with("exp", json!(null)), "`exp` is not a number"),
        (world.with("exp", json!([now + 600])), "`exp` is not a number"),
        (world.with("nbf", json!(now + 31)), "not valid yet"),
        (world.with("nbf", json!("999")), "`nbf` is not a number"),
        (world.with("nbf", json!(null)), "`nbf` is not a number"),
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
        (world.without("aud"), "`aud`"),
        (world.with("aud", json!("someone-else")), "another service"),
        (world.with("aud", json!([])), "another service"),
        (world.with("aud", json!("zec-gateway ")), "another service"),
        (world.with("aud", json!(["zec-gateway", 7])), "`aud`"),
        (world.with("aud", json!({"zec-gateway": true})), "`aud`"),
        (world.without("sub"), "`sub`"),
        (world.with("sub", json!("")), "`sub`"),
        (world.with("sub", json!(7)), "`sub`"),
        (world.with("sub", json!("a\u{0}b")), "control character"),
        (world.with("sub", json!("x".repeat(257))), "256 bytes"),
        (world.with("cnf", json!({"jkt": "x"})), "`cnf`"),
    ] {
        world.refuses_claims(&claims, why);
    }
}

#[test]
fn the_subject_is_found_by_a_dotted_path_too() {
    let world = world_with(|issuer| issuer.subject_claim = "user.id".to_owned());
    let nested = world.with("user", json!({"id": "al"}));
    assert_eq!(world.check(&world.es.sign(&nested).unwrap()).unwrap().subject(), "al");
    world.refuses_claims(&world.claims(), "`user.id`");
    world.refuses_claims(&world.with("user", json!({"id": ""})), "`user.id`");
    let mut no_sub = nested;
    no_sub.remove("sub");
    world.refuses_claims(&no_sub, "`sub`");
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
    world.refuses(&typed("at+jwt", &long), "lives longer");
    long.remove("iat");
    world.refuses(&typed("at+jwt", &long), "no `iat`");
}

#[test]
fn exactly_one_bearer_token_counts() {
    let world = world();
    let good = world.es.sign(&world.claims()).unwrap();
    let check = |values: &[String]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        at_once(world.auth.authenticate(&headers, SystemTime::now()))
            .map_err(|error| error.problem())
    };
    let bearer = format!("Bearer {good}");
    assert!(check(std::slice::from_ref(&bearer)).is_ok());
    assert!(check(&[format!("bearer  {good}")]).is_ok());
    assert_eq!(check(&[]), Err(Problem::MissingToken));
    assert_eq!(check(&["Basic YTpi".to_owned()]), Err(Problem::MissingToken));
    assert_eq!(check(std::slice::from_ref(&good)), Err(Problem::MissingToken));
    assert_eq!(check(&["Bearer ".to_owned()]), Err(Problem::InvalidToken));
    assert_eq!(check(&[bearer.clone(), bearer]), Err(Problem::InvalidToken));
    assert_eq!(check(&[format!("Bearer {good}, Bearer {good}")]), Err(Problem::InvalidToken));
}

#[test]
fn the_subject_must_be_there_also_where_another_claim_names_the_caller() {
    let world = world_with(|issuer| issuer.subject_claim = "email".to_owned());
    let named = world.with("email", json!("alice@example.com"));
    let caller = world.check(&world.es.sign(&named).unwrap()).unwrap();
    assert_eq!(caller.id(), "corp/alice@example.com");
    world.refuses_claims(&world.claims(), "`email`");
    let mut nobody = named.clone();
    nobody.remove("sub");
    world.refuses_claims(&nobody, "`sub`");
}
