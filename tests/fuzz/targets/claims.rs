//! Claims in, caller out, without a signature. An accepted caller has an expiry in the future, our audience, a subject,
//! and exactly the groups in the token.
//!
//! An input is a byte that chooses the issuer's settings, and the claims.

#![no_main]

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use zec_gateway::{
    auth::{IssuerSettings, KeySource},
    fuzz,
};

/// The clock's time in Unix seconds; the seeds are written for it.
const NOW: u64 = 1_800_000_000;
const LEEWAY: f64 = 30.0;
const LONGEST: f64 = 3600.0;
const PATH: &str = "realm_access.roles";

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else { return };
    let settings = settings(*choice);
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let Some(caller) = fuzz::claims(text, &settings, now) else { return };
    let Some(Value::Object(claims)) = oracle::strict(text) else { panic!("not strict JSON") };

    let number = |name: &str| claims.get(name).map(|value| value.as_f64().expect(name));
    let (expires, now) = (number("exp").expect("no `exp`"), as_f64(now));
    assert!(expires > now - LEEWAY, "expired");
    assert!(number("nbf").is_none_or(|from| from <= now + LEEWAY), "not valid yet");
    assert!(number("iat").is_none_or(|at| at <= now + LEEWAY), "of the future");
    if settings.max_lifetime.is_some() {
        assert!(expires - number("iat").expect("no `iat`") <= LONGEST, "it lives too long");
    }
    let audiences = match &claims["aud"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    assert!(audiences.iter().all(Value::is_string));
    assert!(audiences.iter().any(|one| one == "zec-gateway" || one == "second"), "not for us");
    if settings.authorized_parties.is_some() {
        let party = claims.get("azp").or(claims.get("client_id")).expect("nobody's");
        assert_eq!(party, "web", "of another application");
    }
    assert!(!claims.contains_key("cnf"), "bound to a key");
    assert_eq!(caller.issuer(), "corp");
    name(caller.subject());
    assert_eq!(claims["sub"], caller.subject());
    assert!(!caller.subject().is_empty());
    groups(&claims, &settings.groups_claim.to_string(), caller.groups().collect());
});

fn settings(choice: u8) -> IssuerSettings {
    let mut settings = oracle::settings(KeySource::File(PathBuf::new()));
    if choice & 1 != 0 {
        settings.max_lifetime = Some(Duration::from_secs_f64(LONGEST));
    }
    if choice & 2 != 0 {
        settings.authorized_parties = Some(vec!["web".to_owned()]);
    }
    if choice & 4 != 0 {
        settings.groups_claim = PATH.into();
    }
    settings
}

fn as_f64(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// A name that is safe in a policy and in a log.
fn name(text: &str) {
    assert!(text.len() <= 256 && !text.chars().any(char::is_control), "{text:?}");
}

fn groups(claims: &Map<String, Value>, path: &str, has: Vec<&str>) {
    let named = match path.split_once('.') {
        None => claims.get(path),
        Some((first, second)) => claims.get(path).or_else(|| claims.get(first)?.get(second)),
    };
    let named: BTreeSet<&str> = match named {
        None => BTreeSet::new(),
        Some(list) => {
            let list = list.as_array().expect("a list");
            list.iter().map(|group| group.as_str().expect("a text")).collect()
        }
    };
    named.iter().for_each(|group| name(group));
    assert_eq!(has, Vec::from_iter(named), "other groups than the token's");
    // Cut short by the provider: the omitted groups could include one with a forbid.
    assert!(claims.get("hasgroups").is_none_or(|has| has == false));
    if let Some(moved) = claims.get("_claim_names") {
        assert!(moved.is_object() && moved.get("groups").is_none());
    }
}
