//! A set of tokens: which are accepted, which are refused, and why (docs/threats.md, row 17).

mod forged;
mod groups;
mod keys;
mod remembering;
mod schedule;
mod token_claims;
mod refresh;

use std::{
    future::Future,
    path::PathBuf,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
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
        ca_file: None,
        token_file: None,
        use_proxy: true,
        subject_claim: "sub".into(),
        groups_claim: "groups".into(),
        groups_form: GroupsForm::List,
        leeway: Duration::from_secs(30),
        refresh_interval: Duration::from_mins(10),
        max_stale: Duration::from_hours(24),
        max_lifetime: None,
        token_types: None,
        authorized_parties: None,
    }
}

/// The output of a future that does not wait, because its keys are at hand.
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
    let settings = Settings {
        keys_cache_directory: None,
        proxy: None,
        issuers: vec![issuer],
        access_keys: None,
    };
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

    /// A good token except for one additional header member.
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

    /// The token is accepted, often enough to be remembered.
    #[track_caller]
    fn knows(&self, token: &str) {
        for _ in 0..2 {
            self.check(token).unwrap();
        }
    }

    /// The token is refused, and the reason's text contains `why`.
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
