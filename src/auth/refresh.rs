//! Keeps the key sets fresh, with one task for each issuer, so that an issuer never gets two requests at once.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{task::JoinSet, time::Instant};

use super::{KeySet, KeySource, Settings, cache::Cache, fetch::Fetcher, issuer::Issuer};
use crate::{error::Fault, metrics::Metrics};

/// How long the first retry after a failure waits. Each further retry waits twice as long, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// How long callers wait at the start for the first key sets; without keys they would all get 503.
const FIRST: Duration = Duration::from_secs(1);

/// Fetches the key sets of the issuers whose keys are not in a file.
#[derive(Clone, Debug)]
pub(super) struct Refresher {
    fetcher: Fetcher,
    cache: Option<Cache>,
    metrics: Arc<Metrics>,
}

impl Refresher {
    pub(super) fn new(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, Vec<Fault>> {
        let fetcher = Fetcher::new(settings)?;
        let cache = settings.keys_cache_directory.clone().map(Cache::new);
        Ok(Self { fetcher, cache, metrics })
    }

    /// Takes the key set from disk, if there is one. With it, a gateway that starts while the provider is down can
    /// serve at once. Returns a fault if the file cannot be used.
    pub(super) fn recall(&self, issuer: &Issuer) -> Option<Fault> {
        let cache = self.cache.as_ref()?;
        match cache.read(issuer.settings()) {
            Ok(Some((set, age))) => {
                tracing::info!(
                    auth.issuer = issuer.name(),
                    age_s = age.as_secs(),
                    "the keys kept on disk are used until fresh ones are fetched"
                );
                self.metrics.keys_recalled(issuer.name(), set.len(), age);
                issuer.take(set, age);
                None
            }
            Ok(None) => None,
            Err(error) => Some(
                Fault::new(format!("the keys kept there are not used: {error}"))
                    .at_key("auth.keys_cache_directory"),
            ),
        }
    }

    /// Waits until there was one attempt for each missing key set, and for a second at most.
    pub(super) async fn first(issuers: &[Arc<Issuer>]) {
        let missing = remote(issuers).filter(|issuer| !issuer.has_keys());
        let mut all: JoinSet<()> =
            missing.map(|issuer| async move { issuer.demand.asked_once().await }).collect();
        let _ =
            tokio::time::timeout(FIRST, async { while all.join_next().await.is_some() {} }).await;
    }

    /// Fetches every key set once, concurrently.
    pub(super) async fn once(&self, issuers: &[Arc<Issuer>]) {
        let mut all = JoinSet::new();
        for issuer in remote(issuers) {
            let refresher = self.clone();
            all.spawn(async move { refresher.attempt(&issuer).await });
        }
        all.join_all().await;
    }

    /// Keeps every key set fresh, until dropped.
    pub(super) async fn forever(&self, issuers: &[Arc<Issuer>]) {
        let mut all = JoinSet::new();
        for issuer in remote(issuers) {
            let refresher = self.clone();
            all.spawn(async move { refresher.keep_fresh(&issuer).await });
        }
        while let Some(ended) = all.join_next().await {
            // The tasks of the other issuers go on.
            tracing::error!(
                ?ended,
                "an issuer's keys are no longer refreshed: restart the gateway"
            );
        }
    }

    async fn keep_fresh(&self, issuer: &Issuer) {
        let interval = issuer.settings().refresh_interval;
        let mut due = Instant::now();
        if issuer.demand.was_reached() {
            due += interval;
        }
        let mut failures = 0_u32;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = issuer.demand.raised() => {}
            }
            let wait = if self.attempt(issuer).await {
                failures = 0;
                interval
            } else {
                let doubled = FIRST_RETRY * 2_u32.saturating_pow(failures.min(8));
                failures = failures.saturating_add(1);
                doubled.min(LONGEST_RETRY).min(interval)
            };
            due = Instant::now() + wait;
        }
    }

    /// Fetches once and returns whether that succeeded. After a failure, the previous keys stay.
    async fn attempt(&self, issuer: &Issuer) -> bool {
        let refresh = issuer.demand.begin();
        let started = Instant::now();
        let fetched = self.fetcher.key_set(issuer).await;
        match fetched.and_then(|document| Ok((KeySet::parse(&document)?, document))) {
            Ok((set, document)) => {
                self.metrics.keys_fetched(issuer.name(), set.len());
                issuer.take(set, started.elapsed());
                refresh.end(true);
                self.keep(issuer, document);
                true
            }
            Err(error) => {
                self.metrics.keys_failed(issuer.name());
                tracing::warn!(
                    auth.issuer = issuer.name(),
                    error,
                    "the issuer's keys could not be fetched; the ones at hand, if any, stay in use"
                );
                refresh.end(false);
                false
            }
        }
    }

    /// Writes the key set to disk, if the operator wants that. The write has its own thread, and neither a refresh nor
    /// the shutdown waits for it, because a disk may hang.
    fn keep(&self, issuer: &Issuer, document: Bytes) {
        let Some(cache) = self.cache.clone() else { return };
        let name = issuer.name().to_owned();
        let Ok(place) = Arc::clone(&issuer.writing).try_acquire_owned() else {
            tracing::warn!(
                auth.issuer = name,
                "the previous write of the issuer's keys has not finished, so these were not saved: check the disk"
            );
            return;
        };
        let settings = issuer.settings().clone();
        let writing = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            if let Err(error) = cache.write(&settings, &document) {
                cannot_keep(&settings.name, &error);
            }
            drop(place);
        });
        if let Err(error) = writing {
            cannot_keep(&name, &error.to_string());
        }
    }
}

fn cannot_keep(issuer: &str, error: &str) {
    tracing::warn!(auth.issuer = issuer, error, "the issuer's keys could not be kept on disk");
}

/// The issuers whose keys have to be fetched.
fn remote(issuers: &[Arc<Issuer>]) -> impl Iterator<Item = Arc<Issuer>> {
    let is_remote = |issuer: &&Arc<Issuer>| match &issuer.settings().keys {
        KeySource::Url(_) | KeySource::Discovery => true,
        KeySource::File(_) => false,
    };
    issuers.iter().filter(is_remote).cloned()
}
