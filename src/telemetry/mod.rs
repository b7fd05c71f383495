//! What the gateway reports to its operators: one log event per request on stderr, and the facts from which a request's
//! spans are made.

mod finished;
#[cfg(test)]
mod heard;
mod json;
mod level;
mod lines;
mod panics;
mod record;
mod settings;
mod store;
mod trace;
mod writer;

use std::io::{IsTerminal, stderr};

pub use finished::{Finished, Sink};
#[cfg(test)]
pub(crate) use heard::Heard;
pub use level::Level;
pub use lines::{Holding, flush as flush_lines, flush_all as flush_all_lines, hold as hold_lines};
pub use record::{Asked, Facts, Record, ZecCall};
pub use settings::{Collector, Format, Settings};
pub use trace::TraceParent;
use tracing_subscriber::{fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};
pub use writer::{FlushAtEnd, flush, print_line, take_dropped_lines};

use crate::error::Fault;

/// Checks that a text is a log level or filter.
///
/// # Errors
/// Returns the fault.
pub fn check_level(text: &str) -> Result<(), String> {
    level::filter(text).map(drop).map_err(|fault| fault.to_string())
}

/// Turns logging on for the process, and returns a handle that changes its level. `RUST_LOG`, if set, takes precedence
/// over the configured level. From now on panics are logged too.
///
/// # Errors
/// Fails if the level is no filter, if logging is on already, or if the system does not start a thread.
pub fn init(settings: &Settings) -> Result<Level, Fault> {
    let variable = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = level::filter(variable.as_deref().unwrap_or(&settings.level))?;
    let (filter, handle) = reload::Layer::new(filter);
    let level = Level(variable.is_none().then_some(handle));
    let json = match settings.format {
        Format::Auto => !stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let done = if json {
        registry.with(fmt::layer().event_format(json::Json).with_writer(lines::Lines)).try_init()
    } else {
        let ansi = stderr().is_terminal();
        registry.with(fmt::layer().with_ansi(ansi).with_writer(lines::Lines)).try_init()
    };
    done.map_err(|error| Fault::new(format!("logging cannot be turned on: {error}")))?;
    writer::start()?;
    panics::log();
    Ok(level)
}
