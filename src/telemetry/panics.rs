//! Logs panics as events. The standard library's own hook writes to standard error. If nothing reads that, the hook
//! would block the thread that panicked, which may be one that serves.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{self, PanicHookInfo},
    thread,
};

use super::writer;

/// Logs panics of this process from now on.
pub(super) fn log() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        let backtrace = match backtrace.status() {
            BacktraceStatus::Captured => Some(backtrace.to_string()),
            _ => None,
        };
        if tracing::enabled!(tracing::Level::ERROR) {
            event(message(info), &place, backtrace.as_deref());
        } else {
            // A bug is printed at any log level.
            writer::print_line(&info.to_string());
        }
    }));
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("no message")
}

fn event(message: &str, place: &str, backtrace: Option<&str>) {
    let thread = thread::current();
    tracing::error!(panic = message, place, thread = thread.name(), backtrace, "a thread panicked");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Heard;

    #[test]
    fn a_panic_is_an_event_that_says_what_and_where() {
        let (heard, _guard) = Heard::begin();
        event("broken", "src/some.rs:7:5", None);
        let text = heard.text();
        for said in ["ERROR", "a thread panicked", "\"broken\"", "src/some.rs:7:5"] {
            assert!(text.contains(said), "{text}");
        }
        assert!(!text.contains("backtrace"), "{text}");
    }
}
