//! The one thread that writes the log to standard error. Nobody else does, so a standard error that
//! nobody reads holds up nobody else.

use std::{
    cell::Cell,
    io::{self, ErrorKind, Write, stderr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::store::{Batch, Store};
use crate::error::Fault;

/// How long the end of the process waits for lines that are still to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long the writer waits where standard error is in non-blocking mode and takes nothing.
const PAUSE: Duration = Duration::from_millis(10);

static STORE: Store = Store::new();
/// Whether the thread runs.
static STARTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread is the one that writes.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Starts the thread.
///
/// # Errors
/// When the system gives none.
pub(super) fn start() -> Result<(), Fault> {
    let thread = thread::Builder::new().name("log".to_owned()).spawn(run);
    thread.map_err(|error| Fault::new(format!("no threads can be started: {error}")))?;
    STARTED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Hands over whole lines. What the writer itself logs it writes at once.
pub(super) fn hand_over(bytes: &[u8], lines: u64) {
    if WRITES.get() {
        let _ = write(bytes);
    } else {
        STORE.push(bytes, lines);
    }
}

/// Prints a line on standard error, behind the lines of the log where one is kept. A reader who went
/// away is no fault.
pub fn print_line(line: &str) {
    let line = format!("{line}\n");
    if STARTED.load(Ordering::Relaxed) {
        hand_over(line.as_bytes(), 1);
    } else {
        let _ = stderr().lock().write_all(line.as_bytes());
    }
}

/// How many lines of the log were dropped since this was asked before: there was no room for them, or
/// standard error refused them.
#[must_use]
pub fn take_dropped_lines() -> u64 {
    STORE.take_dropped()
}

/// Writes every line that any thread holds, and waits until they are out, for a second at most.
pub fn flush() {
    super::lines::flush_all();
    if STARTED.load(Ordering::Relaxed) {
        STORE.flush(LAST_LINES);
    }
}

/// Flushes the log when it is dropped, also where a panic ends the process.
#[derive(Debug)]
#[must_use = "the log is flushed when this is dropped"]
pub struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        flush();
    }
}

fn run() {
    WRITES.set(true);
    let mut batch = Batch::default();
    loop {
        batch = STORE.next(batch);
        if batch.dropped_before > 0 {
            tracing::warn!(
                lines = batch.dropped_before,
                "lines of the log were dropped here: standard error was not read in time"
            );
        }
        if write(&batch.bytes).is_err() {
            STORE.lost(batch.lines);
        }
    }
}

/// Writes all of it, however long that takes.
fn write(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stderr().write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
