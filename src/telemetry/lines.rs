//! How lines get out: a thread that serves holds its lines until it has nothing else to do, and writes
//! them at once; each write would cost it as much as the rest of the line.

use std::{
    cell::RefCell,
    io::{self, Write, stderr},
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes are held at most.
const MOST: usize = 8 * 1024;

thread_local! {
    /// None where nothing is held.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// From now on this thread holds its lines; whoever calls this calls [`let_go`] whenever the thread is
/// about to wait, and at its end.
pub fn hold() {
    HELD.with_borrow_mut(|held| *held = Some(Held::default()));
}

/// Writes what this thread holds.
pub fn let_go() {
    with_held(|held| held.let_go(&mut stderr()));
}

/// None where nothing is held, as at the very end of a thread.
fn with_held<T>(act: impl FnOnce(&mut Held) -> T) -> Option<T> {
    HELD.try_with(|held| held.try_borrow_mut().ok()?.as_mut().map(act)).ok()?
}

#[derive(Debug, Default)]
struct Held(Vec<u8>);

impl Held {
    fn add(&mut self, line: &[u8], urgent: bool, out: &mut impl Write) {
        self.0.extend_from_slice(line);
        if urgent || self.0.len() >= MOST {
            self.let_go(out);
        }
    }

    fn let_go(&mut self, out: &mut impl Write) {
        if !self.0.is_empty() {
            // Nobody can be told that nothing can be told.
            let _ = out.write_all(&self.0);
            self.0.clear();
        }
    }
}

/// Writes lines to stderr, warnings and errors at once.
pub(super) struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { urgent: *metadata.level() <= Level::WARN }
    }
}

/// Writes one line.
pub(super) struct Line {
    urgent: bool,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match with_held(|held| held.add(bytes, self.urgent, &mut stderr())) {
            Some(()) => Ok(bytes.len()),
            None => stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_held_until_there_are_many_or_one_is_urgent() {
        let (mut held, mut out) = (Held::default(), Vec::new());
        held.add(b"one\n", false, &mut out);
        held.add(b"two\n", false, &mut out);
        assert_eq!(out, b"");
        held.let_go(&mut out);
        assert_eq!(out, b"one\ntwo\n");
        held.add(b"three\n", false, &mut out);
        held.add(b"help\n", true, &mut out);
        assert_eq!(out, b"one\ntwo\nthree\nhelp\n");
        out.clear();
        let line = [b'-'; 512];
        for _ in 0..2 * MOST / line.len() {
            held.add(&line, false, &mut out);
            assert!(held.0.len() < MOST);
        }
        assert_eq!(out.len(), 2 * MOST);
    }

    #[test]
    fn only_a_thread_that_said_so_holds() {
        assert!(with_held(|_| ()).is_none());
        hold();
        assert!(with_held(|held| held.add(b"held", false, &mut Vec::new())).is_some());
        let held = with_held(|held| std::mem::take(&mut held.0));
        assert_eq!(held.as_deref(), Some(&b"held"[..]));
    }
}
