//! Spares a ZEC in trouble, and callers the wait for it: after many failures requests are refused
//! before they are sent, and let through again one by one.

mod circuit;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::lock;
use crate::metrics::{Kind, Metrics};
use circuit::{Circuit, Way};

/// One breaker for reads and one for writes. Clones are the same breaker.
///
/// Each opens after 20 failures within 10 s and stays open for 5 s; then one request is let through,
/// which closes it, or opens it for twice as long, up to 60 s. A write is let through only after a
/// read has succeeded since writes were stopped: a write is no way to find out whether ZEC is there.
/// Where reads were stopped too, the read that closes theirs closes the writes' as well.
#[derive(Clone, Debug)]
pub struct Breaker {
    circuits: Arc<Mutex<Circuits>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Circuits {
    read: Circuit,
    write: Circuit,
}

/// Leave to send one request; say what became of it. Dropped without a word, it counts neither
/// way.
#[derive(Debug)]
#[must_use = "say what became of the request"]
pub struct Pass {
    breaker: Breaker,
    kind: Kind,
    way: Way,
}

impl Breaker {
    /// Both closed. The metric `zec_breaker_open` tells of them.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        metrics.breaker(Kind::Read, false);
        metrics.breaker(Kind::Write, false);
        let circuits = Circuits { read: Circuit::default(), write: Circuit::default() };
        Self { circuits: Arc::new(Mutex::new(circuits)), metrics }
    }

    /// Asks to send a request.
    ///
    /// # Errors
    /// How long nothing of the kind is sent; nothing may be sent now.
    pub fn admit(&self, kind: Kind) -> Result<Pass, Duration> {
        let way = lock(&self.circuits).admit(kind, Instant::now())?;
        Ok(Pass { breaker: self.clone(), kind, way })
    }

    /// Whether writes wait for nothing but a read that succeeds: whoever wants to write looks first.
    #[must_use]
    pub fn wants_proof(&self) -> bool {
        let write = &lock(&self.circuits).write;
        write.is_open() && write.wants_proof(Instant::now())
    }

    /// Applies a change, and tells the metric where it has opened or closed a circuit: under the lock, so
    /// that the metric never tells of an earlier change last.
    fn tell(&self, change: impl FnOnce(&mut Circuits)) {
        let mut circuits = lock(&self.circuits);
        let open = |circuits: &Circuits| [circuits.read.is_open(), circuits.write.is_open()];
        let before = open(&circuits);
        change(&mut circuits);
        let [read, write] = open(&circuits);
        if [read, write] != before {
            self.metrics.breaker(Kind::Read, read);
            self.metrics.breaker(Kind::Write, write);
        }
    }
}

impl Pass {
    /// ZEC answered as it should, with a refusal perhaps.
    pub fn success(self) {
        let now = Instant::now();
        self.breaker.tell(|circuits| circuits.success(self.kind, self.way, now));
    }

    /// ZEC could not be reached, gave no answer, or answered 5xx.
    pub fn failure(self) {
        let now = Instant::now();
        self.breaker.tell(|circuits| circuits.failure(self.kind, self.way, now));
    }
}

impl Drop for Pass {
    /// After a success or failure there is nothing left to free.
    fn drop(&mut self) {
        lock(&self.breaker.circuits).of(self.kind).abandon(self.way);
    }
}

impl Circuits {
    fn of(&mut self, kind: Kind) -> &mut Circuit {
        match kind {
            Kind::Read => &mut self.read,
            Kind::Write => &mut self.write,
        }
    }

    fn admit(&mut self, kind: Kind, now: Instant) -> Result<Way, Duration> {
        match kind {
            Kind::Read => self.read.admit(now, true),
            Kind::Write => {
                let encouraged = self.write.is_encouraged();
                self.write.admit(now, encouraged)
            }
        }
    }

    fn success(&mut self, kind: Kind, way: Way, now: Instant) {
        let was_probe = self.of(kind).success(way);
        if kind == Kind::Read {
            self.write.encourage(way.admitted, now, was_probe);
        }
    }

    fn failure(&mut self, kind: Kind, way: Way, now: Instant) {
        self.of(kind).failure(way, now);
    }
}
