//! The state of everything that can be reloaded, and requests to reload all of it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use humantime::format_rfc3339_seconds;
use tokio::sync::Notify;

use crate::mutex::lock;

/// How each thing that is loaded again fared the last time, and how far those came who asked for everything
/// to be loaded. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ReloadStatus(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    units: Mutex<Vec<UnitStatus>>,
    /// How often everything was asked to be loaded.
    asked: AtomicU64,
    /// Notified when a unit has answered.
    answered: Notify,
}

#[derive(Debug)]
struct UnitStatus {
    name: String,
    state: State,
    /// The last request for everything that it has answered.
    answered: u64,
}

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
                "failing since {}, the last good version stays in force: the log says why",
                format_rfc3339_seconds(*since)
            ),
        }
    }
}

impl ReloadStatus {
    /// Puts one on it, which was loaded well.
    pub fn add(&self, name: &str) {
        let answered = self.asked();
        self.lock().push(UnitStatus { name: name.to_owned(), state: State::InForce, answered });
    }

    /// Notes how one fared. `tell` is told whether none of them is failing now, before anybody
    /// else can note anything.
    pub fn note(&self, name: &str, ok: bool, tell: impl FnOnce(bool)) {
        let mut units = self.lock();
        for unit in units.iter_mut().filter(|unit| unit.name == name) {
            unit.state = match unit.state {
                _ if ok => State::InForce,
                State::Failing(since) => State::Failing(since),
                State::InForce => State::Failing(SystemTime::now()),
            };
        }
        tell(units.iter().all(|unit| unit.state == State::InForce));
    }

    /// Everything shall be loaded; the number of this request.
    #[must_use]
    pub fn ask(&self) -> u64 {
        self.0.asked.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How often everything was asked to be loaded.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// One has answered that request, well or not.
    pub fn answer(&self, name: &str, request: u64) {
        for unit in self.lock().iter_mut().filter(|unit| unit.name == name) {
            unit.answered = unit.answered.max(request);
        }
        self.0.answered.notify_waiters();
    }

    /// The last request that every one has answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.lock().iter().map(|unit| unit.answered).min().unwrap_or_else(|| self.asked())
    }

    /// Waits until every one has answered that request.
    pub async fn until_answered(&self, request: u64) {
        loop {
            let answered = self.0.answered.notified();
            let mut answered = std::pin::pin!(answered);
            // From here on nothing is missed.
            answered.as_mut().enable();
            if self.answered() >= request {
                return;
            }
            answered.await;
        }
    }

    /// The names of those whose files are faulty.
    #[must_use]
    pub fn failing(&self) -> Vec<String> {
        let units = self.lock();
        let failing = units.iter().filter(|unit| unit.state != State::InForce);
        failing.map(|unit| unit.name.clone()).collect()
    }

    /// All of them, in the order in which they were put on it.
    #[must_use]
    pub fn all(&self) -> Vec<(String, State)> {
        self.lock().iter().map(|unit| (unit.name.clone(), unit.state)).collect()
    }

    /// Held for moments only, and every change under it is whole.
    fn lock(&self) -> MutexGuard<'_, Vec<UnitStatus>> {
        lock(&self.0.units)
    }
}
