//! `serve`: runs the gateway until a signal stops it.

use std::{path::PathBuf, sync::Arc};

use super::{
    Signals, Stop, bind, block_on, configuration, lanes, raise_file_limit, reload_everything,
    start_logging,
    systemd::{Inherited, Notifier, Sockets},
};
use crate::{
    app::{App, AppListeners, Reloader},
    auth::NEED_TLS,
    error::Fault,
    server::{self, Address, Listener},
    telemetry::Format,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration, a TOML file; config/gateway.toml describes every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args, log_format: Option<Format>) -> Result<(), Stop> {
    let config = configuration(&args.config)?;
    let level = start_logging(&config.log, log_format)?;
    raise_file_limit();
    let inherited = Sockets::take()?;
    let lanes = lanes()?;
    let systemd = Arc::new(Notifier::from_environment());
    block_on(async {
        let signals = Signals::hear()?;
        // All files are read before any port is bound.
        let mut app = App::load(&config)?;
        app.level = level;
        app.lanes = lanes;
        for warning in &app.warnings {
            tracing::warn!("{warning}");
        }
        let handed_over = (!inherited.public.is_empty(), !inherited.admin.is_empty());
        let listeners = AppListeners {
            public: listeners(inherited.public, &config.server.listen, "server.listen").await?,
            admin: listeners(inherited.admin, &config.server.admin_listen, "admin.listen").await?,
        };
        let tls = config.server.tls.is_some();
        if config.auth.access_keys.is_some() && !tls && !listeners.public.are_local() {
            // The configuration does not know a socket that was handed over.
            return Err(Fault::new(NEED_TLS).at_key("auth.access_keys").into());
        }
        announce(&listeners, handed_over, tls);
        let lanes = app.lanes.clone();
        let ready = || {
            systemd.ready();
            systemd.keep_alive(lanes);
        };
        let (reloader, fast_drain) = (app.reloader(), app.fast_drain());
        let asked_to_stop = async {
            let told = Arc::clone(&systemd);
            let hang_up = move || reload(&reloader, &told);
            signals.asked_to_stop(fast_drain, hang_up).await;
            systemd.stopping();
        };
        let in_time = app.run(listeners, ready, asked_to_stop).await;
        tracing::info!("stopped");
        if in_time { Ok(()) } else { Err(Stop::Told) }
    })
}

/// Logs where the gateway serves, and warns of dangers there.
fn announce(listeners: &AppListeners, handed_over: (bool, bool), tls: bool) {
    tracing::info!(
        listen = shown(&listeners.public),
        admin = shown(&listeners.admin),
        tls,
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    if handed_over.0 && !tls {
        warn_of(
            &listeners.public,
            "plain HTTP exposes every token on the network: set `[server.tls]`, or let the socket listen on loopback",
        );
    }
    if handed_over.1 {
        warn_of(
            &listeners.admin,
            "metrics and probes need no token: restrict who can reach this socket",
        );
    }
}

/// Reloads everything, and notifies systemd of the start and the result.
fn reload(reloader: &Reloader, systemd: &Arc<Notifier>) {
    systemd.reloading();
    let request = reload_everything(reloader);
    let (reloader, systemd) = (reloader.clone(), Arc::clone(systemd));
    tokio::spawn(async move {
        let failing = reloader.reloaded(request).await;
        systemd.reloaded(&failing);
    });
}

/// Warns if other hosts can reach an inherited socket, because neither the configuration nor `check` knows that socket.
fn warn_of(listeners: &server::Listeners, danger: &str) {
    for address in listeners.addresses().filter(|address| !address.is_local()) {
        tracing::warn!("{address}, a socket that was handed over: {danger}");
    }
}

/// The inherited sockets of the process, or else a new one.
async fn listeners(
    inherited: Vec<Inherited>,
    address: &Address,
    key: &str,
) -> Result<server::Listeners, Stop> {
    if inherited.is_empty() {
        return bind(address, key).await;
    }
    let adopted: Result<Vec<Listener>, _> = inherited.into_iter().map(TryInto::try_into).collect();
    adopted.map(server::Listeners::inherited).map_err(|error: std::io::Error| {
        Fault::new(format!("the inherited socket, which replaces this address, cannot be used: {error}; check the socket unit"))
            .at_key(key)
            .into()
    })
}

/// The addresses of all listeners, for the log.
fn shown(listeners: &server::Listeners) -> String {
    listeners.addresses().map(|address| address.to_string()).collect::<Vec<_>>().join(" ")
}
