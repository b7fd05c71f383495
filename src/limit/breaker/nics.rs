//! The vNICs at which ZEC failed lately, each with its own circuits.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::pair::CircuitPair;
use crate::metrics::Kind;

/// At most this many failing vNICs are tracked separately. The one whose last failure is oldest is evicted
/// first.
pub(super) const MOST: usize = 1024;

/// How many failures of one vNIC count against ZEC as a whole, within [`WITHIN`]. It is a quarter of what
/// opens a circuit, so that ZEC must fail at four vNICs.
pub(super) const EACH: usize = 5;
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// A vNIC whose own circuit is open counts as much, for this long after its last failure. By then so few of
/// its requests are sent that its failures alone would not.
const STANDING: Duration = Duration::from_secs(60);

/// How often vNICs that no longer matter are evicted.
const SWEEP: Duration = Duration::from_secs(10);

/// How long an open circuit of a vNIC is kept and counted without another failure.
pub(super) const FORGOTTEN: Duration = Duration::from_hours(1);

/// The vNICs at which ZEC failed lately, by the hash of their ids.
#[derive(Debug, Default)]
pub(super) struct Nics {
    entries: HashMap<u64, NicEntry, foldhash::quality::RandomState>,
    /// How many entries were made so far.
    made: u64,
    swept: Option<Instant>,
}

/// One vNIC's own breaker.
#[derive(Debug)]
pub(super) struct NicEntry {
    pub(super) pair: CircuitPair,
    /// The turn that both circuits began with.
    pub(super) first_turn: u64,
    failed: Instant,
    reads: Failures,
    writes: Failures,
}

/// A vNIC's failures of one kind that count against ZEC as a whole.
#[derive(Debug, Default)]
struct Failures {
    /// The times of the latest, oldest first.
    counted: VecDeque<Instant>,
    last: Option<Instant>,
}

impl Nics {
    /// The entry of a vNIC; `None` if ZEC has not failed at it lately.
    pub(super) fn get(&mut self, nic: u64) -> Option<&mut NicEntry> {
        if self.entries.is_empty() { None } else { self.entries.get_mut(&nic) }
    }

    /// The entry of a vNIC at which ZEC has just failed. Makes one if there is none.
    pub(super) fn fail(&mut self, nic: u64, now: Instant) -> &mut NicEntry {
        if !self.entries.contains_key(&nic) && self.entries.len() >= MOST {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.failed);
            let oldest = oldest.map(|(nic, _)| *nic);
            oldest.and_then(|nic| self.entries.remove(&nic));
        }
        let made = &mut self.made;
        let entry = self.entries.entry(nic).or_insert_with(|| {
            *made += 1;
            NicEntry::new(*made << 32, now)
        });
        entry.failed = now;
        entry
    }

    /// Evicts, now and then, the vNICs whose failures are too old to count. Those whose circuits are still
    /// open, because no request has come since, are evicted after an hour. Returns whether it swept.
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

    /// How many failures of a kind, over all vNICs, count against ZEC as a whole. Those before `since` do
    /// not.
    pub(super) fn failures(&self, kind: Kind, since: Option<Instant>, now: Instant) -> u32 {
        let each = self.entries.values().map(|entry| entry.weight(kind, since, now));
        each.fold(0, u32::saturating_add)
    }

    /// How many vNICs have an open circuit for reads, and how many for writes.
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

impl NicEntry {
    fn new(first_turn: u64, now: Instant) -> Self {
        let (reads, writes) = (Failures::default(), Failures::default());
        Self { pair: CircuitPair::new(first_turn), first_turn, failed: now, reads, writes }
    }

    /// Notes a failure that counts against ZEC as a whole, unless too many of this vNIC do already.
    pub(super) fn count(&mut self, kind: Kind, now: Instant) {
        let failures = match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
        };
        failures.last = Some(now);
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= WITHIN;
        while failures.counted.front().is_some_and(is_old) {
            failures.counted.pop_front();
        }
        if failures.counted.len() < EACH {
            failures.counted.push_back(now);
        }
    }

    fn weight(&self, kind: Kind, since: Option<Instant>, now: Instant) -> u32 {
        let [read, write] = self.pair.is_open();
        let (open, failures) = match kind {
            Kind::Read => (read, &self.reads),
            Kind::Write => (write, &self.writes),
        };
        let within = |at: Instant, time: Duration| {
            now.saturating_duration_since(at) < time && since.is_none_or(|since| at >= since)
        };
        let count = if open && failures.last.is_some_and(|last| within(last, STANDING)) {
            EACH
        } else {
            failures.counted.iter().filter(|at| within(**at, WITHIN)).count()
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}
