//! What the gateway remembers of verified tokens, and that this never outlives the reason for it.

use tokio::time::advance;

use super::{refresh::Remote, *};
use crate::domain::json::{self, Node};

#[test]
fn a_verified_token_is_known_again() {
    let world = world();
    let token = world.es.sign(&world.claims()).unwrap();
    let keys = || world.auth.issuers[0].live();
    let first = world.check(&token).unwrap();
    assert_eq!(keys().memory.len(), 0, "most tokens come once");
    for _ in 0..2 {
        assert_eq!(world.check(&token).unwrap(), first);
        assert_eq!(keys().memory.len(), 1);
    }
    assert!(keys().memory.find(&memory::id(&token), SystemTime::now()).is_some());
}

#[test]
fn refused_tokens_are_not_remembered() {
    let world = world();
    let foreign = world.es.sign(&world.with("aud", json!("someone-else"))).unwrap();
    let old = world.es.sign(&world.with("exp", json!(1))).unwrap();
    let forged = format!("{}A", world.es.sign(&world.claims()).unwrap());
    for _ in 0..3 {
        world.refuses(&foreign, "another service");
        world.refuses(&old, "expired");
        world.refuses(&forged, "signature is not");
    }
    assert_eq!(world.auth.issuers[0].live().memory.len(), 0);
}

#[test]
fn another_signature_under_the_same_claims_is_another_token() {
    let world = world();
    let token = world.es.sign(&world.claims()).unwrap();
    world.knows(&token);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = B64.decode(signature).unwrap();
    bytes[40] ^= 1;
    world.refuses(&format!("{message}.{}", B64.encode(&bytes)), "signature is not");
}

#[test]
fn a_remembered_token_expires_to_the_second() {
    let world = world();
    let mut claims = world.with("exp", json!(world.now + 60));
    claims.insert("nbf".to_owned(), json!(world.now));
    claims.remove("iat");
    let token = world.es.sign(&claims).unwrap();
    world.knows(&token);
    // Remembered up to the leeway, on either side.
    let knows = |at: u64| {
        let at = UNIX_EPOCH + Duration::from_secs(at);
        world.auth.issuers[0].live().memory.find(&memory::id(&token), at).is_some()
    };
    let around = [world.now - 31, world.now - 30, world.now + 89, world.now + 90];
    assert_eq!(around.map(knows), [false, true, true, false]);
    assert!(world.check_at(&token, world.now + 89).is_ok());
    let late = world.check_at(&token, world.now + 90).unwrap_err();
    assert!(late.detail().contains("expired"), "{}", late.detail());
    // A clock that is set back makes it invalid too.
    let early = world.check_at(&token, world.now - 31).unwrap_err();
    assert!(early.detail().contains("not valid yet"), "{}", early.detail());
    claims.remove("nbf");
    claims.insert("iat".to_owned(), json!(world.now));
    let token = world.es.sign(&claims).unwrap();
    world.knows(&token);
    let early = world.check_at(&token, world.now - 31).unwrap_err();
    assert!(early.detail().contains("in the future"), "{}", early.detail());
}

#[tokio::test(start_paused = true)]
async fn a_remembered_token_dies_with_its_key() {
    let remote = Remote::start();
    // The same token twice: a newly signed one would not be remembered in any case.
    let token = Remote::token(&remote.known);
    assert_eq!([(); 2].map(|()| at_once(remote.check_token(&token))), [200, 200]);
    let new: &[&Signer] = &[&remote.new];
    remote.publish(new);
    let provided = async {
        remote.provide(Some(new)).await;
        std::future::pending::<u16>().await
    };
    let status = tokio::select! {
        status = remote.check_token(&token) => status,
        status = provided => status,
    };
    assert_eq!(status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_changes_nothing_forgets_nothing() {
    let remote = Remote::start();
    let token = Remote::token(&remote.known);
    assert_eq!([(); 2].map(|()| at_once(remote.check_token(&token))), [200, 200]);
    remote.publish(&[&remote.known]);
    assert_eq!(remote.issuer().live().memory.len(), 1);
    // One key more makes another set, which verifies again each token that it has not verified itself.
    remote.publish(&[&remote.known, &remote.new]);
    assert_eq!(remote.issuer().live().memory.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_token_ends_with_keys_that_are_too_old() {
    let remote = Remote::start();
    let token = Remote::token(&remote.known);
    assert_eq!([(); 2].map(|()| at_once(remote.check_token(&token))), [200, 200]);
    advance(Duration::from_secs(299)).await;
    assert_eq!(at_once(remote.check_token(&token)), 200);
    advance(Duration::from_secs(1)).await;
    assert_eq!(at_once(remote.check_token(&token)), 503);
}

#[test]
fn issuers_do_not_share_a_memory() {
    let world = world();
    let KeySource::File(file) = &world.auth.issuers[0].settings().keys else { unreachable!() };
    let both = ["https://p.example", ISS].map(|iss| {
        let name = if iss == ISS { "corp" } else { "partner" };
        settings(name, iss, file.clone())
    });
    let names = ["corp".to_owned(), "partner".to_owned()];
    let settings = Settings {
        keys_cache_directory: None,
        proxy: None,
        issuers: both.to_vec(),
        access_keys: None,
    };
    let auth = Authenticator::load(&settings, Metrics::new(&[], &names).unwrap().into()).unwrap();
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", world.es.sign(&world.claims()).unwrap());
    headers.insert(AUTHORIZATION, bearer.parse().unwrap());
    for _ in 0..2 {
        let caller = at_once(auth.authenticate(&headers, SystemTime::now())).unwrap();
        assert_eq!(caller.id(), "corp/alice");
    }
    let remembered = auth.issuers.iter().map(|issuer| issuer.live().memory.len());
    assert_eq!(remembered.collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let world = world();
    let token = world.es.sign(&world.claims()).unwrap();
    world.knows(&token);
    let keys = world.auth.issuers[0].live();
    let claims = world.claims();
    let settings = world.auth.issuers[0].settings();
    let (few, validity) = vouched(&claims, settings);
    for number in 0..50_000_u64 {
        for _ in 0..2 {
            keys.memory.keep(memory::id(&number.to_string()), &few, validity);
        }
    }
    assert!((1000..=5_500).contains(&keys.memory.len()), "{}", keys.memory.len());
    // Callers in many groups take more room, so fewer fit.
    let groups: Vec<String> = (0..200).map(|n| format!("a-group-with-a-long-name-{n}")).collect();
    let many = world.with("groups", json!(groups));
    let (many, validity) = vouched(&many, settings);
    let memory = memory::Memory::new();
    for number in 0..5_000_u64 {
        for _ in 0..2 {
            memory.keep(memory::id(&number.to_string()), &many, validity);
        }
    }
    assert!((10..=300).contains(&memory.len()), "{}", memory.len());
}

#[test]
fn tokens_that_come_once_are_hardly_ever_kept_however_many_there_are() {
    let world = world();
    let (caller, validity) = vouched(&world.claims(), world.auth.issuers[0].settings());
    let memory = memory::Memory::new();
    let mut kept = 0;
    for number in 0..100_000_u64 {
        let id = memory::id(&number.to_string());
        memory.keep(id, &caller, validity);
        kept += usize::from(memory.find(&id, SystemTime::now()).is_some());
    }
    // Some tokens share their bits with others; if the bits were never cleared, every other token would.
    assert!(kept < 25_000, "{kept}");
}

/// The caller with these claims, and the time in which they are valid.
fn vouched(claims: &Map<String, Value>, settings: &IssuerSettings) -> (Caller, claims::Validity) {
    let text = Value::Object(claims.clone()).to_string();
    let Node::Object(claims) = json::read(text.as_bytes()).unwrap() else { panic!("no object") };
    let (caller, validity, _) = claims::check(&claims, settings, SystemTime::now()).unwrap();
    (caller, validity)
}
