//! A thread that serves holds its log lines until it has nothing else to do, and then passes them to the writer
//! together. Passing on each line separately would cost the thread as much as the rest of the line.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::{Arc, Mutex, Weak},
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::writer::hand_over;

use crate::mutex::lock;

/// How many bytes a thread holds at most.
const MOST: usize = 8 * 1024;

thread_local! {
    /// `None` if this thread holds no lines back.
    static HELD: RefCell<Option<Arc<Mutex<HeldLines>>>> = const { RefCell::new(None) };
}

/// The held lines of every thread.
static ALL: Mutex<Vec<Weak<Mutex<HeldLines>>>> = Mutex::new(Vec::new());

/// While this exists, its thread holds its lines. The code that made it calls [`flush`] whenever the thread is about to
/// wait.
#[derive(Debug)]
pub struct Holding(());

impl Drop for Holding {
    fn drop(&mut self) {
        flush();
        HELD.with_borrow_mut(|held| *held = None);
    }
}

/// Makes this thread hold its lines from now on.
#[must_use]
pub fn hold() -> Holding {
    let held = Arc::<Mutex<HeldLines>>::default();
    let mut all = lock(&ALL);
    all.retain(|held| held.strong_count() > 0);
    all.push(Arc::downgrade(&held));
    HELD.with_borrow_mut(|mine| *mine = Some(held));
    Holding(())
}

/// Passes the lines of this thread to the writer.
pub fn flush() {
    with_held(|held| held.flush(&mut hand_over));
}

/// Passes the lines of every thread to the writer, also of a thread that is stuck or was stopped.
pub fn flush_all() {
    each_held(|held| held.flush(&mut hand_over));
}

fn each_held(mut act: impl FnMut(&mut HeldLines)) {
    let all = lock(&ALL);
    for held in all.iter().filter_map(Weak::upgrade) {
        // Skips a thread that is logging right now.
        if let Ok(mut held) = held.try_lock() {
            act(&mut held);
        }
    }
}

/// `None` if this thread holds no lines back, or at its very end.
fn with_held<T>(act: impl FnOnce(&mut HeldLines) -> T) -> Option<T> {
    let with = |held: &RefCell<Option<Arc<Mutex<HeldLines>>>>| {
        let held = held.try_borrow().ok()?;
        let mut held = lock(held.as_ref()?);
        Some(act(&mut held))
    };
    HELD.try_with(with).ok()?
}

#[derive(Debug, Default)]
struct HeldLines {
    bytes: Vec<u8>,
    lines: u64,
}

impl HeldLines {
    fn add(&mut self, line: &[u8], urgent: bool, out: &mut impl FnMut(&[u8], u64)) {
        self.bytes.extend_from_slice(line);
        self.lines += 1;
        if urgent || self.bytes.len() >= MOST {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut impl FnMut(&[u8], u64)) {
        if self.lines > 0 {
            out(&self.bytes, std::mem::take(&mut self.lines));
            self.bytes.clear();
        }
    }
}

/// Takes lines for standard error. Warnings and errors are passed on at once.
pub(super) struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LogLine {
        LogLine { urgent: *metadata.level() <= Level::WARN }
    }
}

/// Takes one line.
pub(super) struct LogLine {
    urgent: bool,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    /// In one piece, so that lines of different threads do not mix.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if with_held(|held| held.add(bytes, self.urgent, &mut hand_over)).is_none() {
            hand_over(bytes, 1);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn lines_are_held_until_there_are_many_or_one_is_urgent() {
        let mut held = HeldLines::default();
        let (bytes, lines) = (RefCell::new(Vec::new()), Cell::new(0));
        let mut out = |some: &[u8], count| {
            bytes.borrow_mut().extend_from_slice(some);
            lines.set(lines.get() + count);
        };
        held.add(b"one\n", false, &mut out);
        held.add(b"two\n", false, &mut out);
        assert_eq!(*bytes.borrow(), b"");
        held.flush(&mut out);
        assert_eq!(*bytes.borrow(), b"one\ntwo\n");
        held.add(b"three\n", false, &mut out);
        held.add(b"help\n", true, &mut out);
        assert_eq!(*bytes.borrow(), b"one\ntwo\nthree\nhelp\n");
        assert_eq!(lines.get(), 4);
        bytes.borrow_mut().clear();
        let line = [b'-'; 512];
        for _ in 0..2 * MOST / line.len() {
            held.add(&line, false, &mut out);
            assert!(held.bytes.len() < MOST);
        }
        assert_eq!(bytes.borrow().len(), 2 * MOST);
    }

    fn taken() -> Vec<u8> {
        let mut lines = Vec::new();
        each_held(|held| lines.append(&mut held.bytes));
        lines
    }

    #[test]
    fn only_a_thread_that_said_so_holds_and_others_can_let_go_of_it() {
        assert!(with_held(|_| ()).is_none());
        let holding = hold();
        LogLine { urgent: false }.write_all(b"held by this test").unwrap();
        let lines = std::thread::spawn(taken).join().unwrap();
        assert!(lines.ends_with(b"held by this test"), "{lines:?}");
        drop(holding);
        assert!(with_held(|_| ()).is_none());
    }
}
