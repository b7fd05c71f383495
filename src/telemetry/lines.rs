//! How lines get out: a thread that serves holds its lines until it has nothing else to do, and writes
//! them at once; each write would cost it as much as the rest of the line.

use std::{
    cell::RefCell,
    io::{self, Write, stderr},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes are held at most.
const MOST: usize = 8 * 1024;

thread_local! {
    /// None where nothing is held.
    static HELD: RefCell<Option<Arc<Mutex<Held>>>> = const { RefCell::new(None) };
}

/// What every thread holds.
static ALL: Mutex<Vec<Weak<Mutex<Held>>>> = Mutex::new(Vec::new());

/// As long as this is there, its thread holds its lines; whoever made it calls [`let_go`] whenever the
/// thread is about to wait.
#[derive(Debug)]
pub struct Holding(());

impl Drop for Holding {
    fn drop(&mut self) {
        let_go();
        HELD.with_borrow_mut(|held| *held = None);
    }
}

/// From now on this thread holds its lines.
#[must_use]
pub fn hold() -> Holding {
    let held = Arc::<Mutex<Held>>::default();
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|held| held.strong_count() > 0);
    all.push(Arc::downgrade(&held));
    HELD.with_borrow_mut(|mine| *mine = Some(held));
    Holding(())
}

/// Writes what this thread holds.
pub fn let_go() {
    with_held(|held| held.let_go(&mut stderr()));
}

/// Writes what any thread holds that does not come to it: one that is stuck, or cut off.
pub fn let_go_of_all() {
    each_held(|held| held.let_go(&mut stderr()));
}

fn each_held(mut act: impl FnMut(&mut Held)) {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    for held in all.iter().filter_map(Weak::upgrade) {
        // Who is writing just now is not waited for.
        if let Ok(mut held) = held.try_lock() {
            act(&mut held);
        }
    }
}

/// None where nothing is held, as at the very end of a thread.
fn with_held<T>(act: impl FnOnce(&mut Held) -> T) -> Option<T> {
    let with = |held: &RefCell<Option<Arc<Mutex<Held>>>>| {
        let held = held.try_borrow().ok()?;
        let mut held = held.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut held))
    };
    HELD.try_with(with).ok()?
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
        self.write_all(bytes).map(|()| bytes.len())
    }

    /// In one piece, so that nobody's line comes into the midst of another's.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match with_held(|held| held.add(bytes, self.urgent, &mut stderr())) {
            Some(()) => Ok(()),
            None => stderr().lock().write_all(bytes),
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

    fn taken() -> Vec<u8> {
        let mut lines = Vec::new();
        each_held(|held| lines.append(&mut held.0));
        lines
    }

    #[test]
    fn only_a_thread_that_said_so_holds_and_others_can_let_go_of_it() {
        assert!(with_held(|_| ()).is_none());
        let holding = hold();
        Line { urgent: false }.write_all(b"held by this test").unwrap();
        let lines = std::thread::spawn(taken).join().unwrap();
        assert!(lines.ends_with(b"held by this test"), "{lines:?}");
        drop(holding);
        assert!(with_held(|_| ()).is_none());
    }
}
