//! The only thread that writes the log to standard error. If nothing reads standard error, no other thread is blocked.

use std::{
    cell::Cell,
    io::{self, ErrorKind, Write, stderr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::store::{LineBatch, LineQueue};
use crate::error::Fault;

/// How long the end of the process waits for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long the writer waits if standard error is in non-blocking mode and accepts nothing.
const PAUSE: Duration = Duration::from_millis(10);

static STORE: LineQueue = LineQueue::new();
/// Whether the thread is running.
static STARTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread is the one that writes.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Starts the thread.
///
/// # Errors
/// Fails if the system does not start a thread.
pub(super) fn start() -> Result<(), Fault> {
    let thread = thread::Builder::new().name("log".to_owned()).spawn(run);
    thread.map_err(|error| Fault::new(format!("no threads can be started: {error}")))?;
    STARTED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Passes whole lines to the writer. Lines that the writer itself logs are written at once.
pub(super) fn hand_over(bytes: &[u8], lines: u64) {
    if WRITES.get() {
        let _ = write(bytes);
    } else {
        STORE.push(bytes, lines);
    }
}

/// Prints a line on standard error, after the lines in the log's queue if the log thread runs. A closed standard error
/// is not a fault.
pub fn print_line(line: &str) {
    let line = format!("{line}\n");
    if STARTED.load(Ordering::Relaxed) {
        hand_over(line.as_bytes(), 1);
    } else {
        let _ = stderr().lock().write_all(line.as_bytes());
    }
}

/// How many lines of the log were dropped since the last call, because there was no room for them or standard error
/// refused them.
#[must_use]
pub fn take_dropped_lines() -> u64 {
    STORE.take_dropped()
}

/// Writes the held lines of every thread, and waits up to a second until they are written.
pub fn flush() {
    super::lines::flush_all();
    if STARTED.load(Ordering::Relaxed) {
        STORE.flush(LAST_LINES);
    }
}

/// Flushes the log when it is dropped, also if a panic ends the process.
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
    let mut batch = LineBatch::default();
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

/// Writes all bytes, however long that takes.
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
