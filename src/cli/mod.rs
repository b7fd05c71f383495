//! The command line: one short file for each command.

mod check;
mod completions;
mod dev;
mod emulator;
mod health;
mod help;
mod journal;
mod key;
mod operators;
mod policy;
mod reload;
mod runtime_files;
mod serve;
mod systemd;
mod token;

use std::{
    fmt::Display,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Reloader},
    config::{self, Config},
    error::Fault,
    lanes::Lanes,
    server::{self, Address},
    telemetry::{self, Format},
};

/// A policy gateway in front of Zenlayer Elastic Compute's API
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// The format of log lines: auto, text or json; overrides the configuration
    ///
    /// auto is text on a terminal and JSON elsewhere. Without it, log.format applies, which is auto by
    /// default. Only `serve` and `dev` have a log.
    #[arg(long, global = true, value_name = "FORMAT", display_order = 900, verbatim_doc_comment)]
    log_format: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::Args),
    /// Run a gateway with a ZEC emulator and a token issuer, on this machine only
    Dev(dev::Args),
    /// Run the ZEC emulator alone
    Emulator(emulator::Args),
    /// Load everything that `serve` would load, and report every fault
    Check(check::Args),
    /// Ask a running gateway whether it is alive
    Health(health::Args),
    /// Make a running gateway reload its files, and report the result
    Reload(reload::Args),
    /// Test, explain and describe policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// Read a journal, of a stopped or a running gateway
    #[command(subcommand)]
    Journal(journal::Command),
    /// Give out access keys of the gateway's own, list them, and end them
    #[command(subcommand)]
    Key(key::Command),
    /// Sign a token, for development and tests
    Token(token::Args),
    /// Print completions for a shell: bash, zsh, fish, elvish or powershell
    Completions(completions::Args),
}

/// How a command ends when it fails.
#[derive(Debug)]
enum Stop {
    /// The checked files are faulty: exit code 1.
    Faulty(Vec<Fault>),
    /// Already reported: exit code 1.
    Told,
    /// Wrong usage: exit code 2.
    Usage(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Faulty(vec![fault])
    }
}

impl From<Vec<Fault>> for Stop {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Faulty(faults)
    }
}

/// Runs the command from the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&help::with_pages(Cli::command()).get_matches());
    let cli = cli.unwrap_or_else(|error| error.exit());
    let _log = telemetry::FlushAtEnd;
    let result = match cli.command {
        Command::Serve(args) => serve::run(&args, cli.log_format),
        Command::Dev(args) => dev::run(&args, cli.log_format),
        Command::Emulator(args) => emulator::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Policy(command) => policy::run(&command),
        Command::Journal(command) => journal::run(&command),
        Command::Key(command) => key::run(&command),
        Command::Token(args) => token::run(&args),
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Faulty(faults)) => {
            for fault in faults {
                complain(format_args!("error: {fault}"));
            }
            ExitCode::from(1)
        }
        Err(Stop::Told) => ExitCode::from(1),
        Err(Stop::Usage(text)) => {
            complain(format_args!("error: {text}"));
            ExitCode::from(2)
        }
    }
}

/// Reads a configuration. Even if it is faulty, the files that it names are checked too, so that one run reports all
/// faults.
fn configuration(path: &Path) -> Result<Config, Stop> {
    let read = Config::load_or_rest(path, config::environment());
    read.map_err(|partial| App::faults(&partial).into())
}

/// Prints a line for people or programs on stdout. A closed pipe is not an error.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints on stdout what cannot be shown a second time.
fn print(line: impl Display) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| {
        Fault::new(format!("the passwords could not be printed: {error}; `zec-gateway key rotate-master` makes new ones"))
    })
}

/// Prints a line on stderr, after pending log lines.
fn complain(line: impl Display) {
    telemetry::print_line(&line.to_string());
}

/// Starts logging; the form from the command line has precedence.
fn start_logging(
    settings: &telemetry::Settings,
    format: Option<Format>,
) -> Result<telemetry::Level, Fault> {
    let format = format.unwrap_or(settings.format);
    telemetry::init(&telemetry::Settings { format, ..settings.clone() })
}

/// Raises the limit of open files as far as the host allows. With a lower limit, the process serves fewer connections.
fn raise_file_limit() {
    if let Err(error) = server::raise_file_limit() {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Starts a reload of everything and returns its number.
fn reload_everything(reloader: &Reloader) -> u64 {
    tracing::info!("SIGHUP: reloading everything");
    reloader.request()
}

/// Runs the future to its end. Tasks that hang on a disk by then are abandoned.
fn block_on(run: impl Future<Output = Result<(), Stop>>) -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new(format!("threads cannot be started: {error}")))?;
    let result = runtime.block_on(run);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

/// Starts the threads that serve.
fn lanes() -> Result<Lanes, Fault> {
    Lanes::start().map_err(|error| Fault::new(format!("threads cannot be started: {error}")))
}

/// Binds a listener, or reports the address that could not be bound.
async fn bind(address: &Address, key: &str) -> Result<server::Listeners, Stop> {
    server::Listeners::bind(address).await.map_err(|error| {
        Fault::new(format!("cannot listen on {address}: {error}")).at_key(key).into()
    })
}

/// Binds a TCP listener on loopback in the same way.
async fn bind_tcp(
    address: std::net::SocketAddr,
    key: &str,
) -> Result<tokio::net::TcpListener, Stop> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| {
        Fault::new(format!("cannot listen on {address}: {error}")).at_key(key).into()
    })
}

/// The signals that end a serving process, caught from the creation of this value on.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Must run before the process reports that it serves: an earlier signal would kill it.
    fn hear() -> Result<Self, Fault> {
        let hear = |kind| {
            signal(kind).map_err(|error| {
                Fault::new(format!("signal handlers cannot be installed: {error}"))
            })
        };
        Ok(Self {
            term: hear(SignalKind::terminate())?,
            int: hear(SignalKind::interrupt())?,
            hup: hear(SignalKind::hangup())?,
        })
    }

    /// Resolves at the first SIGTERM or SIGINT. The second one cancels `fast_drain`, and the third ends the process at
    /// once. Each SIGHUP before the first of these calls `hang_up`.
    async fn asked_to_stop(mut self, fast_drain: CancellationToken, hang_up: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.term.recv() => break,
                _ = self.int.recv() => break,
                _ = self.hup.recv() => hang_up(),
            }
        }
        tokio::spawn(async move {
            self.asked_again().await;
            tracing::warn!("asked to stop a second time: waiting only for writes in flight");
            fast_drain.cancel();
            self.asked_again().await;
            tracing::warn!("asked to stop a third time: stopping at once");
            telemetry::flush();
            std::process::exit(1);
        });
    }

    async fn asked_again(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
