//! Settings that are allowed but that the operator should know of: keys without effect, and dangerous values.

use std::time::Duration;

use http::uri::Scheme;
use humantime::format_duration;

use super::{Config, findings::Findings, origin::ValueOrigin};
use crate::{auth::KeySource, net::is_loopback, zec::UnknownFields};

/// Fetching keys more often than this is too often, because they change once in weeks.
const SOON: Duration = Duration::from_secs(10);

/// Adds every warning to the findings.
pub(super) fn find(config: &Config, findings: &Findings) {
    listeners(config, findings);
    endpoint(config, findings);
    timeouts(config, findings);
    collector(config, findings);
    stale_keys(config, findings);
    if !config.preflight.on {
        warn(
            findings,
            "zec.preflight",
            "the gateway does not check the vNIC before a write: ZEC alone decides whether the vNIC's state allows the change, and the tag `zec-gateway:protected` takes effect only where a policy reads the vNIC",
        );
    }
    if config.zec.unknown_fields == UnknownFields::Pass {
        warn(
            findings,
            "zec.unknown_fields",
            "the gateway sends arguments that no policy can see: add what is missing in `zec.catalogue_file`, and refuse the rest",
        );
    }
    if !config.journal.enabled {
        warn(findings, "journal.enabled", "writes leave no record");
    }
}

fn listeners(config: &Config, findings: &Findings) {
    let server = &config.server;
    if server.tls.is_none() && !server.listen.is_local() {
        warn(
            findings,
            "server.listen",
            "plain HTTP beyond loopback exposes every token on the network: set `[server.tls]`, or listen on loopback behind a TLS proxy",
        );
    }
    if !server.admin_listen.is_local() {
        warn(
            findings,
            "admin.listen",
            "metrics and probes need no token: restrict who can reach this address",
        );
    }
}

fn endpoint(config: &Config, findings: &Findings) {
    if config.zec.scheme == Scheme::HTTP && !is_loopback(config.zec.authority.host()) {
        warn(
            findings,
            "zec.endpoint",
            "plain HTTP beyond loopback exposes signed requests on the network: use https",
        );
    }
}

fn collector(config: &Config, findings: &Findings) {
    let Some(collector) = &config.collector else {
        for key in ["otlp_sample_percent", "otlp_period", "otlp_timeout"] {
            let key = format!("telemetry.{key}");
            if findings.origin(&key).is_some() {
                warn(findings, &key, "has no effect without `otlp_endpoint`");
            }
        }
        return;
    };
    let (scheme, host) = (collector.endpoint.scheme(), collector.endpoint.host());
    if scheme == Some(&Scheme::HTTP) && !host.is_some_and(is_loopback) {
        warn(
            findings,
            "telemetry.otlp_endpoint",
            "plain HTTP beyond loopback exposes who asks for what on the network: use https, or a collector on this machine",
        );
    }
}

fn timeouts(config: &Config, findings: &Findings) {
    let whole = config.server.request_timeout;
    let upstream = config.zec.connect_timeout + config.zec.request_timeout;
    if whole > upstream {
        return;
    }
    let keys = ["server.request_timeout", "zec.request_timeout", "zec.connect_timeout"];
    let key = keys.into_iter().find(|key| findings.origin(key).is_some()).unwrap_or(keys[0]);
    let text = format!(
        "an answer may take {}, but ZEC alone may take {}: raise `server.request_timeout` above that, or lower `zec.request_timeout`",
        format_duration(whole),
        format_duration(upstream)
    );
    warn(findings, key, text);
}

fn stale_keys(config: &Config, findings: &Findings) {
    for (index, issuer) in config.auth.issuers.iter().enumerate() {
        let key = |name: &str| format!("auth.issuers[{index}].{name}");
        if matches!(issuer.keys, KeySource::File(_)) {
            for key in
                ["refresh_interval", "max_stale", "ca_file", "token_file", "use_proxy"].map(key)
            {
                if findings.origin(&key).is_some() {
                    warn(findings, &key, "has no effect beside `jwks_file`, which is not fetched");
                }
            }
            continue;
        }
        if issuer.max_stale <= issuer.refresh_interval {
            warn(
                findings,
                &key("max_stale"),
                "is not longer than `refresh_interval`: good tokens would be refused between two refreshes",
            );
        }
        if issuer.refresh_interval < SOON {
            warn(
                findings,
                &key("refresh_interval"),
                "is short: providers throttle clients that fetch so often",
            );
        }
    }
    let fetched = config.auth.issuers.iter().any(|i| !matches!(i.keys, KeySource::File(_)));
    if config.auth.keys_cache_directory.is_some() && !fetched {
        warn(findings, "auth.keys_cache_directory", "has no effect: all keys are in files");
    }
    if config.auth.proxy.is_some() && !fetched {
        warn(findings, "auth.proxy", "has no effect: all keys are in files");
    }
}

fn warn(findings: &Findings, key: &str, text: impl Into<String>) {
    findings.warning(key, &findings.origin(key).unwrap_or(ValueOrigin::Nowhere), text);
}
