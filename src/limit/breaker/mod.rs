//! The circuit breaker: it protects a failing ZEC from requests, and callers from waiting. After many
//! failures it refuses requests before they are sent, and then lets them through one at a time.

mod circuit;
mod nics;
mod pair;
#[cfg(test)]
mod tests;
mod turns;
mod window;

use std::{
    hash::BuildHasher,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use crate::metrics::{Kind, Metrics};
use crate::mutex::lock;
use circuit::{FailureCount, Passage};
use nics::Nics;
use pair::CircuitPair;

/// Circuits for reads and for writes: two for ZEC as a whole, and two for each vNIC at which ZEC failed
/// lately. Clones are the same breaker.
///
/// A circuit opens if at least 20 requests failed within ten seconds, and no more succeeded than failed. For
/// ZEC as a whole, at most five failures of one vNIC count within that time, and a vNIC whose own circuit is
/// open counts as five. Every request that did not reach ZEC counts. A circuit stays open for 5 s. Then it
/// lets one request through, which closes it or opens it for twice as long, up to 60 s. If that request
/// fails, its asker lets others go first: another caller, on another vNIC.
///
/// After writes were stopped, a write is let through only once a read has succeeded. A write must not be used
/// to find out whether ZEC is available. If reads were stopped too, the read that closes their circuit closes
/// the writes' circuit as well.
#[derive(Clone, Debug)]
pub struct Breaker {
    circuits: Arc<Mutex<Circuits>>,
    hasher: foldhash::quality::RandomState,
    metrics: Arc<Metrics>,
}

/// A caller and a vNIC. Hashes are good enough to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    caller: u64,
    nic: u64,
}

#[derive(Debug)]
struct Circuits {
    /// The circuits for ZEC as a whole.
    all: CircuitPair,
    nics: Nics,
}

/// How a request was let through the circuits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ways {
    admitted: Instant,
    all: Passage,
    /// `None` if the vNIC had no circuits of its own.
    own: Option<Passage>,
}

/// Leave to send one request. Report the request's outcome with one of its methods. If it is dropped without
/// that, the request counts as neither a success nor a failure.
#[derive(Debug)]
#[must_use = "say what became of the request"]
pub struct BreakerPass {
    breaker: Breaker,
    kind: Kind,
    who: Asker,
    ways: Ways,
}

/// The turn to find out, by a read, whether writes may be tried again. Drop it after the read: unless a read
/// has succeeded by then, the turn counts as failed. Call [`Self::spared`] first if there was no read.
#[derive(Debug)]
#[must_use = "read the vNIC, or call `spared` if no read was made"]
pub struct Probe {
    breaker: Breaker,
    who: Asker,
    all: Option<Passage>,
    own: Option<Passage>,
    failed: bool,
}

impl Breaker {
    /// Makes a breaker with all circuits closed. The metrics `zec_breaker_open` and `zec_breaker_open_nics`
    /// show its state.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let circuits = Circuits { all: CircuitPair::new(0), nics: Nics::default() };
        let circuits = Arc::new(Mutex::new(circuits));
        Self { circuits, hasher: foldhash::quality::RandomState::default(), metrics }
    }

    /// The asker, as the breaker tells callers and vNICs apart; the gateway itself is the caller `""`.
    #[must_use]
    pub fn asker(&self, caller: &str, nic: &str) -> Asker {
        Asker { caller: self.hasher.hash_one(caller), nic: self.hasher.hash_one(nic) }
    }

    /// Asks for leave to send a request.
    ///
    /// # Errors
    /// If nothing may be sent now: how long nothing of this kind is sent.
    pub fn admit(&self, kind: Kind, who: Asker) -> Result<BreakerPass, Duration> {
        let mut circuits = lock(&self.circuits);
        let now = Instant::now();
        if circuits.nics.sweep(now) {
            self.show_nics(&circuits);
        }
        let ways = circuits.admit(kind, who, now)?;
        drop(circuits);
        Ok(BreakerPass { breaker: self.clone(), kind, who, ways })
    }

    /// Gives out the turn to read that vNIC, if writes wait only for a read that succeeds.
    #[must_use]
    pub fn look(&self, who: Asker) -> Option<Probe> {
        let (all, own) = lock(&self.circuits).look(who, Instant::now());
        let found = all.is_some() || own.is_some();
        found.then(|| Probe { breaker: self.clone(), who, all, own, failed: true })
    }

    /// Applies a change, and updates the metrics if it opened or closed a circuit. Both happen under the
    /// lock, so that the metrics never end with an earlier change.
    fn tell(&self, nic: u64, change: impl FnOnce(&mut Circuits)) {
        let mut circuits = lock(&self.circuits);
        let before = circuits.is_open(nic);
        change(&mut circuits);
        let after = circuits.is_open(nic);
        if before.0 != after.0 {
            let [read, write] = after.0;
            self.metrics.breaker(Kind::Read, read);
            self.metrics.breaker(Kind::Write, write);
        }
        if before.1 != after.1 {
            self.show_nics(&circuits);
        }
    }

    fn show_nics(&self, circuits: &Circuits) {
        let [reads, writes] = circuits.nics.open();
        self.metrics.breaker_nics(Kind::Read, reads);
        self.metrics.breaker_nics(Kind::Write, writes);
    }
}

impl BreakerPass {
    /// ZEC answered properly, perhaps with a refusal.
    pub fn success(self) {
        let now = Instant::now();
        self.breaker.tell(self.who.nic, |circuits| {
            circuits.success(self.kind, self.who, self.ways, now);
        });
    }

    /// ZEC gave no answer, or answered 5xx. As far as the gateway can tell, the fault is at this vNIC.
    pub fn failure(self) {
        let now = Instant::now();
        self.breaker.tell(self.who.nic, |circuits| {
            circuits.failure(self.kind, self.who, self.ways, now);
        });
    }

    /// ZEC could not be reached, which does not depend on the vNIC.
    pub fn unreached(self) {
        let now = Instant::now();
        self.breaker.tell(self.who.nic, |circuits| {
            circuits.unreached(self.kind, self.who, self.ways, now);
        });
    }
}

impl Drop for BreakerPass {
    /// After a success or failure there is nothing left to release.
    fn drop(&mut self) {
        lock(&self.breaker.circuits).abandon(self.kind, self.who, self.ways);
    }
}

impl Probe {
    /// The breaker stopped the read itself, so the read says nothing about this asker's turn.
    pub fn spared(mut self) {
        self.failed = false;
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let now = Instant::now();
        let circuits = &mut *lock(&self.breaker.circuits);
        if let Some(way) = self.all {
            circuits.all.write.looked(way, self.who, self.failed, now);
        }
        if let (Some(way), Some(entry)) = (self.own, circuits.nics.get(self.who.nic)) {
            entry.pair.write.looked(way, self.who, self.failed, now);
        }
    }
}

impl Circuits {
    /// Whether reads and writes are stopped for ZEC as a whole, and for a vNIC.
    fn is_open(&mut self, nic: u64) -> ([bool; 2], [bool; 2]) {
        let own = self.nics.get(nic).map_or([false; 2], |entry| entry.pair.is_open());
        (self.all.is_open(), own)
    }

    /// The vNIC's own circuit comes first: a request that is stopped there must not be a probe elsewhere.
    fn admit(&mut self, kind: Kind, who: Asker, now: Instant) -> Result<Ways, Duration> {
        let mut entry = self.nics.get(who.nic);
        let own = entry.as_mut().map(|entry| entry.pair.admit(kind, who, now)).transpose()?;
        let all = self.all.admit(kind, who, now).inspect_err(|_| {
            if let (Some(entry), Some(own)) = (entry, own) {
                entry.pair.of(kind).abandon(own);
            }
        })?;
        Ok(Ways { admitted: now, all, own })
    }

    fn look(&mut self, who: Asker, now: Instant) -> (Option<Passage>, Option<Passage>) {
        let own = self.nics.get(who.nic).map(|entry| &mut entry.pair.write);
        let own = match own.filter(|own| own.is_open() && !own.is_encouraged()) {
            None => None,
            Some(own) => match own.look(who, now) {
                Some(way) => Some(way),
                // Writes to this vNIC are stopped, and it is not time for a read yet.
                None => return (None, None),
            },
        };
        (self.all.write.look(who, now), own)
    }

    fn success(&mut self, kind: Kind, who: Asker, ways: Ways, now: Instant) {
        self.all.success(kind, ways.all, ways.admitted, now);
        if let Some(entry) = self.nics.get(who.nic) {
            let way = ways.own.unwrap_or(Passage::free(entry.first_turn));
            entry.pair.success(kind, way, ways.admitted, now);
        }
    }

    fn failure(&mut self, kind: Kind, who: Asker, ways: Ways, now: Instant) {
        let entry = self.nics.fail(who.nic, now);
        let way = ways.own.unwrap_or(Passage::free(entry.first_turn));
        entry.pair.of(kind).failure(way, who, now, FailureCount::Here(0));
        let all = self.all.of(kind);
        if all.is_current(ways.all) {
            entry.count(kind, now);
            let failures = self.nics.failures(kind, all.counts_since(), now);
            all.failure(ways.all, who, now, FailureCount::Elsewhere(failures));
        }
    }

    fn unreached(&mut self, kind: Kind, who: Asker, ways: Ways, now: Instant) {
        let all = self.all.of(kind);
        let failures = self.nics.failures(kind, all.counts_since(), now);
        all.failure(ways.all, who, now, FailureCount::Here(failures));
    }

    fn abandon(&mut self, kind: Kind, who: Asker, ways: Ways) {
        self.all.of(kind).abandon(ways.all);
        if let (Some(own), Some(entry)) = (ways.own, self.nics.get(who.nic)) {
            entry.pair.of(kind).abandon(own);
        }
    }
}
