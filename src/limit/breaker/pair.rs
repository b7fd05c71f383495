//! The circuits for reads and for writes, and how they affect each other.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Asker,
    circuit::{Circuit, Passage},
};
use crate::metrics::Kind;

/// One circuit for reads and one for writes.
#[derive(Debug)]
pub(super) struct CircuitPair {
    pub(super) read: Circuit,
    pub(super) write: Circuit,
}

impl CircuitPair {
    /// Makes both, closed; for `turn`, see [`Circuit::new`].
    pub(super) fn new(turn: u64) -> Self {
        Self { read: Circuit::new(turn), write: Circuit::new(turn) }
    }

    /// Whether reads are stopped, and whether writes are.
    pub(super) const fn is_open(&self) -> [bool; 2] {
        [self.read.is_open(), self.write.is_open()]
    }

    pub(super) fn of(&mut self, kind: Kind) -> &mut Circuit {
        match kind {
            Kind::Read => &mut self.read,
            Kind::Write => &mut self.write,
        }
    }

    /// After the pause, a write is let through only if a read has succeeded since the opening.
    pub(super) fn admit(
        &mut self,
        kind: Kind,
        who: Asker,
        now: Instant,
    ) -> Result<Passage, Duration> {
        match kind {
            Kind::Read => self.read.admit(who, now, true),
            Kind::Write => {
                let encouraged = self.write.is_encouraged();
                self.write.admit(who, now, encouraged)
            }
        }
    }

    /// A request that was let through at `admitted` succeeded.
    pub(super) fn success(&mut self, kind: Kind, way: Passage, admitted: Instant, now: Instant) {
        let was_probe = self.of(kind).success(way, now);
        if kind == Kind::Read {
            self.write.encourage(admitted, now, was_probe);
        }
    }
}
