//! Fetched keys: which callers wait for them, how often the gateway asks, and when they are too old.

use tokio::time::{Instant, advance, timeout};

use super::*;
use crate::{auth::demand::COOLDOWN, metrics::AuthResult};

/// An issuer whose keys are fetched from this address.
pub(super) fn fetched(uri: &str) -> Settings {
    let mut issuer = settings("corp", ISS, "no-file".into());
    issuer.keys = KeySource::Url(uri.parse().unwrap());
    issuer.max_stale = Duration::from_mins(5);
    Settings { keys_cache_directory: None, proxy: None, issuers: vec![issuer], access_keys: None }
}

pub(super) fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&[], &["corp".to_owned()]).unwrap())
}

/// Tokens of an issuer for which the test plays the provider.
pub(super) struct Remote {
    auth: Authenticator,
    pub(super) known: Signer,
    pub(super) new: Signer,
}

impl Remote {
    /// A gateway that has just fetched the known key.
    pub(super) fn start() -> Self {
        let auth = Authenticator::load(&fetched("http://127.0.0.1:1/"), metrics()).unwrap();
        let remote = Self { auth, known: Signer::es256().unwrap(), new: Signer::es256().unwrap() };
        remote.publish(&[&remote.known]);
        remote
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.auth.issuers[0]
    }

    pub(super) fn publish(&self, signers: &[&Signer]) {
        self.issuer().take(KeySet::parse(key_set(signers).as_bytes()).unwrap(), Duration::ZERO);
    }

    /// The status for a token of the signer: 200, or the problem's status.
    pub(super) async fn check(&self, signer: &Signer) -> u16 {
        self.check_token(&Self::token(signer)).await
    }

    pub(super) fn token(signer: &Signer) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": ISS, "aud": "zec-gateway", "sub": "alice", "exp": now + 600});
        signer.sign(claims.as_object().unwrap()).unwrap()
    }

    pub(super) async fn check_token(&self, token: &str) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let result = self.auth.authenticate(&headers, SystemTime::now()).await;
        result.map_or_else(|error| error.status(), |_| 200)
    }

    /// Waits for a demand for keys, and answers it as a provider with these keys would.
    pub(super) async fn provide(&self, signers: Option<&[&Signer]>) {
        self.issuer().demand.raised().await;
        let refresh = self.issuer().demand.begin();
        signers.inspect(|signers| self.publish(signers));
        refresh.end(signers.is_some());
    }

    /// Whether there is a demand that no refresh has answered.
    async fn is_asked(&self) -> bool {
        timeout(Duration::ZERO, self.issuer().demand.raised()).await.is_ok()
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_while_its_first_token_waits() {
    let remote = Remote::start();
    let both: &[&Signer] = &[&remote.known, &remote.new];
    let (status, ()) = tokio::join!(remote.check(&remote.new), remote.provide(Some(both)));
    assert_eq!(status, 200);
    assert!(!remote.is_asked().await);
}

#[tokio::test(start_paused = true)]
async fn the_first_keys_are_awaited_for_a_second_and_no_longer() {
    let auth = Authenticator::load(&fetched("http://127.0.0.1:1/"), metrics()).unwrap();
    let started = Instant::now();
    auth.first_keys().await;
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    // The first attempt ends the wait, successful or not.
    let fail = async {
        let refresh = auth.issuers[0].demand.begin();
        tokio::time::sleep(Duration::from_millis(300)).await;
        refresh.end(false);
    };
    let started = Instant::now();
    let ((), ()) = tokio::join!(auth.first_keys(), fail);
    assert_eq!(started.elapsed(), Duration::from_millis(300));
    let remote = Remote::start();
    let started = Instant::now();
    remote.auth.first_keys().await;
    assert_eq!(started.elapsed(), Duration::ZERO, "keys that were kept on disk serve at once");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_published_after_all_is_401() {
    let remote = Remote::start();
    let stranger = Signer::es256().unwrap();
    let known: &[&Signer] = &[&remote.known];
    let (status, ()) = tokio::join!(remote.check(&stranger), remote.provide(Some(known)));
    assert_eq!(status, 401);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_provider_longer_than_a_second() {
    let remote = Remote::start();
    let started = Instant::now();
    assert_eq!(remote.check(&remote.new).await, 503);
    assert!(started.elapsed() <= Duration::from_millis(1100), "{:?}", started.elapsed());
    // Callers that come during the refresh share its deadline; their wait does not start from zero.
    let started = Instant::now();
    assert_eq!(remote.check(&remote.new).await, 503);
    assert_eq!(started.elapsed(), Duration::ZERO);
    // Good tokens never wait.
    at_once(remote.check(&remote.known));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_makes_no_401() {
    let remote = Remote::start();
    let (status, ()) = tokio::join!(remote.check(&remote.new), remote.provide(None));
    assert_eq!(status, 503);
    // Within the cooldown, when no new demand is allowed, there is no wait either.
    assert_eq!(at_once(remote.check(&remote.new)), 503);
    assert_eq!(at_once(remote.check(&remote.known)), 200);
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_make_one_refresh_a_cooldown_whether_it_succeeds_or_not() {
    let remote = Remote::start();
    let known: &[&Signer] = &[&remote.known];
    for outcome in [Some(known), None, Some(known)] {
        let [one, two, three] = [(); 3].map(|()| Signer::es256().unwrap());
        let (first, second, third, ()) = tokio::join!(
            remote.check(&one),
            remote.check(&two),
            remote.check(&three),
            remote.provide(outcome)
        );
        let want = if outcome.is_some() { 401 } else { 503 };
        assert_eq!((first, second, third), (want, want, want));
        advance(COOLDOWN.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(at_once(remote.check(&one)), want);
        assert!(!remote.is_asked().await, "asked again within the cooldown");
        advance(Duration::from_millis(1)).await;
    }
    remote.issuer().demand.raise();
    assert!(remote.is_asked().await, "never asked again");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_began_before_the_question_does_not_answer_it() {
    let remote = Remote::start();
    let early = remote.issuer().demand.begin();
    let later = async {
        remote.issuer().demand.raised().await;
        early.end(true);
        let new: &[&Signer] = &[&remote.new];
        remote.provide(Some(new)).await;
    };
    let (status, ()) = tokio::join!(remote.check(&remote.new), later);
    assert_eq!(status, 200);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_strangers_wait_at_once() {
    let remote = Remote::start();
    let demand = &remote.issuer().demand;
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let mut future = Box::pin(demand.fresh_keys());
        let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
        waiting.push(future);
    }
    assert!(!at_once(demand.fresh_keys()), "one more waits");
    // A caller that hangs up makes room.
    drop(waiting.pop());
    let mut next = Box::pin(demand.fresh_keys());
    assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// A token of the signer under the key id of another signer.
fn under_the_kid_of(named: &Signer, signer: &Signer) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"iss": ISS, "aud": "zec-gateway", "sub": "alice", "exp": now + 600});
    let header = json!({"alg": "ES256", "kid": named.key_id()});
    let message = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    format!("{message}.{}", signer.sign_message(message.as_bytes()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_new_key_under_the_old_kid_is_fetched_once_in_a_cooldown() {
    let remote = Remote::start();
    let mut replaced = remote.new.jwk().clone();
    replaced["kid"] = json!(remote.known.key_id());
    let document = json!({"keys": [replaced]}).to_string();
    let token = under_the_kid_of(&remote.known, &remote.new);
    let provide = async {
        remote.issuer().demand.raised().await;
        let refresh = remote.issuer().demand.begin();
        remote.issuer().take(KeySet::parse(document.as_bytes()).unwrap(), Duration::ZERO);
        refresh.end(true);
    };
    let (status, ()) = tokio::join!(remote.check_token(&token), provide);
    assert_eq!(status, 200);
    // Forged signatures cannot shorten the cooldown.
    let stranger = Signer::es256().unwrap();
    let forged = under_the_kid_of(&remote.known, &stranger);
    assert_eq!(at_once(remote.check_token(&forged)), 401);
    assert!(!remote.is_asked().await, "asked again within the cooldown");
    advance(COOLDOWN).await;
    let (status, ()) = tokio::join!(remote.check_token(&forged), remote.provide(None));
    // The current keys prove it bad, whether the provider answers or not.
    assert_eq!(status, 401);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_no_new_key_could_verify_ask_for_nothing() {
    let remote = Remote::start();
    let rs = Signer::rs256().unwrap();
    let message = |header: Value| {
        let claims = json!({"iss": ISS});
        format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
    };
    // A known key with another algorithm, a bad signature (both with times at which no token is valid), and an
    // algorithm that is not accepted.
    for header in [
        json!({"alg": "RS256", "kid": remote.known.key_id()}),
        json!({"alg": "ES256", "kid": remote.known.key_id()}),
        json!({"alg": "ES384", "kid": "new"}),
    ] {
        let message = message(header);
        let token = format!("{message}.{}", rs.sign_message(message.as_bytes()).unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let error = at_once(remote.auth.authenticate(&headers, SystemTime::now())).unwrap_err();
        assert_eq!(error.status(), 401);
    }
    assert!(!remote.is_asked().await);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_missing_or_too_old_are_503_never_401() {
    let remote = Remote::start();
    advance(Duration::from_secs(299)).await;
    assert_eq!(at_once(remote.check(&remote.known)), 200);
    assert!(remote.auth.is_ready() && !remote.is_asked().await);
    advance(Duration::from_secs(1)).await;
    assert_eq!(at_once(remote.check(&remote.known)), 503);
    assert!(!remote.auth.is_ready());
    assert!(remote.is_asked().await, "nobody makes the next try come sooner");
    remote.publish(&[&remote.known]);
    assert_eq!(at_once(remote.check(&remote.known)), 200);

    // Part of the lifetime of a set from disk is already over.
    let set = KeySet::parse(key_set(&[&remote.known]).as_bytes()).unwrap();
    remote.issuer().take(set, Duration::from_secs(299));
    assert_eq!(at_once(remote.check(&remote.known)), 200);
    advance(Duration::from_secs(1)).await;
    assert_eq!(at_once(remote.check(&remote.known)), 503);

    let empty = Authenticator::load(&fetched("http://127.0.0.1:1/"), metrics()).unwrap();
    let nobody = Remote { auth: empty, known: remote.known, new: remote.new };
    assert_eq!(at_once(nobody.check(&nobody.known)), 503);
    assert_eq!(AuthResult::KeysUnavailable.label(), "keys_unavailable");
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_asks_for_no_keys() {
    let remote = Remote::start();
    let expired = json!({"iss": ISS, "aud": "zec-gateway", "sub": "alice", "exp": 1});
    let token = remote.new.sign(expired.as_object().unwrap()).unwrap();
    assert_eq!(at_once(remote.check_token(&token)), 401);
    assert!(!remote.is_asked().await);
}
