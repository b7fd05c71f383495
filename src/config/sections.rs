//! Each table of the file except `[auth]`: its keys, its defaults, its limits.

use std::{ops::RangeInclusive, time::Duration};

use http::uri::{Authority, Scheme};

use super::{fields::Fields, forms, url};
use crate::{
    execute::{EipCheck, Preflight},
    journal, limit,
    net::ProxySettings,
    policy,
    server::{self, TlsSettings, TrustedProxies},
    telemetry, zec,
};

/// A timer of 0 would fire before anything could happen, and more than an hour is too long for a timeout.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// The time for a whole answer. A write starts only while at least a second is left for it (`execute`). Before that,
/// the gateway reads the vNIC, decides, and records the write, so with less than this in all a write would hardly ever
/// start.
const ANSWER: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(3600);
/// A delay for which 0 means "do not wait".
const DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
/// More than anybody needs, and far below the limits of counters and semaphores.
const MANY: usize = 1_000_000;

/// `[server]` and `[admin]`.
pub(super) fn server(root: &mut Fields<'_>) -> server::Settings {
    let mut admin = root.table("admin");
    let mut fields = root.table("server");
    let seconds = Duration::from_secs;
    let settings = server::Settings {
        listen: fields.address("listen", ([127, 0, 0, 1], 8080)),
        admin_listen: admin.address("listen", ([127, 0, 0, 1], 9464)),
        trusted_proxies: trusted_proxies(&mut fields),
        max_connections: fields.integer("max_connections", 10_000, 1..=MANY),
        header_timeout: fields.duration("header_timeout", seconds(10), &TIMEOUT),
        body_timeout: fields.duration("body_timeout", seconds(10), &TIMEOUT),
        idle_timeout: fields.duration("idle_timeout", seconds(75), &TIMEOUT),
        handshake_timeout: fields.duration("handshake_timeout", seconds(5), &TIMEOUT),
        request_timeout: fields.duration("request_timeout", seconds(30), &ANSWER),
        read_timeout: fields.duration("read_timeout", seconds(9), &TIMEOUT),
        max_body: fields.size("max_body", 64 * 1024, 16 * 1024 * 1024),
        drain_delay: fields.duration("drain_delay", Duration::ZERO, &DELAY),
        drain_timeout: fields.duration("drain_timeout", seconds(30), &DELAY),
        tls: fields.optional_table("tls").and_then(tls),
    };
    if settings.listen.clashes(&settings.admin_listen) {
        let key = if admin.is_set("listen") { &admin } else { &fields };
        key.fault("listen", "`server.listen` and `admin.listen` are the same: give each its own");
    }
    settings
}

fn trusted_proxies(fields: &mut Fields<'_>) -> TrustedProxies {
    let proxies = fields.texts("trusted_proxies", forms::proxy_network).unwrap_or_default();
    let unix = proxies.contains(&None);
    TrustedProxies { networks: proxies.into_iter().flatten().collect(), unix }
}

fn tls(mut fields: Fields<'_>) -> Option<TlsSettings> {
    let cert_file = fields.required_path("cert_file", "name the certificate chain's PEM file");
    let key_file = fields.required_path("key_file", "name the private key's PEM file");
    let client_ca_file = fields.path("client_ca_file");
    Some(TlsSettings { cert_file: cert_file?, key_file: key_file?, client_ca_file })
}

/// `[cors]`.
pub(super) fn cors(root: &mut Fields<'_>) -> Vec<String> {
    root.table("cors").texts("allowed_origins", url::origin).unwrap_or_default()
}

/// `[policy]`; the path is empty after a fault.
pub(super) fn policy(root: &mut Fields<'_>) -> policy::Settings {
    let mut fields = root.table("policy");
    let hint = "name the directory that holds the `*.cedar` files";
    policy::Settings {
        directory: fields.required_path("directory", hint).unwrap_or_default(),
        shadow_directory: fields.path("shadow_directory"),
    }
}

/// `[zec]`: the connection to ZEC, and the checks before a write.
pub(super) fn zec(root: &mut Fields<'_>) -> (zec::Settings, Preflight) {
    let mut fields = root.table("zec");
    let (scheme, authority) = fields
        .text("endpoint", url::endpoint)
        .unwrap_or((Scheme::HTTPS, Authority::from_static("console.zenlayer.com")));
    let settings = zec::Settings {
        scheme,
        authority,
        access_key_id_file: fields.path("access_key_id_file"),
        access_key_password_file: fields.path("access_key_password_file"),
        ca_file: fields.path("ca_file"),
        catalogue_file: fields.path("catalogue_file"),
        unknown_fields: fields.text("unknown_fields", forms::unknown_fields).unwrap_or_default(),
        connect_timeout: fields.duration("connect_timeout", Duration::from_secs(3), &TIMEOUT),
        request_timeout: fields.duration("request_timeout", Duration::from_secs(20), &TIMEOUT),
        proxy: proxy(&mut fields),
    };
    let preflight = Preflight {
        on: fields.boolean("preflight", true),
        eip_check: fields.text("eip_check", forms::eip_check).unwrap_or(EipCheck::Nic),
    };
    credentials(&mut fields);
    (settings, preflight)
}

/// The HTTP proxy of a table.
pub(super) fn proxy(fields: &mut Fields<'_>) -> Option<ProxySettings> {
    let address = fields.text("proxy", url::proxy);
    let credentials_file = fields.path("proxy_credentials_file");
    if credentials_file.is_some() && !fields.is_set("proxy") {
        fields.fault("proxy_credentials_file", "is set without `proxy`: name the proxy too");
    }
    Some(ProxySettings { address: address?, credentials_file })
}

fn credentials(fields: &mut Fields<'_>) {
    let pair = ["access_key_id_file", "access_key_password_file"];
    for (here, there) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        if fields.is_set(here) && !fields.is_set(there) {
            fields.fault(
                here,
                format!("is set without `{there}`: set both, or neither and use the variables `ZEC_ACCESS_KEY_ID` and `ZEC_ACCESS_KEY_PASSWORD`"),
            );
        }
    }
    let secret = "secrets are never written here:";
    fields.refuse(
        "access_key_id",
        &format!(
            "{secret} name a file in `access_key_id_file`, or set the variable `ZEC_ACCESS_KEY_ID`"
        ),
    );
    fields.refuse(
        "access_key_password",
        &format!("{secret} name a file in `access_key_password_file`, or set the variable `ZEC_ACCESS_KEY_PASSWORD`"),
    );
}

/// `[limits]`.
pub(super) fn limits(root: &mut Fields<'_>) -> limit::Settings {
    let mut fields = root.table("limits");
    limit::Settings {
        max_concurrent_requests: fields.integer("max_concurrent_requests", 1024, 1..=MANY),
        max_concurrent_per_caller: fields.integer("max_concurrent_per_caller", 64, 1..=MANY),
        max_addresses: fields.integer("max_addresses", 50, 1..=1000),
        requests_per_second: fields.integer("requests_per_second", 50, 0..=1_000_000),
        addresses_per_hour: fields.integer("addresses_per_hour", 500, 0..=1_000_000_000),
        destructive_per_hour: fields.integer("destructive_per_hour", 100, 0..=1_000_000_000),
        freeze_file: fields.path("freeze_file"),
    }
}

/// `[journal]`.
pub(super) fn journal(root: &mut Fields<'_>) -> journal::Settings {
    let mut fields = root.table("journal");
    journal::Settings {
        path: fields.path("path").unwrap_or_else(|| fields.beside("journal.db")),
        enabled: fields.boolean("enabled", true),
        keep_months: fields.integer("keep_months", 0, 0..=1200),
    }
}

/// `[log]`.
pub(super) fn log(root: &mut Fields<'_>) -> telemetry::Settings {
    let mut fields = root.table("log");
    telemetry::Settings {
        format: fields.text("format", forms::log_format).unwrap_or(telemetry::Format::Auto),
        level: fields.text("level", forms::log_level).unwrap_or_else(|| "info".to_owned()),
    }
}
