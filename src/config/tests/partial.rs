//! The usable rest of a faulty configuration.

use std::path::Path;

use super::{Config, MINIMAL};
use crate::config::Partial;

fn partial(text: &str) -> Partial {
    let variables = std::iter::empty();
    Config::parse_or_rest(Path::new("etc/g.toml"), text, variables).unwrap_err()
}

#[test]
fn what_is_not_faulty_is_there() {
    let partial = partial(&format!("colour = 1\n{MINIMAL}"));
    assert_eq!(partial.faults.len(), 1);
    assert!(partial.has("policy.directory"));
    assert_eq!(partial.rest().unwrap().policy.directory, Path::new("etc/policy"));
}

#[test]
fn a_key_that_is_faulty_or_missing_is_not_there() {
    for (line, keys) in [
        ("policy.directory = 5", ["policy.directory", "policy.shadow_directory"]),
        ("policy.directry = \"policy\"", ["policy.directory", "policy.directry_x"]),
        ("zec.ca_file = 5", ["zec.ca_file", "zec.ca"]),
    ] {
        let partial = partial(line);
        assert_eq!(keys.map(|key| partial.has(key)), [false, true], "{line}");
    }
    let whole = partial("policy = 5");
    assert!(!whole.has("policy.directory") && whole.has("policy_x"));
}

#[test]
fn nothing_is_there_where_the_syntax_is_broken() {
    assert!(partial("[server\n").rest().is_none());
}

#[test]
fn a_faulty_issuer_keeps_its_place() {
    let second = MINIMAL.replace("[policy]\ndirectory = \"policy\"\n", "").replace("corp", "lab");
    let second = second.replace("sso", "lab");
    let partial = partial(&format!("{}{second}", MINIMAL.replace("name", "nmae")));
    let names: Vec<_> = partial.rest().unwrap().auth.issuers.iter().map(|i| &*i.name).collect();
    assert_eq!(names, ["", "lab"]);
}
