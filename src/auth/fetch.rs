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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arc_swap::ArcSwapOption;
    use tokio::{net::TcpListener, sync::Notify};

    use super::*;
    use crate::auth::tests::settings;

    /// How often somebody asked a provider, and word of it when that is far too often.
    #[derive(Default)]
    struct Asked {
        times: AtomicUsize,
        too_often: Notify,
    }

    /// An issuer with its keys at this address, where whoever asks is hung up on, or left waiting
    /// for ever.
    async fn issuer(hangs_up: bool) -> (Issuer, Uri, Arc<Asked>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(Asked::default());
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                if count.times.fetch_add(1, Ordering::Relaxed) == 20 {
                    count.too_often.notify_one();
                }
                if !hangs_up {
                    held.push(stream);
                }
            }
        });
        let mut settings = settings("corp", "https://sso.example.com", "no-file".into());
        settings.keys = KeySource::Url(uri.clone());
        (Issuer { settings, keys: ArcSwapOption::empty() }, uri, asked)
    }

    fn fetcher() -> Fetcher {
        Fetcher { http: net::client(CONNECT, false, None).unwrap() }
    }

    fn metrics() -> Metrics {
        Metrics::new(&[], &["corp".to_owned()]).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_never_answers_is_given_up() {
        let (issuer, uri, _) = issuer(false).await;
        let started = tokio::time::Instant::now();
        assert!(!fetcher().attempt(&issuer, &uri, &metrics()).await);
        assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_fails_is_asked_again_ever_more_seldom() {
        let (issuer, uri, asked) = issuer(true).await;
        let (fetcher, metrics) = (fetcher(), metrics());
        tokio::select! {
            () = fetcher.keep_fresh(&issuer, &uri, &metrics) => {}
            () = asked.too_often.notified() => {}
            () = tokio::time::sleep(Duration::from_mins(5)) => {}
        }
        let asked = asked.times.load(Ordering::Relaxed);
        assert!((4..=12).contains(&asked), "asked {asked} times within five minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_delays_no_fetch_past_its_refresh() {
        let (mut issuer, uri, asked) = issuer(true).await;
        issuer.settings.refresh_interval = Duration::from_secs(1);
        let (fetcher, metrics) = (fetcher(), metrics());
        tokio::select! {
            () = fetcher.keep_fresh(&issuer, &uri, &metrics) => {}
            () = tokio::time::sleep(Duration::from_secs(15)) => {}
        }
        // By the waits between failures alone it would be four times.
        let asked = asked.times.load(Ordering::Relaxed);
        assert!(asked > 6, "asked {asked} times in fifteen seconds");
    }
}
