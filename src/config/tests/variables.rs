//! Variables that override the file.

use super::{MINIMAL, parse_with, settings};
use crate::auth::KeySource;

/// Checks that this variable over the minimal file gives exactly this fault.
#[track_caller]
fn assert_fault(name: &str, text: &str, fault: &str) {
    assert_eq!(parse_with(MINIMAL, &[(name, text)]).unwrap_err(), [format!("{name}: {fault}")]);
}

#[test]
fn a_variable_overrides_or_adds_a_value_of_each_type() {
    let config = parse_with(
        &format!("[server]\nlisten = 5 # overridden, so never looked at\n{MINIMAL}"),
        &[
            ("HOME", "/root"),
            ("ZEC_ACCESS_KEY_ID", "no business of the gateway's"),
            ("ZEC_GATEWAY__SERVER__LISTEN", "127.0.0.1:1"),
            ("ZEC_GATEWAY__SERVER__MAX_CONNECTIONS", "7"),
            ("ZEC_GATEWAY__SERVER__MAX_BODY", "1KiB"),
            ("ZEC_GATEWAY__SERVER__TLS__CERT_FILE", "c"),
            ("ZEC_GATEWAY__SERVER__TLS__KEY_FILE", "k"),
            ("ZEC_GATEWAY__ZEC__PREFLIGHT", "false"),
            ("ZEC_GATEWAY__LOG__LEVEL", "12"),
            ("ZEC_GATEWAY__CORS__ALLOWED_ORIGINS", r#"["https://a.example", "https://b.example"]"#),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:1");
    assert_eq!((config.server.max_connections, config.server.max_body), (7, 1024));
    assert!(config.server.tls.is_some());
    assert!(!config.preflight.on);
    assert_eq!(config.log.level, "12", "a text is taken as it is, whatever it looks like");
    assert_eq!(config.cors_allowed_origins, ["https://a.example", "https://b.example"]);
}

#[test]
fn a_variable_reaches_into_lists() {
    let config = parse_with(
        MINIMAL,
        &[
            ("ZEC_GATEWAY__AUTH__ISSUERS__0__NAME", "first"),
            ("ZEC_GATEWAY__AUTH__ISSUERS__0__AUDIENCES__1", "second-audience"),
            ("ZEC_GATEWAY__AUTH__ISSUERS__0__TOKEN_TYPES__0", "JWT"),
            ("ZEC_GATEWAY__AUTH__ISSUERS__1__NAME", "second"),
            ("ZEC_GATEWAY__AUTH__ISSUERS__1__ISSUER", "other"),
            ("ZEC_GATEWAY__AUTH__ISSUERS__1__AUDIENCES", "[\"x\"]"),
            ("ZEC_GATEWAY__AUTH__ISSUERS__1__JWKS_URL", "https://sso/jwks"),
        ],
    )
    .unwrap();
    let [first, second] = config.auth.issuers.as_slice() else { panic!() };
    assert_eq!(first.name, "first");
    assert_eq!(first.audiences, ["zec-gateway", "second-audience"]);
    assert_eq!(first.token_types.as_deref(), Some(&["JWT".to_owned()][..]));
    assert_eq!(second.name, "second");
    assert!(matches!(second.keys, KeySource::Url(_)));
}

#[test]
fn more_than_ten_entries_are_added_in_the_order_of_their_numbers() {
    let variables: Vec<_> = (0..12)
        .map(|n| (format!("ZEC_GATEWAY__CORS__ALLOWED_ORIGINS__{n}"), format!("https://o{n}")))
        .collect();
    let variables: Vec<_> = variables.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let config = parse_with(MINIMAL, &variables).unwrap();
    assert_eq!(config.cors_allowed_origins[11], "https://o11");
}

#[test]
fn variables_alone_can_say_everything() {
    let config = parse_with(
        "",
        &[
            ("ZEC_GATEWAY__POLICY__DIRECTORY", "policy"),
            ("ZEC_GATEWAY__AUTH__ISSUERS", r#"[{name = "corp", issuer = "https://sso.example.com", audiences = ["zec-gateway"], jwks_file = "jwks.json"}]"#),
        ],
    )
    .unwrap();
    assert_eq!(settings(&config), settings(&parse_with(MINIMAL, &[]).unwrap()));
}

#[test]
fn a_faulty_value_names_its_variable() {
    assert_fault(
        "ZEC_GATEWAY__SERVER__LISTEN",
        "here",
        "`here` is neither an IP address with a port, as `127.0.0.1:8080` or `[::1]:8080`, nor a socket, as `unix:/run/zec-gateway.sock`",
    );
    assert_fault("ZEC_GATEWAY__LIMITS__MAX_ADDRESSES", "ten", "`ten` is not a whole number");
    assert_fault("ZEC_GATEWAY__LIMITS__MAX_ADDRESSES", "0", "`0` is out of range: use 1 to 1000");
    assert_fault("ZEC_GATEWAY__ZEC__PREFLIGHT", "yes", "`yes` is not `true` or `false`");
    assert_fault("ZEC_GATEWAY__SERVER", "x", "is a table: set its keys one by one");
    assert_fault(
        "ZEC_GATEWAY__CORS__ALLOWED_ORIGINS",
        "x",
        "`x` is not a list, as `[\"a\", \"b\"]`",
    );
    assert_fault(
        "ZEC_GATEWAY__CORS__ALLOWED_ORIGINS",
        "[\n\n5]",
        "must be a string in quotes, not a number",
    );
    assert_fault(
        "ZEC_GATEWAY__SERVER__LISTEN__PORT",
        "1",
        "must be a string in quotes, not a table",
    );
}

#[test]
fn an_unknown_variable_is_named() {
    assert_fault(
        "ZEC_GATEWAY__SERVER__LISTN",
        "x",
        "unknown variable: did you mean `ZEC_GATEWAY__SERVER__LISTEN`",
    );
    assert_fault(
        "ZEC_GATEWAY__SERVR__LISTEN",
        "x",
        "unknown variable: did you mean `ZEC_GATEWAY__SERVER__LISTEN`",
    );
    assert_fault("ZEC_GATEWAY__COLOUR", "x", "unknown variable: there is no key `colour`");
    assert_fault("ZEC_GATEWAY__", "x", "unknown variable: there is no key ``");
    assert_fault("ZEC_GATEWAY__SERVER__0", "x", "is a table with keys of its own, not a list");
    assert_fault("ZEC_GATEWAY__POLICY__0", "x", "unknown variable: there is no key `policy.0`");
    assert_fault(
        "ZEC_GATEWAY__AUTH__ISSUERS__0__AUDIENCE",
        "x",
        "unknown variable: did you mean `ZEC_GATEWAY__AUTH__ISSUERS__0__AUDIENCES`",
    );
    assert_fault(
        "ZEC_GATEWAY__POLICY__DIRECTORY__X",
        "x",
        "unknown variable: it goes into a key that is neither a table nor a list",
    );
}

#[test]
fn a_list_has_no_gaps_and_its_entries_have_numbers() {
    assert_fault(
        "ZEC_GATEWAY__AUTH__ISSUERS__5__NAME",
        "x",
        "leaves a gap: the next entry of the list is `1`",
    );
    assert_fault(
        "ZEC_GATEWAY__AUTH__ISSUERS__NAME",
        "x",
        "must have the number of a list's entry, not `NAME`",
    );
}

#[test]
fn what_is_missing_from_an_entry_that_a_variable_began_is_named() {
    let name = "ZEC_GATEWAY__AUTH__ISSUERS__1__NAME";
    let said = parse_with(MINIMAL, &[(name, "x")]).unwrap_err();
    assert_eq!(
        said,
        [
            format!(
                "{name}: `auth.issuers[1].issuer` is missing: write what the tokens' `iss` must equal"
            ),
            format!(
                "{name}: `auth.issuers[1].audiences` is missing: name the audiences of the tokens, as `[\"zec-gateway\"]`"
            ),
            format!(
                "{name}: `auth.issuers[1]` has no keys: set one of `jwks_file`, `jwks_url` and `discovery = true`"
            ),
        ]
    );
}

#[test]
fn two_variables_for_one_key_are_a_fault() {
    let said = parse_with(
        MINIMAL,
        &[("ZEC_GATEWAY__LOG__LEVEL", "info"), ("ZEC_GATEWAY__log__level", "debug")],
    );
    assert_eq!(
        said.unwrap_err(),
        [
            "ZEC_GATEWAY__log__level: sets the same key as `ZEC_GATEWAY__LOG__LEVEL`: keep one of them"
        ]
    );
}

#[test]
fn a_secret_in_a_variable_of_the_files_is_refused_and_not_shown() {
    let said = parse_with(MINIMAL, &[("ZEC_GATEWAY__ZEC__ACCESS_KEY_PASSWORD", "hunter2")]);
    let said = said.unwrap_err().concat();
    assert!(said.starts_with("ZEC_GATEWAY__ZEC__ACCESS_KEY_PASSWORD: secrets are never"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
