//! `config/gateway.toml` is accurate.

use std::collections::BTreeSet;

use super::{MINIMAL, parse, parse_with, settings};
use crate::config::REFERENCE;

/// The list of all keys, repeated here: adding or removing a key must change this list too.
const KEYS: &str = "
    server.listen server.max_connections server.header_timeout server.body_timeout
    server.idle_timeout server.handshake_timeout server.request_timeout server.read_timeout server.max_body
    server.drain_delay server.drain_timeout server.tls.cert_file server.tls.key_file
    server.tls.client_ca_file server.trusted_proxies admin.listen cors.allowed_origins auth.keys_cache_directory
    auth.proxy auth.proxy_credentials_file auth.access_keys.file auth.access_keys.master_file
    auth.access_keys.state_file auth.issuers.0.ca_file auth.issuers.0.token_file
    auth.issuers.0.use_proxy auth.issuers.0.name auth.issuers.0.issuer auth.issuers.0.audiences auth.issuers.0.algorithms
    auth.issuers.0.jwks_file auth.issuers.0.jwks_url auth.issuers.0.discovery
    auth.issuers.0.subject_claim auth.issuers.0.groups_claim auth.issuers.0.groups_form auth.issuers.0.leeway
    auth.issuers.0.refresh_interval auth.issuers.0.max_stale auth.issuers.0.max_lifetime
    auth.issuers.0.token_types auth.issuers.0.authorized_parties policy.directory
    policy.shadow_directory zec.endpoint zec.access_key_id_file zec.access_key_password_file
    zec.ca_file zec.catalogue_file zec.unknown_fields zec.connect_timeout zec.request_timeout zec.preflight zec.eip_check zec.proxy
    zec.proxy_credentials_file
    limits.max_concurrent_requests limits.max_concurrent_per_caller limits.max_addresses
    limits.requests_per_second limits.addresses_per_hour limits.destructive_per_hour limits.freeze_file journal.path
    journal.enabled journal.keep_months log.format log.level telemetry.otlp_endpoint
    telemetry.otlp_sample_percent telemetry.otlp_period telemetry.otlp_timeout";

/// The reference with every line active, but with only the named one of the three sources of keys.
fn all_active(way: &str) -> String {
    let active = |line: &'static str| match line.strip_prefix("# ") {
        Some(rest) if is_setting(rest) => rest,
        _ => line,
    };
    let kept = |line: &&str| {
        let key = line.split(' ').next().unwrap_or_default();
        let known = cfg!(feature = "otlp") || !key.starts_with("otlp_");
        let this_way = key == way || !["jwks_file", "jwks_url", "discovery"].contains(&key);
        way == "all" || (this_way && known)
    };
    REFERENCE.lines().map(active).filter(kept).collect::<Vec<_>>().join("\n")
}

fn is_setting(line: &str) -> bool {
    let key = line.split(" = ").next().unwrap_or_default();
    line.starts_with('[')
        || (line.contains(" = ") && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}

/// Each value by its key, in the form of a variable's text.
fn flatten(path: &str, value: &toml::Value, out: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, out));
        }
        toml::Value::Array(items) if items.iter().all(toml::Value::is_table) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, item)| flatten(&format!("{path}.{n}"), item, out));
        }
        toml::Value::String(text) => out.push((path.to_owned(), text.clone())),
        toml::Value::Array(items) => {
            let items: Vec<_> =
                items.iter().map(|item| format!("{:?}", item.as_str().unwrap())).collect();
            out.push((path.to_owned(), format!("[{}]", items.join(", "))));
        }
        toml::Value::Integer(number) => out.push((path.to_owned(), number.to_string())),
        toml::Value::Boolean(value) => out.push((path.to_owned(), value.to_string())),
        other => panic!("{other:?}"),
    }
}

fn flat(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let table: toml::Table = toml::from_str(text).unwrap();
    for (key, value) in &table {
        flatten(key, value, &mut out);
    }
    out
}

#[test]
fn it_loads_without_a_fault_and_without_a_warning() {
    let config = parse(REFERENCE).unwrap();
    assert_eq!(config.warnings, []);
}

#[test]
fn it_has_every_key_of_the_contract_and_no_other() {
    let flat = flat(&all_active("all"));
    let found: BTreeSet<_> = flat.iter().map(|(key, _)| key.as_str()).collect();
    let contract: BTreeSet<_> = KEYS.split_whitespace().collect();
    assert_eq!(found, contract);
}

#[test]
fn every_key_in_it_is_known() {
    for way in ["jwks_file", "jwks_url", "discovery"] {
        let config = parse(&all_active(way)).unwrap();
        assert_eq!(config.auth.issuers.len(), 1);
        assert!(config.server.tls.is_some());
    }
}

#[test]
fn what_it_shows_is_the_default() {
    let minimal = settings(&parse(MINIMAL).unwrap());
    assert_eq!(settings(&parse(REFERENCE).unwrap()), minimal);
}

#[test]
fn every_key_in_it_can_come_from_a_variable() {
    for way in ["jwks_file", "jwks_url"] {
        let text = all_active(way);
        let variables: Vec<_> = flat(&text)
            .into_iter()
            .map(|(key, text)| {
                (format!("ZEC_GATEWAY__{}", key.replace('.', "__").to_uppercase()), text)
            })
            .collect();
        let variables: Vec<_> = variables.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let from_variables = parse_with("", &variables).unwrap();
        assert_eq!(settings(&from_variables), settings(&parse(&text).unwrap()));
    }
}

#[test]
fn what_it_shows_in_comments_is_the_default_too_where_there_is_one() {
    let flat = flat(&all_active("jwks_file"));
    let config = parse(MINIMAL).unwrap();
    let shown = |key: &str| flat.iter().find(|(k, _)| k == key).unwrap().1.clone();
    let limits = &config.limits;
    let defaults = [
        ("zec.preflight", config.preflight.on.to_string()),
        ("zec.eip_check", format!("{:?}", config.preflight.eip_check).to_lowercase()),
        ("limits.addresses_per_hour", limits.addresses_per_hour.to_string()),
        ("journal.path", config.journal.path.file_name().unwrap().to_str().unwrap().to_owned()),
        ("journal.enabled", config.journal.enabled.to_string()),
    ];
    for (key, default) in defaults {
        assert_eq!(shown(key), default, "{key}");
    }
}
