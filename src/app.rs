//! The composition root: out of a configuration, everything; with listeners, a gateway.

mod tls;

use std::{future::Future, sync::Arc};

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, Api, BodyLimits},
    auth::Authenticator,
    config::Config,
    error::Fault,
    execute::{self, Executor, Patience, Preflight, Shadow},
    journal::{self, Journal, View},
    limit::{Budget, Callers, Freeze},
    metrics::Metrics,
    policy::Engine,
    reload::Pace,
    server::{self, Drain},
    stack::{self, Stack},
    zec::{self, AccessKey, Reader, Writer},
};

/// A gateway with all its parts loaded, bound to nothing yet.
#[derive(Debug)]
pub struct App {
    server: server::Settings,
    authenticator: Arc<Authenticator>,
    metrics: Arc<Metrics>,
    drain: Drain,
    journal: Journal,
    unfinished: Vec<View>,
    executor: Arc<Executor>,
    parts: stack::Parts,
    tls: Option<tls::Loaded>,
    /// How often files are looked at for changes.
    pub pace: Pace,
    /// How long what came of a write is looked for, where nobody knows it.
    pub patience: Patience,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Fault>,
}

/// The two sockets of a gateway, bound by whoever starts it.
#[derive(Debug)]
pub struct Listeners {
    /// For callers.
    pub public: TcpListener,
    /// For operators.
    pub admin: TcpListener,
}

impl App {
    /// Loads everything that a configuration names, and opens its journal. Blocks.
    ///
    /// # Errors
    /// Every fault of every part at once.
    pub fn load(config: &Config) -> Result<Self, Vec<Fault>> {
        Self::load_with(config, |metrics| Journal::open(&config.journal, metrics))
    }

    /// Loads everything that [`App::load`] would, but makes and locks nothing: a gateway may be
    /// running with the same journal. Gives the warnings.
    ///
    /// # Errors
    /// Every fault of every part at once.
    pub fn check(config: &Config) -> Result<Vec<Fault>, Vec<Fault>> {
        let look = |_: Arc<Metrics>| {
            journal::check(&config.journal).map(|()| (Journal::off(), Vec::new()))
        };
        Self::load_with(config, look).map(|app| app.warnings)
    }

    fn load_with(
        config: &Config,
        journal: impl FnOnce(Arc<Metrics>) -> Result<(Journal, Vec<View>), Fault>,
    ) -> Result<Self, Vec<Fault>> {
        let policy = Policies::load(config);
        match (policy, AccessKey::load(&config.zec)) {
            (Ok((policies, warnings)), Ok(key)) => {
                let mut app = Self::assemble_with(config, policies, key, journal)?;
                app.warnings.extend(warnings);
                Ok(app)
            }
            (policy, key) => {
                let mut faults = policy.err().unwrap_or_default();
                faults.extend(key.err().unwrap_or_default());
                // The other parts are loaded all the same, for the sake of their faults.
                faults.extend(zec::check(&config.zec).err());
                faults.extend(tls::load(config).err().unwrap_or_default());
                faults.extend(journal::check(&config.journal).err());
                let metrics = metrics(&issuer_names(config)).map_err(|fault| vec![fault])?;
                faults.extend(Authenticator::load(&config.auth, metrics).err().unwrap_or_default());
                Err(faults)
            }
        }
    }

    /// Puts a gateway together out of a policy and an access key at hand, and opens its journal.
    /// Blocks.
    ///
    /// # Errors
    /// Every fault of the parts that are still to be loaded.
    pub fn assemble(config: &Config, engine: Engine, key: AccessKey) -> Result<Self, Vec<Fault>> {
        let policies = Policies { live: engine, shadow: None };
        Self::assemble_with(config, policies, key, |metrics| {
            Journal::open(&config.journal, metrics)
        })
    }

    fn assemble_with(
        config: &Config,
        policies: Policies,
        key: AccessKey,
        journal: impl FnOnce(Arc<Metrics>) -> Result<(Journal, Vec<View>), Fault>,
    ) -> Result<Self, Vec<Fault>> {
        let one = |fault: Fault| vec![fault];
        let metrics = metrics(&issuer_names(config)).map_err(one)?;
        let Loaded { authenticator, client, tls } = Loaded::load(config, key, &metrics)?;
        let warnings = warnings(config, tls.as_ref(), &authenticator);
        let router = router().map_err(one)?;
        let allowed_origins = origins(&config.cors_allowed_origins).map_err(one)?;
        // Last: it is the one thing that is made, and kept from others.
        let (journal, unfinished) = journal(Arc::clone(&metrics)).map_err(one)?;
        let (policy, shadow) = policies.in_force(&metrics);
        metrics.loaded(true);
        let drain = Drain::new(&authenticator, &journal);
        let executor = Arc::new(Executor::new(execute::Parts {
            policy,
            shadow,
            client,
            preflight: Preflight { on: config.zec.preflight, eip_check: config.zec.eip_check },
            freeze: Freeze::new(config.limits.freeze_file.clone()),
            budget: Budget::new(config.limits.addresses_per_hour),
            stop: drain.begun.clone(),
            journal: journal.clone(),
            writes: drain.writes.clone(),
            hurry: drain.hurry.clone(),
            metrics: Arc::clone(&metrics),
        }));
        let server = &config.server;
        let limits = BodyLimits { max: server.max_body, timeout: server.body_timeout };
        let parts = stack::Parts {
            authenticator: Arc::clone(&authenticator),
            api: Api::new(Arc::clone(&executor), limits, config.limits.max_addresses),
            router,
            metrics: Arc::clone(&metrics),
            callers: Arc::new(Callers::new(&config.limits)),
            draining: drain.begun.clone(),
            max_concurrent: config.limits.max_concurrent_requests,
            request_timeout: server.request_timeout,
            allowed_origins,
        };
        Ok(Self {
            server: server.clone(),
            drain,
            journal,
            unfinished,
            executor,
            authenticator,
            metrics,
            parts,
            warnings,
            tls,
            pace: Pace::default(),
            patience: Patience::default(),
        })
    }

    /// The gateway as one service, without any socket: for benchmarks of the path itself.
    #[must_use]
    pub fn stack<B>(&self) -> Stack<B>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<crate::net::BoxError>,
    {
        stack::build(self.parts.clone())
    }

    /// Cancelled by whoever wants a drain to wait for nothing but the writes that run.
    #[must_use]
    pub fn hurry(&self) -> CancellationToken {
        self.drain.hurry.clone()
    }

    /// Fetches every key address once, so that a first request finds keys.
    pub async fn fetch_keys(&self) {
        self.authenticator.refresh().await;
    }

    /// Serves until `shutdown` resolves and everything that runs has finished. Returns whether
    /// it did in time.
    pub async fn run(self, listeners: Listeners, shutdown: impl Future<Output = ()>) -> bool {
        // Before anything is served: what is held of earlier runs must be held by then.
        self.executor.resume(self.unfinished, self.patience).await;
        let authenticator = Arc::clone(&self.authenticator);
        let keys = tokio::spawn(async move { authenticator.refresh_forever().await });
        let admin = tokio::spawn(server::serve_admin(
            listeners.admin,
            Arc::clone(&self.metrics),
            Arc::clone(&self.drain.readiness),
        ));
        let tls = self.tls.map(|tls| tls.follow(self.pace, &self.metrics));
        let (tls, following) = tls.unzip();
        let in_time = server::serve(
            listeners.public,
            tls,
            stack::build(self.parts),
            &self.server,
            &self.drain,
            shutdown,
        )
        .await;
        // Not before: outcomes come until the last write has ended.
        self.journal.close().await;
        keys.abort();
        admin.abort();
        following.inspect(JoinHandle::abort);
        in_time
    }
}

fn warnings(config: &Config, tls: Option<&tls::Loaded>, auth: &Authenticator) -> Vec<Fault> {
    [config.warnings.clone(), tls::warnings(tls), auth.warnings().to_vec()].concat()
}

/// The policy in force, and the one that is tried out.
struct Policies {
    live: Engine,
    shadow: Option<Engine>,
}

impl Policies {
    fn in_force(self, metrics: &Arc<Metrics>) -> (Arc<ArcSwap<Engine>>, Option<Shadow>) {
        metrics.policy_loaded(self.live.version());
        let shared = |engine| Arc::new(ArcSwap::from_pointee(engine));
        let shadow = self.shadow.map(|shadow| Shadow::new(shared(shadow), Arc::clone(metrics)));
        (shared(self.live), shadow)
    }

    fn load(config: &Config) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let live = Engine::load(&config.policy.directory);
        let shadow = config.policy.shadow_directory.as_deref().map(Engine::load).transpose();
        match (live, shadow) {
            (Ok((live, mut warnings)), Ok(shadow)) => {
                let (shadow, more) = shadow.unzip();
                warnings.extend(more.unwrap_or_default());
                Ok((Self { live, shadow }, warnings))
            }
            (live, shadow) => {
                let mut faults = live.err().unwrap_or_default();
                faults.extend(shadow.err().unwrap_or_default());
                Err(faults)
            }
        }
    }
}

/// The parts with files of their own.
struct Loaded {
    authenticator: Arc<Authenticator>,
    client: (Reader, Writer),
    tls: Option<tls::Loaded>,
}

impl Loaded {
    fn load(config: &Config, key: AccessKey, metrics: &Arc<Metrics>) -> Result<Self, Vec<Fault>> {
        let authenticator = Authenticator::load(&config.auth, Arc::clone(metrics));
        let client = zec::connect(&config.zec, key, Arc::clone(metrics));
        match (authenticator, client, tls::load(config)) {
            (Ok(authenticator), Ok(client), Ok(tls)) => {
                Ok(Self { authenticator: Arc::new(authenticator), client, tls })
            }
            (authenticator, client, tls) => {
                let mut faults = authenticator.err().unwrap_or_default();
                faults.extend(client.err());
                faults.extend(tls.err().unwrap_or_default());
                faults.extend(journal::check(&config.journal).err());
                Err(faults)
            }
        }
    }
}

fn router() -> Result<Arc<api::Router>, Fault> {
    api::Router::new().map(Arc::new).map_err(|error| Fault::new(error.to_string()))
}

fn issuer_names(config: &Config) -> Vec<String> {
    config.auth.issuers.iter().map(|issuer| issuer.name.clone()).collect()
}

fn metrics(issuers: &[String]) -> Result<Arc<Metrics>, Fault> {
    Metrics::new(&api::series(), issuers)
        .map(Arc::new)
        .map_err(|error| Fault::new(format!("the metrics cannot be made: {error}")))
}

fn origins(texts: &[String]) -> Result<Vec<HeaderValue>, Fault> {
    let parse = |text: &String| {
        HeaderValue::from_str(text).map_err(|_| {
            Fault::new(format!("`{text}` fits no header")).at_key("cors.allowed_origins")
        })
    };
    texts.iter().map(parse).collect()
}
