//! The gateway as callers and operators see it: real sockets, the real composition root, and a ZEC that misbehaves on
//! request.

#![expect(unreachable_pub, reason = "one binary: `pub` means for the other modules")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken expectation is a test's way of failing"
)]
#![expect(clippy::large_futures, reason = "a test may be fat")]
#![expect(clippy::float_cmp, reason = "counters are whole numbers")]

mod client;
#[cfg(feature = "otlp")]
mod collector;
mod find;
mod frames;
mod idempotency;
mod idp;
mod issued_keys;
mod program;
mod prometheus;
mod provocations;
mod secure;
mod services;
mod world;

mod access_keys;
mod alerts;
mod architecture;
mod balancers;
mod breaker;
mod browser;
mod caller_limits;
mod catalogue;
mod cors;
mod crowded;
mod cut_off;
mod decoding;
mod deploy_kubernetes;
mod deploy_prometheus;
mod deploy_systemd;
mod destructive;
mod docs;
mod egress;
mod errors;
mod every_action;
mod every_fault;
mod generated_clients;
mod http2;
mod identity;
mod identity_page;
mod journal;
mod key_command;
mod limits;
mod long_answers;
mod main_path;
mod metrics;
mod odd_files;
mod openapi;
mod operations;
mod outcomes;
#[cfg(feature = "otlp")]
mod otlp;
mod policy;
mod preflight;
mod process;
mod proofs;
mod provider;
mod provider_faults;
mod real_parts;
mod reload;
mod reload_storm;
mod shadow;
mod smuggling;
mod sockets;
mod stalled_log;
mod storm;
mod tls;
mod tls_reload;
mod unread;
mod upstream;
mod wire;
mod zec_form;
