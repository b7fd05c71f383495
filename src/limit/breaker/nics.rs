use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::pair::Pair;

/// So many vNICs at which ZEC fails are kept apart; that which failed longest ago makes room.
pub(super) const MOST: usize = 1024;

/// How many failures of one vNIC count against ZEC altogether, within [`WITHIN`]: a quarter of what
/// opens a circuit, so that ZEC must fail at four vNICs.
pub(super) const EACH: usize = 5;
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked for those that can be forgotten.
const SWEEP: Duration = Duration::from_secs(10);

/// How long a vNIC at which ZEC failed is spared and counted without another failure.
pub(super) const FORGOTTEN: Duration = Duration::from_hours(1);

/// The vNICs at which ZEC failed lately, by the hash of their id.
#[derive(Debug, Default)]
pub(super) struct Nics {
    entries: HashMap<u64, Entry, foldhash::quality::RandomState>,
    /// How many were made so far.
    made: u64,
    swept: Option<Instant>,
}

/// One vNIC's own breaker.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pair: Pair,
    /// The turn that both circuits began with.
    pub(super) first_turn: u64,
    failed: Instant,
    /// When failures were counted against ZEC altogether: the last few of reads, and of writes.
    counted: [VecDeque<Instant>; 2],
}

impl Nics {
    /// Where ZEC has not failed at a vNIC lately there is none.
    pub(super) fn get(&mut self, nic: u64) -> Option<&mut Entry> {
        if self.entries.is_empty() { None } else { self.entries.get_mut(&nic) }
    }

    /// ZEC failed at a vNIC: its entry, made if there is none.
    pub(super) fn fail(&mut self, nic: u64, now: Instant) -> &mut Entry {
        if !self.entries.contains_key(&nic) && self.entries.len() >= MOST {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.failed);
            let oldest = oldest.map(|(nic, _)| *nic);
            oldest.and_then(|nic| self.entries.remove(&nic));
        }
        let made = &mut self.made;
        let entry = self.entries.entry(nic).or_insert_with(|| {
            *made += 1;
            Entry::new(*made << 32, now)
        });
        entry.failed = now;
        entry
    }

    /// Forgets, now and then, those whose failures are too old to count, and after an hour those whose
    /// circuits are open still, for nobody has asked since. Whether it has looked.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        let rests = |since: Instant| now.saturating_duration_since(since) < SWEEP;
        if self.entries.is_empty() || self.swept.is_some_and(rests) {
            return false;
        }
        self.swept = Some(now);
        self.entries.retain(|_, entry| {
            let ago = now.saturating_duration_since(entry.failed);
            ago < if entry.pair.is_open() == [false; 2] { WITHIN } else { FORGOTTEN }
        });
        true
    }

    /// How many have a circuit open for reads, and for writes.
    pub(super) fn open(&self) -> [usize; 2] {
        self.entries.values().fold([0; 2], |[reads, writes], entry| {
            let [read, write] = entry.pair.is_open();
            [reads + usize::from(read), writes + usize::from(write)]
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Entry {
    fn new(first_turn: u64, now: Instant) -> Self {
        let counted = [VecDeque::new(), VecDeque::new()];
        Self { pair: Pair::new(first_turn), first_turn, failed: now, counted }
    }

    /// Whether a failure counts against ZEC altogether: few of one vNIC do.
    pub(super) fn counts(&mut self, kind: usize, now: Instant) -> bool {
        let Some(counted) = self.counted.get_mut(kind) else { return false };
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= WITHIN;
        while counted.front().is_some_and(is_old) {
            counted.pop_front();
        }
        let counts = counted.len() < EACH;
        if counts {
            counted.push_back(now);
        }
        counts
    }
}
