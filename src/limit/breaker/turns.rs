//! Who may send the next probe to ZEC.

use super::Asker;

/// This many askers whose probes failed are remembered; the oldest are evicted first.
const REMEMBERED: usize = 8;

/// A rank that no asker has: no one is waiting.
const NOBODY: u8 = u8::MAX;

/// Whose turn it is to find out whether ZEC is available again. An asker whose probe failed lets others go
/// first. So neither one caller nor one vNIC at which ZEC fails can keep a circuit open for everyone.
#[derive(Debug)]
pub(super) struct ProbeTurns {
    /// The askers whose probes failed since the circuit opened, oldest first.
    failed: Vec<Asker>,
    /// The lowest rank among the askers since the last of these failures.
    waits: u8,
}

impl ProbeTurns {
    /// No one has had a turn, and no one is waiting.
    pub(super) const fn new() -> Self {
        Self { failed: Vec::new(), waits: NOBODY }
    }

    /// Remembers that an asker asks. Returns whether it may be its turn: no one of a lower rank is waiting.
    pub(super) fn ask(&mut self, who: Asker) -> bool {
        let rank = self.rank(who);
        self.waits = self.waits.min(rank);
        rank <= self.waits
    }

    /// The probe of the asker whose turn it was has failed.
    pub(super) fn failed(&mut self, who: Asker) {
        if self.failed.len() >= REMEMBERED {
            self.failed.remove(0);
        }
        self.failed.push(who);
        self.waits = NOBODY;
    }

    /// 0 if neither the caller nor the vNIC has failed yet, 1 if one of them has, 2 if both have.
    fn rank(&self, who: Asker) -> u8 {
        let caller = self.failed.iter().any(|one| one.caller == who.caller);
        let nic = self.failed.iter().any(|one| one.nic == who.nic);
        u8::from(caller) + u8::from(nic)
    }
}
