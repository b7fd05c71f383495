//! `check`: reads a configuration and all its files, and prints faults and warnings.

use std::path::PathBuf;

use super::{Stop, complain, configuration, say};
use crate::app::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration to check, with every file it names
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Stop> {
    let config = configuration(&args.config)?;
    let warnings = App::check(&config)?;
    for warning in &warnings {
        complain(format_args!("warning: {warning}"));
    }
    say(format_args!("{}: no faults, {} warnings", args.config.display(), warnings.len()));
    Ok(())
}
