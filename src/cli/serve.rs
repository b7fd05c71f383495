use std::{
    net::{SocketAddr, TcpListener as Inherited},
    path::PathBuf,
    sync::Arc,
};

use tokio::net::TcpListener;

use super::{
    Signals, Stop, bind, block_on, configuration, lanes, raise_file_limit, reload, start_logging,
    systemd::{Notifier, Sockets},
};
use crate::{
    app::{App, Listeners},
    error::Fault,
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
        // Everything is read whole before a port is bound.
        let mut app = App::load(&config)?;
        app.level = level;
        app.lanes = lanes;
        for warning in &app.warnings {
            tracing::warn!("{warning}");
        }
        let handed_over = (inherited.public.is_some(), inherited.admin.is_some());
        let listeners = Listeners {
            public: listener(inherited.public, config.server.listen, "server.listen").await?,
            admin: listener(inherited.admin, config.server.admin_listen, "admin.listen").await?,
        };
        tracing::info!(
            listen = listeners.public.local_addr().ok().map(|address| address.to_string()),
            admin = listeners.admin.local_addr().ok().map(|address| address.to_string()),
            tls = config.server.tls.is_some(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        if handed_over.0 && config.server.tls.is_none() {
            warn_of(
                &listeners.public,
                "plain HTTP shows every token on the way: set `[server.tls]`, or let the socket listen on loopback",
            );
        }
        if handed_over.1 {
            warn_of(
                &listeners.admin,
                "metrics and probes need no token: let only those reach them who should",
            );
        }
        systemd.keep_alive(app.lanes.clone());
        let (reloader, hurry) = (app.reloader(), app.hurry());
        let asked_to_stop = async {
            signals.asked_to_stop(hurry, move || reload(&reloader)).await;
            systemd.stopping();
        };
        let in_time = app.run(listeners, || systemd.ready(), asked_to_stop).await;
        tracing::info!("stopped");
        if in_time { Ok(()) } else { Err(Stop::Told) }
    })
}

/// Warns where strangers may reach a socket that was handed over: the configuration, and whoever
/// checks it, knows nothing of that one.
fn warn_of(listener: &TcpListener, danger: &str) {
    if let Ok(address) = listener.local_addr()
        && !address.ip().to_canonical().is_loopback()
    {
        tracing::warn!("{address}, a socket that was handed over: {danger}");
    }
}

/// The socket that the process was started with, or else one of its own.
async fn listener(
    inherited: Option<Inherited>,
    address: SocketAddr,
    key: &str,
) -> Result<TcpListener, Stop> {
    let Some(inherited) = inherited else { return bind(address, key).await };
    let adopted = inherited.set_nonblocking(true).and_then(|()| TcpListener::from_std(inherited));
    adopted.map_err(|error| {
        Fault::new(format!(
            "the socket that was handed over in place of it cannot be used: {error}"
        ))
        .at_key(key)
        .into()
    })
}
