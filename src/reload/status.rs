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

/// The result of each unit's last load, and how many requests to reload everything were made and answered. Clones share
/// it.
#[derive(Clone, Debug, Default)]
pub struct ReloadStatus(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    units: Mutex<Vec<UnitStatus>>,
    /// How often a reload of everything was requested.
    asked: AtomicU64,
    /// Notified when a unit has answered.
    answered: Notify,
}

#[derive(Debug)]
struct UnitStatus {
    name: String,
    state: UnitState,
    /// The number of the last request to reload everything that this unit has answered.
    answered: u64,
}

/// The state of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// What its files held at the last load is in force.
    InForce,
    /// Its files have been faulty since that time, and the last good version is in force.
    Failing(SystemTime),
}

impl fmt::Display for UnitState {
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
    /// Adds a unit that was loaded well.
    pub fn add(&self, name: &str) {
        let answered = self.asked();
        self.lock().push(UnitStatus { name: name.to_owned(), state: UnitState::InForce, answered });
    }

    /// Records the result of a unit's load. `tell` gets whether no unit is failing now, before any other result can be
    /// recorded.
    pub fn note(&self, name: &str, ok: bool, tell: impl FnOnce(bool)) {
        let mut units = self.lock();
        for unit in units.iter_mut().filter(|unit| unit.name == name) {
            unit.state = match unit.state {
                _ if ok => UnitState::InForce,
                UnitState::Failing(since) => UnitState::Failing(since),
                UnitState::InForce => UnitState::Failing(SystemTime::now()),
            };
        }
        tell(units.iter().all(|unit| unit.state == UnitState::InForce));
    }

    /// Requests a reload of everything, and returns the number of this request.
    #[must_use]
    pub fn ask(&self) -> u64 {
        self.0.asked.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How often a reload of everything was requested.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Records that a unit has answered this request, well or not.
    pub fn answer(&self, name: &str, request: u64) {
        for unit in self.lock().iter_mut().filter(|unit| unit.name == name) {
            unit.answered = unit.answered.max(request);
        }
        self.0.answered.notify_waiters();
    }

    /// The number of the last request that every unit has answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.lock().iter().map(|unit| unit.answered).min().unwrap_or_else(|| self.asked())
    }

    /// Waits until every unit has answered this request.
    pub async fn until_answered(&self, request: u64) {
        loop {
            let answered = self.0.answered.notified();
            let mut answered = std::pin::pin!(answered);
            // From here on no notification is missed.
            answered.as_mut().enable();
            if self.answered() >= request {
                return;
            }
            answered.await;
        }
    }

    /// The names of the units whose files are faulty.
    #[must_use]
    pub fn failing(&self) -> Vec<String> {
        let units = self.lock();
        let failing = units.iter().filter(|unit| unit.state != UnitState::InForce);
        failing.map(|unit| unit.name.clone()).collect()
    }

    /// All units, in the order in which they were added.
    #[must_use]
    pub fn all(&self) -> Vec<(String, UnitState)> {
        self.lock().iter().map(|unit| (unit.name.clone(), unit.state)).collect()
    }

    /// The lock is held only briefly, and every change under it is complete.
    fn lock(&self) -> MutexGuard<'_, Vec<UnitStatus>> {
        lock(&self.0.units)
    }
}
