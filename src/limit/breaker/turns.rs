//! Who may send the next probe to ZEC.

use super::Asker;

/// So many who found ZEC failing are remembered; the oldest make room.
const REMEMBERED: usize = 8;

/// No asker's rank: nobody waits.
const NOBODY: u8 = u8::MAX;

/// Whose turn it is to find out whether ZEC is there again. Whoever did and failed lets others go
/// first: neither one caller nor one vNIC at which ZEC fails may keep a circuit open for everybody.
#[derive(Debug)]
pub(super) struct Turns {
    /// Who failed since the circuit was closed, oldest first.
    failed: Vec<Asker>,
    /// The lowest rank of those who asked since the last of them.
    waits: u8,
}

impl Turns {
    /// Nobody has had a turn, and nobody waits.
    pub(super) const fn new() -> Self {
        Self { failed: Vec::new(), waits: NOBODY }
    }

    /// Notes that somebody asks; whether it may be their turn: nobody waits who comes first.
    pub(super) fn ask(&mut self, who: Asker) -> bool {
        let rank = self.rank(who);
        self.waits = self.waits.min(rank);
        rank <= self.waits
    }

    /// Whoever had the turn failed.
    pub(super) fn failed(&mut self, who: Asker) {
        if self.failed.len() >= REMEMBERED {
            self.failed.remove(0);
        }
        self.failed.push(who);
        self.waits = NOBODY;
    }

    /// 0 for a caller and a vNIC that have not failed yet, 1 where one of them has, 2 for both.
    fn rank(&self, who: Asker) -> u8 {
        let caller = self.failed.iter().any(|one| one.caller == who.caller);
        let nic = self.failed.iter().any(|one| one.nic == who.nic);
        u8::from(caller) + u8::from(nic)
    }
}
