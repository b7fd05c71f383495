//! `health`: asks the operators' port whether the gateway is alive or ready.

use std::path::PathBuf;

use super::{Stop, complain, configuration, operators, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration that the gateway runs with
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Ask whether it is ready for requests: it is not while it drains or has no keys
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Stop> {
    let config = configuration(&args.config)?;
    let target = if args.ready { "/readyz" } else { "/livez" };
    let answer = operators::ask(&config, target)?;
    let said = answer.text.trim();
    if answer.status == 200 {
        say(said);
        return Ok(());
    }
    complain(said);
    Err(Stop::Told)
}
