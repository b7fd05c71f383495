//! An emulator of ZEC's API as seen from outside, for tests and for trying out the gateway.
//!
//! It emulates `POST /api/v2/zec`. It checks signatures and access tokens, keeps vNICs and changes their private IPv4
//! addresses, and answers in ZEC's envelope with ZEC's error codes. On request it misbehaves ([`Fault`]). It shares no
//! code with the gateway's own client of ZEC.
//!
//! The path of a request: `server` → `service` → `access` → `actions` → `answer`.

mod access;
mod actions;
mod answer;
mod control;
mod demo;
mod failure;
mod fault;
mod log;
mod nic;
mod server;
mod service;
mod settings;
mod subnet;
#[cfg(test)]
mod tests;
mod version;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use access::Access;
use actions::State;
use fault::Faults;
use log::RequestLog;
use secrecy::SecretString;

pub use failure::{Code, Failure};
pub use fault::{Fault, FaultKind, ParseFaultError};
pub use log::LoggedRequest;
pub use nic::NicSeed;
pub use settings::{EmptyUnassign, Limits, Settings};
pub use subnet::Subnet;
pub use version::Version;

/// The last second of the year 9999, where HTTP's form of a date ends.
const LAST_SECOND: i64 = 253_402_300_799;

/// A handle to one emulated ZEC; clones share its vNICs, faults and log.
#[derive(Clone)]
pub struct Emulator(Arc<Shared>);

struct Shared {
    access: Access,
    control: bool,
    max_body: usize,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    log: Mutex<RequestLog>,
}

impl Emulator {
    /// Creates an emulator without vNICs; it does not listen yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings {
            access_key_id,
            access_key_password,
            bearer_tokens,
            control,
            eip_check_per_address,
            empty_unassign,
            limits,
            faults,
        } = settings;
        let emulator = Self(Arc::new(Shared {
            access: Access::new(access_key_id, &access_key_password, bearer_tokens),
            control,
            max_body: limits.body,
            state: Mutex::new(State::new(limits, eip_check_per_address, empty_unassign)),
            faults: Mutex::default(),
            log: Mutex::default(),
        }));
        for fault in faults {
            emulator.inject(fault);
        }
        emulator
    }

    /// Adds the demo's four vNICs, and what they lie in and belong to.
    #[must_use]
    pub fn with_demo_nics(self) -> Self {
        for seed in demo::nics() {
            self.insert_nic(seed);
        }
        for (kind, id, members) in demo::resources() {
            self.insert_resource(kind, id, &members);
        }
        self
    }

    /// Adds a vNIC, replacing one with the same id.
    pub fn insert_nic(&self, seed: NicSeed) {
        self.state().insert(seed, self.now());
    }

    /// Adds a resource of a type that is not `nic`, such as `vpc`, with these members.
    pub fn insert_resource(&self, kind: &str, id: &str, members: &serde_json::Value) {
        let given = members.as_object().cloned().unwrap_or_default();
        self.state().insert_resource(kind, id, &given);
    }

    /// Removes a vNIC, as its deletion does.
    pub fn remove_nic(&self, id: &str) {
        self.state().remove(id);
    }

    /// The current vNIC with that id, as `DescribeNetworkInterfaces` shows it.
    #[must_use]
    pub fn nic(&self, id: &str) -> Option<serde_json::Value> {
        let info = self.state().get(id)?.info(Version::V20250901);
        serde_json::to_value(info).ok()
    }

    /// The last 10,000 requests (fewer if their bodies are large), newest last, including requests in flight.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.log().all()
    }

    /// Accepts one more access key from now on, besides the already accepted ones.
    pub fn accept_key(&self, id: impl Into<String>, password: &SecretString) {
        self.0.access.accept(id.into(), password);
    }

    /// Stops accepting that access key.
    pub fn refuse_key(&self, id: &str) {
        self.0.access.refuse(id);
    }

    /// Injects a fault from now on.
    pub fn inject(&self, fault: Fault) {
        self.faults().inject(fault);
    }

    /// Clears all faults; requests that hang already keep hanging.
    pub fn clear_faults(&self) {
        self.faults().clear();
        self.state().show_fresh();
    }

    /// The time on the emulated ZEC's clock.
    fn now(&self) -> SystemTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(LAST_SECOND);
        let seconds = seconds.saturating_add(self.faults().skew()).clamp(0, LAST_SECOND);
        UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.0.faults)
    }

    fn log(&self) -> MutexGuard<'_, RequestLog> {
        lock(&self.0.log)
    }
}

/// Each lock is held only for moments, and every change under it is complete, so a panic elsewhere leaves the data
/// intact.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").finish_non_exhaustive()
    }
}
