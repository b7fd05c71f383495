//! An issuer whose tokens must be refused at once, without a restart.

use std::time::Duration;

use zec_gateway::{
    app::App,
    config::Config,
    issuer::{Grant, Signer, key_set},
};

use crate::world::{ISSUER, Setup};

/// Two issuers, the first with the world's keys.
fn two_issuers() -> (Setup, Signer) {
    let issuer = |name: &str, url: &str, file: &str| {
        format!(
            "[[auth.issuers]]\nname = \"{name}\"\nissuer = \"{url}\"\n\
             audiences = [\"zec-gateway\"]\njwks_file = \"{file}\"\n"
        )
    };
    let other = Signer::es256().unwrap();
    let issuers =
        [issuer("corp", ISSUER, "jwks.json"), issuer("other", "https://other.example", "o.json")];
    let files = vec![("o.json", key_set(&[&other]))];
    (Setup { issuers: Some(issuers.concat()), files, ..Setup::default() }, other)
}

#[tokio::test]
async fn an_empty_key_set_cuts_an_issuer_off_and_nobody_else() {
    let (setup, signer) = two_issuers();
    let world = setup.start().await;
    let grant = Grant {
        issuer: "https://other.example".to_owned(),
        audience: "zec-gateway".to_owned(),
        subject: "bob".to_owned(),
        groups: Vec::new(),
        lifetime: Duration::from_mins(10),
    };
    let bob = world.bearer(&signer.token(&grant).unwrap());
    let alice = world.alice();
    let served = async || [alice.get("/whoami").await.status, bob.get("/whoami").await.status];
    assert_eq!(served().await, [200, 200]);
    world.put("jwks.json", r#"{"keys":[]}"#);
    assert_eq!(world.reload().await, (5, 0));
    let answer = alice.get("/whoami").await;
    assert_eq!((answer.status, answer.problem().1.as_str()), (401, "invalid-token"));
    assert_eq!(served().await, [401, 200]);
    let ready = world.ready().await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("keys of corp: not ok\n"), "{}", ready.text());
    assert!(ready.text().contains("reload of keys of corp: ok\n"), "{}", ready.text());
    assert_eq!(world.metric("last_reload_successful").await, 1.0);
    assert_eq!(world.metric(r#"jwks_keys{issuer="corp"}"#).await, 0.0);
    world.put("jwks.json", &key_set(&[&world.signer]));
    assert_eq!(world.reload().await, (5, 0));
    assert_eq!(served().await, [200, 200]);
}

/// A restart must not undo it, and the operators must see a warning.
#[tokio::test]
async fn a_gateway_starts_with_an_issuer_that_is_cut_off_and_warns() {
    let (mut setup, _) = two_issuers();
    setup.files.push(("jwks.json", r#"{"keys":[]}"#.to_owned()));
    let world = setup.start().await;
    assert_eq!(world.alice().get("/whoami").await.status, 401);
    assert_eq!(world.ready().await.status, 200, "the other issuer has keys");
    let config = world.files.path().join("gateway.toml");
    let config = Config::load(&config, std::iter::empty()).unwrap();
    let warnings = App::check(&config).unwrap();
    let said = "jwks.json: auth.issuers[0].jwks_file: the key set is empty: every token of this issuer is refused";
    assert!(warnings.iter().any(|fault| fault.to_string().ends_with(said)), "{warnings:?}");
}
