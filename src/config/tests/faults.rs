//! How faults are collected, and the messages for broken files and unknown keys.

use std::{fs, iter, path::Path};

use super::{Config, assert_fault, parse, parse_after};

#[test]
fn eight_faults_are_reported_at_once_in_the_order_of_the_file() {
    let said = parse(
        r#"
[server]
listen = 8080
max_conections = 5
idle_timeout = "soon"
[auth]
[[auth.issuers]]
name = "Corp"
issuer = "https://sso.example.com"
jwks_file = "jwks.json"
[zec]
endpoint = "ftp://zec"
[limits]
max_addresses = 0
[colours]
"#,
    )
    .unwrap_err();
    assert_eq!(
        said,
        [
            "etc/g.toml:3: server.listen: must be a string in quotes, not a number",
            "etc/g.toml:4: server.max_conections: unknown key: did you mean `max_connections`",
            "etc/g.toml:5: server.idle_timeout: `soon` is not a duration, as `5s`, `10m` or `24h`",
            "etc/g.toml:7: auth.issuers[0].audiences: is missing: name the audiences of the tokens, as `[\"zec-gateway\"]`",
            "etc/g.toml:8: auth.issuers[0].name: `Corp` is not a name: use 1 to 32 of a-z, 0-9 and `-`",
            "etc/g.toml:12: zec.endpoint: `ftp://zec` is not a URL, as `https://host.example`",
            "etc/g.toml:14: limits.max_addresses: `0` is out of range: use 1 to 1000",
            "etc/g.toml:15: colours: unknown key: known here are admin, auth, cors, journal, limits, log, policy, server, telemetry, zec",
            "etc/g.toml: policy.directory: is missing: name the directory that holds the `*.cedar` files",
        ]
    );
}

#[test]
fn an_empty_file_says_everything_that_is_required() {
    assert_eq!(
        parse("").unwrap_err(),
        [
            "etc/g.toml: auth.issuers: is missing: add an `[[auth.issuers]]`, or nobody can call",
            "etc/g.toml: policy.directory: is missing: name the directory that holds the `*.cedar` files",
        ]
    );
}

#[test]
fn every_syntax_error_is_reported_with_its_line_and_nothing_else_is() {
    let said = parse("[server]\nlisten = \nmax_body = 64KiB\n[log]\nlevel \"info\"\n").unwrap_err();
    for line in [2, 3, 5] {
        let place = format!("etc/g.toml:{line}: ");
        assert!(said.iter().any(|fault| fault.starts_with(&place)), "{said:#?}");
    }
    assert!(said.iter().all(|fault| fault.starts_with("etc/g.toml:")), "{said:#?}");
    assert!(!said.iter().any(|fault| fault.contains("policy")), "{said:#?}");
}

#[test]
fn a_syntax_error_never_shows_what_the_line_holds() {
    let said = parse("[zec]\naccess_key_password = hunter2\n").unwrap_err();
    assert!(!said.concat().contains("hunter2"), "{said:#?}");
}

#[test]
fn a_key_set_twice_does_not_hide_other_faults() {
    let said = parse_after("[server]\nmax_body = \"1B\"\nmax_body = \"2B\"\nlisten = 1\n");
    assert_eq!(
        said.unwrap_err(),
        [
            "etc/g.toml:3: `max_body` is written twice: keep one of them",
            "etc/g.toml:4: server.listen: must be a string in quotes, not a number",
        ]
    );
    let said =
        parse_after("[log]\nlevel = \"info\"\n[server]\n[log]\nfromat = \"x\"\n").unwrap_err();
    assert_eq!(
        said,
        [
            "etc/g.toml:4: `log` is written twice: keep one of them",
            "etc/g.toml:5: log.fromat: unknown key: did you mean `format`",
        ]
    );
}

#[test]
fn unknown_keys_are_named_with_their_line() {
    assert_fault("[log]\nlevle = \"info\"\n", "2: log.levle: unknown key: did you mean `level`");
    assert_fault("[admin]\nport = 1\n", "2: admin.port: unknown key: known here are listen");
    assert_fault("[serverr]\nlisten = \"x\"\n", "1: serverr: unknown key: did you mean `server`");
    assert_fault(
        "[server.tls]\ncert_file = \"c\"\nkey_file = \"k\"\nca_file = \"x\"\n",
        "4: server.tls.ca_file: unknown key: known here are cert_file, client_ca_file, key_file",
    );
}

#[test]
fn a_value_of_the_wrong_type_is_a_fault_of_its_key() {
    let cases = [
        ("listen = 1.5", "must be a string in quotes, not a number with a fraction"),
        ("max_body = 65536", "must be a string in quotes, not a number"),
        ("header_timeout = 07:32:00", "must be a string in quotes, not a date"),
        ("max_connections = \"many\"", "must be a whole number, not a string"),
        (
            "max_connections = 99999999999999999999",
            "must be a whole number, not a number that large",
        ),
        ("tls = true", "is a table with keys of its own, not `true` or `false`"),
    ];
    for (line, fault) in cases {
        let key = line.split(' ').next().unwrap();
        assert_fault(&format!("[server]\n{line}\n"), &format!("2: server.{key}: {fault}"));
    }
    assert_fault(
        "[zec]\npreflight = \"yes\"\n",
        "2: zec.preflight: must be `true` or `false`, not a string",
    );
    assert_fault(
        "[cors]\nallowed_origins = \"x\"\n",
        "2: cors.allowed_origins: must be a list, as `[\"a\", \"b\"]`, not a string",
    );
    assert_fault(
        "[cors]\nallowed_origins = [\n  \"https://a.example\",\n  5]\n",
        "4: cors.allowed_origins[1]: must be a string in quotes, not a number",
    );
}

#[test]
fn nothing_is_missing_from_a_table_that_is_none() {
    let said = parse("auth = 5\npolicy = []\n").unwrap_err();
    assert_eq!(
        said,
        [
            "etc/g.toml:1: auth: is a table with keys of its own, not a number",
            "etc/g.toml:2: policy: is a table with keys of its own, not a list",
        ]
    );
}

#[test]
fn long_input_is_cut_and_control_characters_are_not_shown() {
    let said = parse_after("[log]\nformat = \"a\\u001b[2Jb\"\n").unwrap_err();
    assert_eq!(said, ["etc/g.toml:2: log.format: `a\u{fffd}[2Jb` is not `auto`, `text` or `json`"]);
    let said = parse_after(&format!("[log]\nformat = \"{}\"\n", "x".repeat(5000))).unwrap_err();
    assert!(said[0].len() < 300, "{said:#?}");
}

#[test]
fn a_file_that_cannot_be_read_or_is_not_utf8_is_a_fault() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("gateway.toml");
    let load = || Config::load(&file, iter::empty()).unwrap_err()[0].to_string();
    let name = file.display();
    assert!(load().starts_with(&format!("{name}: cannot be read: ")), "{}", load());
    fs::write(&file, b"[log]\nlevel = \"\xff\"\n").unwrap();
    assert_eq!(load(), format!("{name}:2: is not UTF-8: save it as UTF-8"));
}

#[test]
fn a_file_cut_anywhere_is_faulty_or_fine_and_never_a_panic() {
    let reference = crate::config::REFERENCE;
    for end in (0..reference.len()).step_by(41) {
        if let Err(said) = parse(&reference[..end]) {
            assert!(!said.is_empty());
        }
    }
}

#[test]
fn a_byte_order_mark_and_crlf_do_no_harm() {
    let text = format!("\u{feff}{}", super::MINIMAL).replace('\n', "\r\n");
    assert!(Config::parse(Path::new("g.toml"), &text, iter::empty()).is_ok());
}
