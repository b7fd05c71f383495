//! What really happened, and what the gateway recorded and answered.

use std::{
    collections::{BTreeSet, HashMap},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Plan, zec::Zec};
use crate::{
    domain::{OperationId, Outcome},
    journal::simulated::{Begun, Written},
};

/// Shared by all simulated parts.
pub(super) type Shared = Arc<Mutex<Truth>>;

pub(super) fn lock(truth: &Shared) -> MutexGuard<'_, Truth> {
    truth.lock().unwrap()
}

/// The moment at which simulated time begins.
pub(super) const BEGINNING: Duration = Duration::from_secs(1_790_000_000);

pub(super) struct Truth {
    pub(super) random: fastrand::Rng,
    pub(super) plan: Plan,
    /// How much time had passed when the present run of the gateway began.
    base: Duration,
    began: Option<Instant>,
    /// The gateway has been killed: nothing that it does has an effect now.
    pub(super) dead: bool,
    /// After this many further transactions or requests it is killed, in the middle of one.
    pub(super) killed_in: Option<u32>,
    /// No more faults occur.
    pub(super) peace: bool,
    /// Two ZECs: the right one, and one at another address where the same ids mean other vNICs.
    pub(super) zecs: [Zec; 2],
    pub(super) writes: Vec<Write>,
    by_id: HashMap<OperationId, usize>,
    pub(super) scripts: Vec<super::callers::Script>,
    pub(super) violations: Vec<String>,
    pub(super) replayed: usize,
    pub(super) in_progress: usize,
    /// Whether the gateway's clock was wrong at any time.
    pub(super) jumped: bool,
}

/// A write that was recorded.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Write {
    pub(super) caller: String,
    pub(super) key: Option<String>,
    pub(super) nic: String,
    pub(super) takes_off: bool,
    pub(super) addresses: BTreeSet<Ipv4Addr>,
    /// When it was recorded, in true time.
    pub(super) at: Duration,
    /// Whether its bytes went out.
    pub(super) sent: bool,
    /// Whether ZEC's answer has come in a run that still goes on: the outcome may be recorded late.
    pub(super) answered: bool,
    /// Whether ZEC made the change.
    pub(super) took_place: bool,
    /// The outcome in the journal.
    pub(super) outcome: Outcome,
    pub(super) was_unknown: bool,
    pub(super) given_up: bool,
}

impl Write {
    /// Whether it may still take place, as far as the gateway knows.
    pub(super) fn is_open(&self) -> bool {
        self.sent && !self.answered && !self.outcome.is_final() && !self.given_up
    }

    pub(super) fn shares(&self, nic: &str, addresses: &BTreeSet<Ipv4Addr>) -> bool {
        self.nic == nic && !self.addresses.is_disjoint(addresses)
    }
}

impl Truth {
    pub(super) fn new(mut random: fastrand::Rng, plan: Plan) -> Self {
        let scripts = super::callers::scripts(&mut random);
        Self {
            random,
            plan,
            base: Duration::ZERO,
            began: None,
            dead: false,
            killed_in: None,
            peace: false,
            zecs: [Zec::new(), Zec::new()],
            writes: Vec::new(),
            by_id: HashMap::new(),
            scripts,
            violations: Vec::new(),
            replayed: 0,
            in_progress: 0,
            jumped: false,
        }
    }

    /// A run of the gateway begins.
    pub(super) fn begin(&mut self) {
        self.began = Some(Instant::now());
        (self.dead, self.killed_in) = (false, None);
        self.writes.iter_mut().for_each(|write| write.answered = false);
    }

    /// Lets the time between two runs pass.
    pub(super) fn rest(&mut self) {
        let pause = match self.random.u32(0..10) {
            0 | 1 => self.random.u64(600..3600),
            2..5 => self.random.u64(30..400),
            _ => self.random.u64(0..5),
        };
        self.base += Duration::from_secs(pause);
        // Someone changes a vNIC at ZEC directly, at a time when no write of the gateway can be open.
        if pause > 1500 && self.one_in(2) {
            self.settle(0, self.base);
            let at = self.base.saturating_sub(Duration::from_secs(120));
            let nic = super::zec::NICS[self.random.usize(0..super::zec::NICS.len())];
            let address = super::zec::address(self.random.u8(0..super::zec::ADDRESSES));
            self.zecs[0].change_outside(nic, address, at);
        }
    }

    /// Stops the time until the next run begins.
    pub(super) fn stop(&mut self) {
        self.base = self.now();
        self.began = None;
        self.dead = true;
    }

    /// How much time has really passed.
    pub(super) fn now(&self) -> Duration {
        self.base + self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// The time that a correct clock shows.
    pub(super) fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + BEGINNING + self.now()
    }

    pub(super) fn one_in(&mut self, n: u32) -> bool {
        !self.peace && self.random.u32(0..n) == 0
    }

    /// Counts a step at which the gateway may be killed. Returns whether it is dead now.
    pub(super) fn step(&mut self) -> bool {
        if let Some(left) = self.killed_in.as_mut() {
            *left = left.saturating_sub(1);
            self.dead |= *left == 0;
        }
        self.dead
    }

    pub(super) fn violated(&mut self, what: &str) {
        let at = self.now();
        self.violations.push(format!("after {at:?}: {what}"));
    }

    /// The journal has just written this.
    pub(super) fn wrote(&mut self, written: Vec<Written>) {
        for one in written {
            match one {
                Written::Begun(begun) => self.begun(begun),
                Written::Ended(id, outcome, given_up) => {
                    if let Some(write) = self.by_id.get(&id).and_then(|at| self.writes.get_mut(*at))
                    {
                        write.outcome = outcome;
                        write.was_unknown |= outcome == Outcome::Unknown;
                        write.given_up |= given_up;
                    }
                }
            }
        }
    }

    fn begun(&mut self, begun: Begun) {
        let content: serde_json::Value = serde_json::from_str(&begun.content).unwrap();
        let list = content["arguments"]["ipAddresses"].as_array().unwrap();
        let address = |text: &serde_json::Value| text.as_str().unwrap().parse().unwrap();
        self.by_id.insert(begun.id, self.writes.len());
        self.writes.push(Write {
            caller: begun.caller,
            key: begun.key,
            nic: begun.resources[0].id.clone(),
            takes_off: begun.action.starts_with("Unassign"),
            addresses: list.iter().map(address).collect(),
            at: self.now(),
            sent: false,
            answered: false,
            took_place: false,
            outcome: Outcome::Pending,
            was_unknown: false,
            given_up: false,
        });
    }

    /// The bytes of a write leave the gateway. Returns which write it is.
    pub(super) fn sends(
        &mut self,
        nic: &str,
        takes_off: bool,
        addresses: &BTreeSet<Ipv4Addr>,
    ) -> Option<usize> {
        let is_it = |write: &Write| {
            write.nic == nic
                && write.takes_off == takes_off
                && write.addresses == *addresses
                && !write.sent
                && write.outcome == Outcome::Pending
        };
        let Some(at) = self.writes.iter().rposition(is_it) else {
            self.violated(&format!("a write on {nic} was sent and is not recorded"));
            return None;
        };
        let open = |(other, write): &(usize, &Write)| {
            *other != at && write.is_open() && write.shares(nic, addresses)
        };
        if let Some((other, _)) = self.writes.iter().enumerate().find(open) {
            self.violated(&format!(
                "write {at} was sent while write {other} is open: {:?}",
                self.writes[other]
            ));
        }
        let (caller, key) = (self.writes[at].caller.clone(), self.writes[at].key.clone());
        let twice = |(other, write): &(usize, &Write)| {
            let never = write.outcome.never_happened() || write.outcome == Outcome::Rejected;
            *other != at && write.sent && !never && write.caller == caller && write.key == key
        };
        if key.is_some()
            && let Some((other, _)) = self.writes.iter().enumerate().find(twice)
        {
            self.violated(&format!(
                "writes {other} and {at} were sent under one key, {key:?}: {:?}",
                self.writes[other]
            ));
        }
        self.writes[at].sent = true;
        Some(at)
    }

    /// The recorded write with this operation id.
    pub(super) fn find(&self, id: OperationId) -> Option<&Write> {
        self.by_id.get(&id).and_then(|at| self.writes.get(*at))
    }

    /// Compares what was recorded with what took place, once nothing more can happen.
    pub(super) fn check(&mut self) {
        let end = self.now() + Duration::from_hours(1);
        for zec in 0..2 {
            self.settle(zec, end);
        }
        let mut wrong = Vec::new();
        for (at, write) in self.writes.iter().enumerate() {
            let lie = match write.outcome {
                Outcome::Done => !write.took_place,
                Outcome::NotDone | Outcome::Rejected => write.took_place,
                Outcome::NotSent => write.sent,
                Outcome::Pending => true,
                Outcome::Unknown => !write.given_up,
            };
            if lie {
                wrong.push(format!("write {at} is not as the journal says: {write:?}"));
            }
            let again = self.writes.iter().skip(at + 1).any(|later| {
                let same = later.key.is_some()
                    && (&later.key, &later.caller) == (&write.key, &write.caller);
                same && later.sent && write.took_place
            });
            if again {
                wrong.push(format!(
                    "write {at} took place and was sent again under its key: {write:?}"
                ));
            }
        }
        self.violations.extend(wrong);
    }
}
