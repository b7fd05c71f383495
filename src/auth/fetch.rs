//! Key sets over HTTP, fetched off the request path: no caller ever waits for a provider.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    Request, StatusCode, Uri, header,
    uri::{Authority, Scheme},
};
use http_body_util::Full;
use tokio::task::JoinSet;

use super::{Issuer, KeySet, KeySource, Settings};
use crate::{
    error::Fault,
    metrics::Metrics,
    net::{self, HttpClient},
};

/// How long connecting, and the whole fetch, may take.
const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(10);

/// The largest key set that is read, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// How long the first retry after a failure waits; each further one twice as long, up to the
/// longest.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Fetches the key sets of those issuers that have an address for theirs.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    http: HttpClient,
}

impl Fetcher {
    /// A fetcher; the system's trusted certificates are read only if some address needs them.
    pub(super) fn new(settings: &Settings) -> Result<Self, Fault> {
        let https = settings.issuers.iter().any(|issuer| match &issuer.keys {
            KeySource::Url(uri) => uri.scheme() == Some(&Scheme::HTTPS),
            KeySource::File(_) | KeySource::Discovery => false,
        });
        Ok(Self { http: net::client(CONNECT, https, None)? })
    }

    /// Fetches every key set once, all together.
    pub(super) async fn once(&self, issuers: &[Arc<Issuer>], metrics: &Arc<Metrics>) {
        let mut all = JoinSet::new();
        for (issuer, uri) in addressed(issuers) {
            let (fetcher, metrics) = (self.clone(), Arc::clone(metrics));
            all.spawn(async move { fetcher.attempt(&issuer, &uri, &metrics).await });
        }
        all.join_all().await;
    }

    /// Keeps every key set fresh, until dropped.
    pub(super) async fn forever(&self, issuers: &[Arc<Issuer>], metrics: &Arc<Metrics>) {
        let mut all = JoinSet::new();
        for (issuer, uri) in addressed(issuers) {
            let (fetcher, metrics) = (self.clone(), Arc::clone(metrics));
            all.spawn(async move { fetcher.keep_fresh(&issuer, &uri, &metrics).await });
        }
        all.join_all().await;
    }

    async fn keep_fresh(&self, issuer: &Issuer, uri: &Uri, metrics: &Metrics) {
        let refresh = issuer.settings.refresh_interval;
        let mut wait = if issuer.keys.load().is_some() { refresh } else { Duration::ZERO };
        let mut failures = 0_u32;
        loop {
            tokio::time::sleep(wait).await;
            if self.attempt(issuer, uri, metrics).await {
                failures = 0;
                wait = refresh;
            } else {
                let doubled = FIRST_RETRY * 2_u32.saturating_pow(failures.min(8));
                wait = doubled.min(LONGEST_RETRY).min(refresh);
                failures = failures.saturating_add(1);
            }
        }
    }

    /// One fetch; says whether it went well. What was there before stays when it did not.
    async fn attempt(&self, issuer: &Issuer, uri: &Uri, metrics: &Metrics) -> bool {
        let started = Instant::now();
        let fetched = match tokio::time::timeout(WHOLE, self.document(uri)).await {
            Ok(Ok(document)) => KeySet::parse(&document),
            Ok(Err(error)) => Err(error),
            Err(_) => Err("it took too long".to_owned()),
        };
        match fetched {
            Ok(set) => {
                issuer.take(set, Some(started), metrics);
                true
            }
            Err(error) => {
                metrics.keys_failed(&issuer.settings.name);
                tracing::warn!(
                    auth.issuer = issuer.settings.name,
                    error,
                    "the issuer's keys could not be fetched; the ones at hand, if any, stay in use"
                );
                false
            }
        }
    }

    async fn document(&self, uri: &Uri) -> Result<Bytes, String> {
        let host = uri.authority().map(Authority::as_str).unwrap_or_default();
        let request = Request::get(uri)
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            // A kept connection would only go stale between two refreshes.
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::new()))
            .map_err(|error| error.to_string())?;
        let response = self.http.request(request).await.map_err(|e| net::with_causes(&e))?;
        // Redirects are not followed: keys come from where the operator said, or not at all.
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status()));
        }
        net::read_body(response.into_body(), MAX_DOCUMENT).await.map_err(|e| net::with_causes(&*e))
    }
}

fn addressed(issuers: &[Arc<Issuer>]) -> impl Iterator<Item = (Arc<Issuer>, Uri)> {
    issuers.iter().filter_map(|issuer| match &issuer.settings.keys {
        KeySource::Url(uri) => Some((Arc::clone(issuer), uri.clone())),
        KeySource::File(_) | KeySource::Discovery => None,
    })
}
