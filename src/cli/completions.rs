//! `completions`: prints a completion script for a shell.

use std::io;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::Cli;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell to print completions for
    shell: Shell,
}

/// Prints the script for the shell. A closed pipe is not an error.
pub(super) fn run(args: &Args) {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    let _ = io::Write::write_all(&mut io::stdout().lock(), &script);
}
