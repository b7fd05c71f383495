//! The parts that a gateway is built from, and the warnings about them.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    spans::Spans,
    units::{Watched, keys, policy::Policies, tls},
};
use crate::{
    api::{self, Api, BodyLimits},
    auth::{Authenticator, KEYS_ISSUER},
    config::Config,
    error::Fault,
    execute::{self, Executor, Shadow},
    journal::{self, Journal},
    limit::{Budgets, Freeze, Live},
    metrics::Metrics,
    reload::ReloadStatus,
    server::{self, Drain, Readiness},
    stack::Timeouts,
    zec::{self, AccessKeys, Reader, Writer},
};

pub(super) fn warnings(
    config: &Config,
    tls: Option<&tls::LoadedTls>,
    auth: &Authenticator,
) -> Vec<Fault> {
    let files = few_files(config.server.max_connections, server::file_limit());
    let few = files.into_iter().collect();
    [config.warnings.clone(), tls::warnings(tls), auth.warnings().to_vec(), few].concat()
}

/// Warns if the limit on open files is too low: each caller's connection may need a second one, to ZEC.
fn few_files(connections: usize, files: u64) -> Option<Fault> {
    let wanted = (connections as u64).saturating_mul(2);
    let text = format!(
        "the process may have {files} files open, and this many connections need {wanted}: raise \
         the host's limit (`LimitNOFILE=` of a systemd unit, `ulimit -Hn`), or lower this key"
    );
    (files < wanted).then(|| Fault::new(text).at_key("server.max_connections"))
}

/// Parts that can be replaced while the gateway runs, and that were loaded first.
pub(super) struct Given {
    pub(super) policies: Policies,
    pub(super) keys: AccessKeys,
}

/// The parts that are loaded from files of their own.
pub(super) struct LoadedParts {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) client: (Reader, Writer),
    pub(super) tls: Option<tls::LoadedTls>,
    pub(super) spans: Spans,
    pub(super) units: Vec<Watched>,
}

impl LoadedParts {
    pub(super) fn load(
        config: &Config,
        key: AccessKeys,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Vec<Fault>> {
        let issuers = keys::load(&config.auth, Arc::clone(metrics));
        let client = zec::connect(&config.zec, key, Arc::clone(metrics));
        match (issuers, client, tls::load(config), Spans::load(config, metrics)) {
            (Ok((authenticator, units)), Ok(client), Ok(tls), Ok(spans)) => {
                Ok(Self { authenticator, client, tls, spans, units })
            }
            (issuers, client, tls, spans) => {
                let mut faults = issuers.err().unwrap_or_default();
                faults.extend(client.err());
                faults.extend(tls.err().unwrap_or_default());
                faults.extend(spans.err());
                faults.extend(journal::check(&config.journal).err());
                Err(faults)
            }
        }
    }
}

/// Builds the state of a drain, and what operators can read of it. The operators' checks of the freeze file have a
/// bound of their own, so that probes never use up the checks that writes need.
pub(super) fn drain(
    authenticator: &Arc<Authenticator>,
    journal: &Journal,
    board: ReloadStatus,
    limits: &Live,
) -> Drain {
    let freeze = Freeze::new(limits.clone());
    Drain::new(Readiness::new(Arc::clone(authenticator), journal.clone(), board, freeze))
}

/// Builds the part that performs operations.
pub(super) fn executor(
    config: &Config,
    policies: Policies,
    client: (Reader, Writer),
    limits: &Live,
    drain: &Drain,
    journal: &Journal,
    metrics: &Arc<Metrics>,
) -> Arc<Executor> {
    Arc::new(Executor::new(execute::ExecutorParts {
        policy: policies.live,
        shadow: policies.shadow.map(|shadow| Shadow::new(shadow, Arc::clone(metrics))),
        client,
        preflight: config.preflight,
        limits: limits.clone(),
        freeze: Freeze::new(limits.clone()),
        budgets: Budgets::new(limits),
        stop: drain.begun.clone(),
        journal: journal.clone(),
        writes: drain.writes.clone(),
        fast_drain: drain.fast_drain.clone(),
        metrics: Arc::clone(metrics),
    }))
}

/// Builds the innermost service.
pub(super) fn api(config: &Config, executor: &Arc<Executor>, limits: &Live) -> Api {
    let Config { server, zec, .. } = config;
    let bodies = BodyLimits { max: server.max_body, timeout: server.body_timeout };
    Api::new(Arc::clone(executor), bodies, zec.unknown_fields, limits.clone())
}

/// How long answers may take.
pub(super) fn timeouts(server: &server::Settings) -> Timeouts {
    Timeouts { request: server.request_timeout, read: server.read_timeout }
}

pub(super) fn router() -> Result<Arc<api::Router>, Fault> {
    api::Router::new().map(Arc::new).map_err(|error| Fault::new(error.to_string()))
}

/// The names before `/` that policies may speak of: those of the issuers, and that of callers with access keys.
pub(super) fn issuer_names(config: &Config) -> Vec<String> {
    let keys = config.auth.access_keys.iter().map(|_| KEYS_ISSUER.to_owned());
    token_issuers(config).into_iter().chain(keys).collect()
}

/// The names of the issuers of tokens.
pub(super) fn token_issuers(config: &Config) -> Vec<String> {
    config.auth.issuers.iter().map(|issuer| issuer.name.clone()).collect()
}

pub(super) fn metrics(issuers: &[String]) -> Result<Arc<Metrics>, Fault> {
    Metrics::new(&api::series(), issuers)
        .map(Arc::new)
        .map_err(|error| Fault::new(format!("the metrics cannot be set up: {error}")))
}

pub(super) fn origins(texts: &[String]) -> Result<Vec<HeaderValue>, Fault> {
    let parse = |text: &String| {
        HeaderValue::from_str(text).map_err(|_| {
            Fault::new(format!("`{text}` cannot be sent in a header"))
                .at_key("cors.allowed_origins")
        })
    };
    texts.iter().map(parse).collect()
}
