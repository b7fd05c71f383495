//! Tests of the configuration, and their common helpers.

mod auth;
mod collector;
mod faults;
mod partial;
mod reference;
mod values;
mod variables;
mod warnings;

use std::path::Path;

use super::Config;

/// The smallest file that loads.
const MINIMAL: &str = r#"
[policy]
directory = "policy"
[[auth.issuers]]
name = "corp"
issuer = "https://sso.example.com"
audiences = ["zec-gateway"]
jwks_file = "jwks.json"
"#;

/// The messages, one for each fault.
type Said = Vec<String>;

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Said> {
    let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Config::parse(Path::new("etc/g.toml"), text, variables)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn parse(text: &str) -> Result<Config, Said> {
    parse_with(text, &[])
}

/// The minimal file with these lines in front; the first of them is line 1.
fn parse_after(lines: &str) -> Result<Config, Said> {
    parse(&format!("{lines}{MINIMAL}"))
}

/// The minimal file with these lines of its issuer at the end; the first of them is line 9.
fn parse_issuer(lines: &str) -> Result<Config, Said> {
    parse(&format!("{MINIMAL}{lines}"))
}

/// Checks that these lines in front of the minimal file give exactly this fault.
#[track_caller]
fn assert_fault(lines: &str, fault: &str) {
    assert_eq!(parse_after(lines).unwrap_err(), [format!("etc/g.toml:{fault}")]);
}

/// Everything except the file's name and the warnings.
fn settings(config: &Config) -> String {
    let mut config = config.clone();
    config.warnings.clear();
    config.file.clear();
    config.source = super::ConfigSource::default();
    format!("{config:#?}")
}
