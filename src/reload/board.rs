use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use humantime::format_rfc3339_seconds;

/// How each thing that is loaded again fared the last time. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Vec<(String, State)>>>);

/// How one of them fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// What lay there when it was loaded last is in force.
    InForce,
    /// What has lain there since that time is faulty, and what was good last is in force.
    Failing(SystemTime),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce => f.write_str("ok"),
            Self::Failing(since) => write!(
                f,
                "failing since {}, the last good stays in force: the log says why",
                format_rfc3339_seconds(*since)
            ),
        }
    }
}

impl Board {
    /// Puts one on it, which was loaded well.
    pub fn add(&self, name: &str) {
        self.lock().push((name.to_owned(), State::InForce));
    }

    /// Notes how one fared. `tell` is told whether none of them is failing now, before anybody
    /// else can note anything.
    pub fn note(&self, name: &str, ok: bool, tell: impl FnOnce(bool)) {
        let mut board = self.lock();
        for (_, state) in board.iter_mut().filter(|(one, _)| one == name) {
            *state = match *state {
                _ if ok => State::InForce,
                State::Failing(since) => State::Failing(since),
                State::InForce => State::Failing(SystemTime::now()),
            };
        }
        tell(board.iter().all(|(_, state)| *state == State::InForce));
    }

    /// All of them, in the order in which they were put on it.
    #[must_use]
    pub fn all(&self) -> Vec<(String, State)> {
        self.lock().clone()
    }

    /// Held for moments only, and every change under it is whole.
    fn lock(&self) -> MutexGuard<'_, Vec<(String, State)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
