//! The composition root: it builds every part of a gateway from a configuration, and runs them on listeners.

mod faults;
mod parts;
mod spans;
mod units;

use std::{future::Future, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use parts::{
    Given, LoadedParts, api, drain, executor, issuer_names, metrics, origins, router, timeouts,
    token_issuers, warnings,
};
use spans::Spans;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use units::{Units, access_key, limits, policy, policy::Policies};

use crate::{
    auth::Authenticator,
    catalogue::Catalogue,
    config::{Config, Partial},
    error::Fault,
    execute::{Executor, Patience},
    files,
    journal::{self, Journal, View},
    lanes::Lanes,
    limit::{Callers, Live},
    metrics::Metrics,
    policy::Engine,
    reload::WatchPace,
    server::{self, Drain, Tls},
    stack::{self, Stack},
    telemetry::Level,
    zec::AccessKey,
};

pub use units::Reloader;

/// A gateway with all its parts loaded and no socket bound yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    authenticator: Arc<Authenticator>,
    metrics: Arc<Metrics>,
    drain: Drain,
    journal: Journal,
    unfinished: Vec<View>,
    executor: Arc<Executor>,
    parts: stack::StackParts,
    tls: Option<Arc<Tls>>,
    spans: Spans,
    units: Units,
    /// Whether the configuration was read from a file, so that a change of the limits or the log level in it is
    /// reloaded.
    follows_limits: bool,
    /// Changes the log level while the gateway runs.
    pub level: Level,
    /// The threads that serve connections.
    pub lanes: Lanes,
    /// How often files are polled for changes.
    pub pace: WatchPace,
    /// How long the resolver looks for the outcome of a write that is unknown.
    pub patience: Patience,
    /// Settings that are allowed but probably not intended.
    pub warnings: Vec<Fault>,
}

/// The bound sockets of a gateway. The caller of [`App::run`] binds them.
#[derive(Debug)]
pub struct AppListeners {
    /// The callers' port.
    pub public: server::Listeners,
    /// The operators' port.
    pub admin: server::Listeners,
}

/// Adds the actions of an operator's file to the catalogue.
///
/// # Errors
/// When it cannot be read, or breaks a rule.
pub fn catalogue_file(path: Option<&Path>) -> Result<(), Fault> {
    let Some(path) = path else { return Ok(()) };
    let fault = |text: String| Fault::new(text).in_file(path).at_key("zec.catalogue_file");
    let text = files::read_text(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    Catalogue::extend(&text).map_err(|error| fault(error.to_string()))
}

impl App {
    /// Loads everything that a configuration names, and opens its journal. Blocks.
    ///
    /// # Errors
    /// Returns every fault of every part at once.
    pub fn load(config: &Config) -> Result<Self, Vec<Fault>> {
        Self::load_with(config, |metrics| Journal::open(&config.journal, metrics))
    }

    /// Loads everything that [`App::load`] would, but creates and locks nothing, because a gateway may be running with
    /// the same journal. Returns the warnings.
    ///
    /// # Errors
    /// Returns every fault of every part at once.
    pub fn check(config: &Config) -> Result<Vec<Fault>, Vec<Fault>> {
        let look = |_: Arc<Metrics>| {
            journal::check(&config.journal).map(|()| (Journal::off(), Vec::new()))
        };
        Self::load_with(config, look).map(|app| app.warnings)
    }

    /// Returns the faults of a faulty configuration and of the files that it names, as far as they can be read. An
    /// operator can then fix all of them at once. Blocks.
    #[must_use]
    pub fn faults(partial: &Partial) -> Vec<Fault> {
        faults::of_all(partial)
    }

    fn load_with(
        config: &Config,
        journal: impl FnOnce(Arc<Metrics>) -> Result<(Journal, Vec<View>), Fault>,
    ) -> Result<Self, Vec<Fault>> {
        // Before anything else, because policies and routes speak of its actions.
        if let Err(fault) = catalogue_file(config.zec.catalogue_file.as_deref()) {
            return Err([vec![fault], faults::of_the_others(config, true)].concat());
        }
        match (policy::load(&config.policy, &issuer_names(config)), access_key::load(&config.zec)) {
            (Ok(policy), Ok(key)) => {
                let given = Given { policies: policy.policies(), keys: key.keys.clone() };
                let mut app = Self::assemble_with(config, given, journal)?;
                app.warnings.extend(policy.warnings());
                app.units.add(policy.followed(&app.metrics));
                app.units.add(key.followed());
                app.follows_limits = true;
                Ok(app)
            }
            (policy, key) => {
                let mut faults = policy.err().unwrap_or_default();
                faults.extend(key.err().unwrap_or_default());
                // Load the other parts all the same, to report their faults too.
                faults.extend(faults::of_the_others(config, true));
                Err(faults)
            }
        }
    }

    /// Builds a gateway from a policy and an access key that are loaded already, and opens its journal. Neither of the
    /// two, nor the configuration, is reloaded. Blocks.
    ///
    /// # Errors
    /// Returns every fault of the parts that are still to be loaded.
    pub fn assemble(config: &Config, engine: Engine, key: AccessKey) -> Result<Self, Vec<Fault>> {
        let live = Arc::new(ArcSwap::from_pointee(engine));
        let given = Given { policies: Policies { live, shadow: None }, keys: key.into() };
        Self::assemble_with(config, given, |metrics| Journal::open(&config.journal, metrics))
    }

    fn assemble_with(
        config: &Config,
        given: Given,
        journal: impl FnOnce(Arc<Metrics>) -> Result<(Journal, Vec<View>), Fault>,
    ) -> Result<Self, Vec<Fault>> {
        let one = |fault: Fault| vec![fault];
        let metrics = metrics(&token_issuers(config)).map_err(one)?;
        let LoadedParts { authenticator, client, tls, spans, units } =
            LoadedParts::load(config, given.keys, &metrics)?;
        let warnings = warnings(config, tls.as_ref(), &authenticator);
        let router = router().map_err(one)?;
        let allowed_origins = origins(&config.cors_allowed_origins).map_err(one)?;
        // Last, because only this step creates something and locks others out.
        let (journal, unfinished) = journal(Arc::clone(&metrics)).map_err(one)?;
        journal.set_second_clock(client.0.clock());
        metrics.policy_loaded(given.policies.live.load().version());
        metrics.loaded(true);
        let (mut units, limits) = (Units::from(units), Live::new(config.limits.clone()));
        let drain = drain(&authenticator, &journal, units.board.clone(), &limits);
        let executor =
            executor(config, given.policies, client, &limits, &drain, &journal, &metrics);
        let parts = stack::StackParts {
            authenticator: Arc::clone(&authenticator),
            api: api(config, &executor, &limits),
            router,
            metrics: Arc::clone(&metrics),
            callers: Arc::new(Callers::new(limits.clone())),
            draining: drain.begun.clone(),
            limits,
            spans: spans.sink(),
            timeouts: timeouts(&config.server),
            allowed_origins,
        };
        let (tls, certificate) = tls.map(|tls| tls.followed(&metrics)).unzip();
        units.add(certificate.into_iter().flatten());
        Ok(Self {
            config: config.clone(),
            drain,
            journal,
            unfinished,
            executor,
            authenticator,
            metrics,
            parts,
            warnings,
            tls,
            spans,
            units,
            follows_limits: false,
            level: Level::default(),
            lanes: Lanes::default(),
            pace: WatchPace::default(),
            patience: Patience::default(),
        })
    }

    /// The gateway as one service without a socket, for benchmarks of the request path.
    #[must_use]
    pub fn stack<B>(&self) -> Stack<B>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<crate::net::BoxError>,
    {
        stack::build(self.parts.clone())
    }

    /// Cancel this token to make a drain wait for nothing but the writes in flight.
    #[must_use]
    pub fn fast_drain(&self) -> CancellationToken {
        self.drain.fast_drain.clone()
    }

    /// Fetches the key set of every issuer with a key address once, so that the first request finds keys.
    pub async fn fetch_keys(&self) {
        self.authenticator.refresh().await;
    }

    /// A handle that reloads everything at once while the gateway runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.units.reloader.clone()
    }

    /// Serves until `shutdown` resolves and everything in flight has finished. Calls `ready` when it begins to answer
    /// callers. Returns whether everything finished in time.
    pub async fn run(
        mut self,
        listeners: AppListeners,
        ready: impl FnOnce(),
        shutdown: impl Future<Output = ()>,
    ) -> bool {
        // Before the gateway serves anything: by then it must hold the addresses of earlier runs' unfinished writes.
        let unfinished = std::mem::take(&mut self.unfinished);
        self.executor.resume(unfinished, self.patience).await;
        let (following, spans) = (self.follow(), self.spans.start());
        let authenticator = Arc::clone(&self.authenticator);
        let keys = tokio::spawn(async move { authenticator.refresh_forever().await });
        let access_keys = self.authenticator.issued_keys().cloned();
        let watching =
            access_keys.clone().map(|keys| tokio::spawn(async move { keys.watch_forever().await }));
        self.authenticator.first_keys().await;
        let admin = tokio::spawn(server::serve_admin(
            listeners.admin,
            Arc::clone(&self.metrics),
            Arc::clone(&self.drain.readiness),
            self.lanes.clone(),
        ));
        ready();
        let in_time = server::serve(
            (listeners.public, &self.lanes),
            self.tls,
            stack::build(self.parts),
            &self.config.server,
            &self.drain,
            shutdown,
        )
        .await;
        // Not earlier: outcomes arrive until the last write has ended.
        self.journal.close().await;
        self.lanes.end().await;
        // By now every request has been answered, or never will be.
        spans.stop().await;
        keys.abort();
        watching.iter().for_each(JoinHandle::abort);
        admin.abort();
        if let Some(keys) = access_keys
            && let Err(error) = keys.keep_uses().await
        {
            tracing::warn!("{error}; the last uses of access keys are not kept");
        }
        following.iter().for_each(JoinHandle::abort);
        in_time
    }

    /// Watches the files of every unit, each unit in its own task.
    fn follow(&mut self) -> Vec<JoinHandle<()>> {
        let mut units = std::mem::replace(&mut self.units, Vec::new().into());
        if self.follows_limits {
            let limits = self.parts.limits.clone();
            units.add([limits::followed(&self.config, limits, self.level.clone())]);
        }
        units.follow(self.pace, &self.metrics)
    }
}
