//! Settings that are allowed but cause a warning.

use super::{MINIMAL, parse, parse_after};
use crate::config::Config;

fn warnings(config: &Config) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_warning(lines: &str, warning: &str) {
    let config = parse_after(lines).unwrap();
    assert_eq!(warnings(&config), [format!("etc/g.toml:{warning}")]);
}

#[test]
fn defaults_give_no_warning() {
    assert_eq!(warnings(&parse(MINIMAL).unwrap()), [""; 0]);
}

#[test]
fn listening_beyond_loopback_is_dangerous() {
    for address in ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080", "[::ffff:10.0.0.1]:8080"] {
        assert_warning(
            &format!("server.listen = \"{address}\"\n"),
            "1: server.listen: plain HTTP beyond loopback exposes every token on the network: set `[server.tls]`, or listen on loopback behind a TLS proxy",
        );
        assert_warning(
            &format!("admin.listen = \"{address}\"\n"),
            "1: admin.listen: metrics and probes need no token: restrict who can reach this address",
        );
    }
    for address in ["127.9.9.9:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
        let config = parse_after(&format!("server.listen = \"{address}\"\n")).unwrap();
        assert_eq!(warnings(&config), [""; 0]);
    }
}

#[test]
fn what_no_policy_can_see_is_dangerous() {
    assert_warning(
        "zec.unknown_fields = \"pass\"\n",
        "1: zec.unknown_fields: the gateway sends arguments that no policy can see: add what is missing in `zec.catalogue_file`, and refuse the rest",
    );
}

#[test]
fn listening_beyond_loopback_with_tls_is_what_tls_is_for() {
    let lines = "[server]\nlisten = \"0.0.0.0:1\"\ntls = {cert_file = \"c\", key_file = \"k\"}\n";
    assert_eq!(warnings(&parse_after(lines).unwrap()), [""; 0]);
}

#[test]
fn a_plain_endpoint_beyond_loopback_is_dangerous() {
    assert_warning(
        "zec.endpoint = \"http://zec.example\"\n",
        "1: zec.endpoint: plain HTTP beyond loopback exposes signed requests on the network: use https",
    );
    let config = parse_after("zec.endpoint = \"http://localhost:9000\"\n").unwrap();
    assert_eq!(warnings(&config), [""; 0]);
}

#[test]
fn writes_without_a_record_are_dangerous() {
    let said = warnings(&parse_after("journal.enabled = false\n").unwrap());
    assert!(said.contains(&"etc/g.toml:1: journal.enabled: writes leave no record".to_owned()));
}

#[test]
fn an_answer_should_have_more_time_than_zec_alone() {
    let rest = "raise `server.request_timeout` above that, or lower `zec.request_timeout`";
    assert_warning(
        "server.request_timeout = \"23s\"\n",
        &format!(
            "1: server.request_timeout: an answer may take 23s, but ZEC alone may take 23s: {rest}"
        ),
    );
    assert_warning(
        "zec.request_timeout = \"30s\"\n",
        &format!(
            "1: zec.request_timeout: an answer may take 30s, but ZEC alone may take 33s: {rest}"
        ),
    );
    assert_eq!(warnings(&parse_after("server.request_timeout = \"24s\"\n").unwrap()), [""; 0]);
}

#[test]
fn fetched_keys_should_outlive_a_refresh() {
    let text = MINIMAL
        .replace("jwks_file = \"jwks.json\"", "jwks_url = \"https://sso/j\"\nmax_stale = \"1m\"");
    assert_eq!(
        warnings(&parse(&text).unwrap()),
        [
            "etc/g.toml:9: auth.issuers[0].max_stale: is not longer than `refresh_interval`: good tokens would be refused between two refreshes"
        ]
    );
}

#[test]
fn keys_in_files_are_neither_refreshed_nor_kept() {
    let text = MINIMAL.replace(
        "jwks_file = \"jwks.json\"",
        "jwks_file = \"jwks.json\"\nrefresh_interval = \"5m\"\nmax_stale = \"1h\"\nca_file = \"c\"\ntoken_file = \"t\"",
    );
    let auth = "auth.keys_cache_directory = \"k\"\nauth.proxy = \"http://proxy:3128\"\n";
    let said = warnings(&parse(&format!("{auth}{text}")).unwrap());
    assert_eq!(said.len(), 6, "{said:#?}");
    assert!(said.iter().all(|warning| warning.contains("has no effect")), "{said:#?}");
}

#[test]
fn providers_are_not_to_be_asked_all_the_time() {
    let with = |interval: &str| {
        let way = format!("jwks_url = \"https://sso/j\"\nrefresh_interval = \"{interval}\"");
        let text = MINIMAL.replace("jwks_file = \"jwks.json\"", &way);
        warnings(&parse(&text).unwrap()).len()
    };
    assert_eq!((with("9s"), with("10s")), (1, 0));
}

#[test]
fn warnings_come_in_the_order_of_the_file() {
    let said = warnings(&parse_after("zec.preflight = false\nadmin.listen = \"0.0.0.0:1\"\n[server]\nlisten = \"0.0.0.0:2\"\n").unwrap());
    let keys: Vec<_> = said.iter().map(|text| text.split(": ").nth(1).unwrap()).collect();
    assert_eq!(keys, ["zec.preflight", "admin.listen", "server.listen"]);
}
