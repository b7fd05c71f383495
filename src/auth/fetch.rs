//! Key sets over HTTP, fetched off the request path: no caller ever waits for a provider.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use tokio::task::JoinSet;

use super::{FIRST_RETRY, Issuer, KeySet, KeySource};
use crate::{
    metrics::Metrics,
    net::{self, HttpClient},
};

/// How long connecting, and the whole fetch, may take.
const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(10);

/// The largest key set that is read, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// After failures, the longest wait before the next attempt.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Fetches the key set of every issuer that has an address, together, once.
pub(super) async fn once(issuers: &[Arc<Issuer>], metrics: &Arc<Metrics>) {
    let mut all = JoinSet::new();
    for (issuer, uri) in addressed(issuers) {
        let metrics = Arc::clone(metrics);
        all.spawn(async move { attempt(&issuer, &uri, &metrics).await });
    }
    all.join_all().await;
}

/// Keeps the key set of every issuer that has an address fresh, until dropped.
pub(super) async fn forever(issuers: &[Arc<Issuer>], metrics: &Arc<Metrics>) {
    let mut all = JoinSet::new();
    for (issuer, uri) in addressed(issuers) {
        let metrics = Arc::clone(metrics);
        all.spawn(async move { keep_fresh(&issuer, &uri, &metrics).await });
    }
    all.join_all().await;
}

fn addressed(issuers: &[Arc<Issuer>]) -> impl Iterator<Item = (Arc<Issuer>, Uri)> {
    issuers.iter().filter_map(|issuer| match &issuer.settings.keys {
        KeySource::Url(uri) => Some((Arc::clone(issuer), uri.clone())),
        KeySource::File(_) | KeySource::Discovery => None,
    })
}

async fn keep_fresh(issuer: &Issuer, uri: &Uri, metrics: &Metrics) {
    let refresh = issuer.settings.refresh_interval;
    let mut wait = if issuer.keys.load().is_some() { refresh } else { Duration::ZERO };
    let mut failures = 0_u32;
    loop {
        tokio::time::sleep(wait).await;
        if attempt(issuer, uri, metrics).await {
            failures = 0;
            wait = refresh;
        } else {
            wait = (FIRST_RETRY * 2_u32.saturating_pow(failures.min(8)))
                .min(LONGEST_RETRY)
                .min(refresh);
            failures += 1;
        }
    }
}

/// One fetch; says whether it went well. What was there before stays when it did not.
async fn attempt(issuer: &Issuer, uri: &Uri, metrics: &Metrics) -> bool {
    let started = Instant::now();
    let fetched = match tokio::time::timeout(WHOLE, document(uri)).await {
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

async fn document(uri: &Uri) -> Result<Bytes, String> {
    let client = client(uri)?;
    let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let request = Request::get(uri)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .body(Full::new(Bytes::new()))
        .map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| error.to_string())?;
    // Redirects are not followed: keys come from where the operator said, or not at all.
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status()));
    }
    net::read_body(response.into_body(), MAX_DOCUMENT).await.map_err(|error| error.to_string())
}

/// A client for one fetch: every few minutes, so a kept connection would only go stale.
fn client(uri: &Uri) -> Result<HttpClient, String> {
    let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    net::client(CONNECT, https, None).map_err(|fault| fault.to_string())
}
