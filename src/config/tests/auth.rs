//! `[auth]`.

use std::{path::Path, time::Duration};

use super::{MINIMAL, parse, parse_issuer};
use crate::auth::{Algorithm, ClaimPath, GroupsForm, KeySource};

/// Checks that replacing one line of the minimal file's issuer gives exactly this fault.
#[track_caller]
fn assert_fault(from: &str, to: &str, fault: &str) {
    assert!(MINIMAL.contains(from));
    let said = parse(&MINIMAL.replace(from, to)).unwrap_err();
    assert_eq!(said, [format!("etc/g.toml:{fault}")]);
}

/// Checks that one more line in the minimal issuer gives exactly this fault.
#[track_caller]
fn assert_more(line: &str, fault: &str) {
    let said = parse_issuer(&format!("{line}\n")).unwrap_err();
    assert_eq!(said, [format!("etc/g.toml:9: auth.issuers[0].{fault}")]);
}

#[test]
fn an_issuer_has_defaults() {
    let config = parse(MINIMAL).unwrap();
    let issuer = &config.auth.issuers[0];
    assert_eq!(issuer.algorithms, [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]);
    assert_eq!(issuer.keys, KeySource::File("etc/jwks.json".into()));
    assert_eq!((&issuer.subject_claim, &issuer.groups_claim), (&"sub".into(), &"groups".into()));
    assert_eq!(issuer.groups_form, GroupsForm::List);
    assert_eq!(issuer.leeway, Duration::from_secs(30));
    assert_eq!(issuer.refresh_interval, Duration::from_secs(600));
    assert_eq!(issuer.max_stale, Duration::from_secs(86_400));
    assert_eq!(issuer.max_lifetime, None);
    assert_eq!(issuer.token_types, None);
    assert_eq!(issuer.authorized_parties, None);
}

#[test]
fn a_name_is_narrow() {
    for name in ["", "Corp", "a/b", "a_b", "ä", &"a".repeat(33)] {
        assert_fault(
            "\"corp\"",
            &format!("\"{name}\""),
            &format!(
                "5: auth.issuers[0].name: `{name}` is not a name: use 1 to 32 of a-z, 0-9 and `-`"
            ),
        );
    }
}

#[test]
fn what_is_required_is_named_at_the_issuer() {
    let gone = [
        (
            "name = \"corp\"",
            "name: is missing: give the issuer a short name for policies and metrics, as `corp`",
        ),
        (
            "issuer = \"https://sso.example.com\"",
            "issuer: is missing: write what the tokens' `iss` must equal",
        ),
        (
            "audiences = [\"zec-gateway\"]",
            "audiences: is missing: name the audiences of the tokens, as `[\"zec-gateway\"]`",
        ),
    ];
    for (line, fault) in gone {
        assert_fault(line, "", &format!("4: auth.issuers[0].{fault}"));
    }
    assert_fault("\"https://sso.example.com\"", "\"\"", "6: auth.issuers[0].issuer: is empty");
    let said = parse("policy.directory = \"p\"\nauth.issuers = []\n").unwrap_err();
    assert_eq!(
        said,
        ["etc/g.toml:2: auth.issuers: is empty: add an `[[auth.issuers]]`, or nobody can call"]
    );
}

#[test]
fn names_and_issuers_are_unique() {
    let second = "[[auth.issuers]]\nname = \"corp\"\nissuer = \"https://sso.example.com\"\naudiences = [\"a\"]\njwks_file = \"b\"\n";
    assert_eq!(
        parse_issuer(second).unwrap_err(),
        [
            "etc/g.toml:10: auth.issuers[1].name: `corp` is already used on line 5: give each issuer its own",
            "etc/g.toml:11: auth.issuers[1].issuer: `https://sso.example.com` is already used on line 6: give each issuer its own",
        ]
    );
}

#[test]
fn lists_are_not_empty_and_hold_texts() {
    let empty = "is an empty list: name at least one, or leave the key out";
    assert_fault("[\"zec-gateway\"]", "[]", &format!("7: auth.issuers[0].audiences: {empty}"));
    assert_fault("[\"zec-gateway\"]", "[\"\"]", "7: auth.issuers[0].audiences[0]: is empty");
    for key in ["algorithms", "token_types", "authorized_parties"] {
        assert_more(&format!("{key} = []"), &format!("{key}: {empty}"));
        assert_more(
            &format!("{key} = \"x\""),
            &format!("{key}: must be a list, as `[\"a\", \"b\"]`, not a string"),
        );
    }
}

#[test]
fn only_asymmetric_algorithms_are_taken() {
    let known = "ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA";
    for name in ["HS256", "HS512", "hs384"] {
        assert_more(
            &format!("algorithms = [\"{name}\"]"),
            &format!(
                "algorithms[0]: `{name}` is symmetric and refused, because a public key could be used as its secret: use one of {known}"
            ),
        );
    }
    for name in ["none", "None"] {
        assert_more(
            &format!("algorithms = [\"ES256\", \"{name}\"]"),
            &format!(
                "algorithms[1]: `{name}` means no signature and is refused: use one of {known}"
            ),
        );
    }
    assert_more(
        "algorithms = [\"es256\"]",
        &format!(
            "algorithms[0]: `es256` is not an algorithm that the gateway supports: use one of {known}"
        ),
    );
}

#[test]
fn keys_come_from_exactly_one_place() {
    let ways = "`jwks_file`, `jwks_url` and `discovery = true`";
    let file = "jwks_file = \"jwks.json\"";
    let none = format!("4: auth.issuers[0]: has no keys: set one of {ways}");
    assert_fault(file, "", &none);
    assert_fault(file, "discovery = false", &none);
    assert_more(
        "jwks_url = \"https://sso/jwks\"",
        &format!("jwks_url: is set as well as `jwks_file`: keep one of {ways}"),
    );
    assert_more(
        "discovery = true",
        &format!("discovery: is set as well as `jwks_file`: keep one of {ways}"),
    );
    assert_fault(
        file,
        "discovery = 1",
        "8: auth.issuers[0].discovery: must be `true` or `false`, not a number",
    );
    let config = parse_issuer("discovery = false\n").unwrap();
    assert!(config.warnings.is_empty());
}

#[test]
fn a_key_set_is_fetched_over_https_or_on_loopback() {
    let file = "jwks_file = \"jwks.json\"";
    let good = [
        "https://sso/jwks?v=1",
        "http://127.0.0.1:1/j",
        "http://[::1]/j",
        "http://localhost/j",
        "http://127.9.9.9/",
    ];
    for url in good {
        let config = parse(&MINIMAL.replace(file, &format!("jwks_url = \"{url}\""))).unwrap();
        assert!(matches!(config.auth.issuers[0].keys, KeySource::Url(_)), "{url}");
    }
    for url in [
        "http://sso/jwks",
        "http://127.0.0.1.example/j",
        "http://localhost.example/j",
        "http://[::2]/j",
        "http://128.0.0.1/j",
        "http://2130706433/j",
    ] {
        assert_fault(
            file,
            &format!("jwks_url = \"{url}\""),
            &format!(
                "8: auth.issuers[0].jwks_url: `{url}` is plain http, which is for loopback only: use https"
            ),
        );
    }
    for url in ["file:///jwks.json", "jwks.json", ""] {
        assert_fault(
            file,
            &format!("jwks_url = \"{url}\""),
            &format!(
                "8: auth.issuers[0].jwks_url: `{url}` is not a URL, as `https://host.example`"
            ),
        );
    }
}

#[test]
fn discovery_needs_an_issuer_that_can_be_fetched_from() {
    let text = MINIMAL.replace("jwks_file = \"jwks.json\"", "discovery = true");
    assert_eq!(parse(&text).unwrap().auth.issuers[0].keys, KeySource::Discovery);
    let cases = [
        ("http://sso", "`http://sso` is plain http, which is for loopback only: use https"),
        ("corp", "`corp` is not a URL, as `https://host.example`"),
        ("https://sso?x", "`https://sso?x` has a query, which discovery does not allow"),
    ];
    for (issuer, fault) in cases {
        let said = parse(&text.replace("https://sso.example.com", issuer)).unwrap_err();
        let place = "etc/g.toml:6: auth.issuers[0].issuer";
        assert_eq!(said, [format!("{place}: {fault}, as `discovery` fetches from it")]);
    }
    // Without discovery, an issuer may be any text.
    assert!(parse(&MINIMAL.replace("https://sso.example.com", "corp")).is_ok());
}

#[test]
fn claims_are_dotted_paths_without_empty_steps() {
    for key in ["subject_claim", "groups_claim"] {
        assert_more(&format!("{key} = \"\""), &format!("{key}: is empty"));
        for path in [".a", "a.", "a..b", "."] {
            assert_more(
                &format!("{key} = \"{path}\""),
                &format!("{key}: `{path}` has an empty step: write it as `realm_access.roles`"),
            );
        }
    }
    let config = parse_issuer("groups_claim = \"realm_access.roles\"\n").unwrap();
    assert_eq!(config.auth.issuers[0].groups_claim, "realm_access.roles".into());
}

#[test]
fn a_claims_path_may_be_a_list_of_names() {
    let names = ["resource_access", "zec.gateway", "roles"];
    let config = parse_issuer(&format!("groups_claim = {names:?}\n")).unwrap();
    let path = ClaimPath::Names(names.map(str::to_owned).to_vec());
    assert_eq!(config.auth.issuers[0].groups_claim, path);
    assert_more(
        "groups_claim = []",
        "groups_claim: is an empty list: name at least one, or leave the key out",
    );
    assert_more("groups_claim = [\"a\", \"\"]", "groups_claim[1]: is empty");
    assert_more("subject_claim = 7", "subject_claim: must be a string in quotes, not a number");
}

#[test]
fn groups_come_in_one_of_three_forms() {
    for (text, form) in
        [("list", GroupsForm::List), ("keys", GroupsForm::Keys), ("text", GroupsForm::Text)]
    {
        let config = parse_issuer(&format!("groups_form = \"{text}\"\n")).unwrap();
        assert_eq!(config.auth.issuers[0].groups_form, form);
    }
    assert_more("groups_form = \"csv\"", "groups_form: `csv` is not `list`, `keys` or `text`");
}

#[test]
fn times_have_bounds() {
    assert!(parse_issuer("leeway = \"0s\"\n").is_ok());
    assert_more("leeway = \"2h\"", "leeway: `2h` is out of range: use 0s to 1h");
    for key in ["refresh_interval", "max_stale", "max_lifetime"] {
        assert_more(
            &format!("{key} = \"0s\""),
            &format!("{key}: `0s` is out of range: use 1ms to 1year 18h"),
        );
    }
}

#[test]
fn access_keys_have_two_files_and_a_state_beside_the_journal() {
    let with = |lines: &str| parse(&format!("{MINIMAL}\n[auth.access_keys]\n{lines}"));
    let files = "file = \"keys.toml\"\nmaster_file = \"master\"\n";
    let journal = "[journal]\npath = \"/var/lib/gateway/journal.db\"\n";
    let keys = with(&format!("{files}{journal}")).unwrap().auth.access_keys.unwrap();
    assert_eq!((keys.file, keys.master_file), ("etc/keys.toml".into(), "etc/master".into()));
    assert_eq!(keys.state_file, Path::new("/var/lib/gateway/access-keys-used.json"));
    let named = with(&format!("{files}state_file = \"used\"\n{journal}")).unwrap();
    assert_eq!(named.auth.access_keys.unwrap().state_file, Path::new("etc/used"));
    let missing = with("").unwrap_err();
    assert!(
        missing.len() == 2 && missing[0].contains("auth.access_keys.file: is missing"),
        "{missing:?}"
    );
    // Without the table, an issuer may have any name.
    let keys_issuer = MINIMAL.replace("name = \"corp\"", "name = \"keys\"");
    assert!(parse(&keys_issuer).is_ok());
    let both = parse(&format!("{keys_issuer}\n[auth.access_keys]\n{files}")).unwrap_err();
    assert!(
        both.len() == 1 && both[0].contains("auth.issuers[0].name: `keys` is the name of callers"),
        "{both:?}"
    );
}
