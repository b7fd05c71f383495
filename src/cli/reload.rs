//! `reload`: has a running gateway reload everything, and waits for the result.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Stop, complain, configuration, operators, say};
use crate::{config::Config, error::Fault};

/// The longest wait until the gateway has loaded everything; only a disk that hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two polls of the gateway.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration that the gateway runs with
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The gateway's process, as systemd's $MAINPID
    #[arg(long, value_name = "PID")]
    pid: i32,
}

/// The progress of the gateway's reload.
struct Progress {
    asked: u64,
    done: u64,
    /// The faulty files, as `/readyz?verbose` reports them.
    failing: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<(), Stop> {
    let config = configuration(&args.config)?;
    let Some(pid) = Pid::from_raw(args.pid).filter(|_| args.pid > 1) else {
        return Err(Stop::Usage(format!("{} is not the process id of a gateway", args.pid)));
    };
    let before = progress(&config)?.asked;
    kill_process(pid, Signal::HUP).map_err(|error| {
        Fault::new(format!("process {} cannot be signalled to reload its files: {error}", args.pid))
    })?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let Progress { asked, done, failing } = progress(&config)?;
        if asked > before && done > before {
            for unit in &failing {
                complain(format_args!("error: {unit}"));
            }
            if !failing.is_empty() {
                return Err(Stop::Told);
            }
            say("everything was reloaded");
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    let patience = PATIENCE.as_secs();
    Err(Fault::new(format!(
        "not everything was reloaded within {patience} s: see the gateway's log for what is still pending"
    ))
    .into())
}

fn progress(config: &Config) -> Result<Progress, Fault> {
    let text = operators::ask(config, "/readyz?verbose")?.text;
    let numbers = text.lines().find_map(|line| {
        let (asked, done) = line.strip_prefix("reloads asked for: ")?.split_once(", done: ")?;
        Some((asked.parse().ok()?, done.parse().ok()?))
    });
    let (asked, done) = numbers.ok_or_else(|| {
        Fault::new(
            "the answer does not report reloads: does a gateway of this version listen there?",
        )
    })?;
    let failing = text.lines().filter(|line| line.contains(": failing since ")).map(str::to_owned);
    Ok(Progress { asked, done, failing: failing.collect() })
}
