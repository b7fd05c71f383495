use std::path::PathBuf;

use super::{Signals, Stop, bind, block_on, raise_file_limit, reload, start_logging};
use crate::{
    app::{App, Listeners},
    config::{self, Config},
    telemetry::Format,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration, as `config/gateway.toml`
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args, log_format: Option<Format>) -> Result<(), Stop> {
    let config = Config::load(&args.config, config::environment())?;
    let level = start_logging(&config.log, log_format)?;
    raise_file_limit();
    block_on(async {
        let signals = Signals::hear()?;
        // Everything is read whole before a port is bound.
        let mut app = App::load(&config)?;
        app.level = level;
        for warning in &app.warnings {
            tracing::warn!("{warning}");
        }
        let listeners = Listeners {
            public: bind(config.server.listen, "server.listen").await?,
            admin: bind(config.server.admin_listen, "admin.listen").await?,
        };
        tracing::info!(
            listen = listeners.public.local_addr().ok().map(|address| address.to_string()),
            admin = listeners.admin.local_addr().ok().map(|address| address.to_string()),
            tls = config.server.tls.is_some(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        let reloader = app.reloader();
        let asked = signals.asked_to_stop(app.hurry(), move || reload(&reloader));
        let in_time = app.run(listeners, asked).await;
        tracing::info!("stopped");
        if in_time { Ok(()) } else { Err(Stop::Told) }
    })
}
