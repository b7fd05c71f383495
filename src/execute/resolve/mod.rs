//! Finds out unknown outcomes of changes of addresses by reading the vNIC, and of calls by reading their resources (`calls`).
//!
//! What the vNIC shows is evidence only while nothing else can have changed it through the gateway, and only
//! within the write's own time. After that the outcome stays unknown for good.

mod calls;
mod waits;
mod turns;

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::guard::{Guard, LAG};
use crate::{
    domain::{Call, Change, ChangeIpv4, Nic, NicId, OperationId, Outcome, Resource},
    journal::{Ending, Journal, SIGNED_WITHIN, View},
    limit::Reservation,
    metrics::Metrics,
    zec::{Reader, SIGNATURE_LIFETIME},
};
pub(super) use calls::{CallProof, OpenCall};
pub(super) use turns::Turns;
use waits::Waits;

/// How long the gateway waits before it tries again to record an outcome.
const RECORD_AGAIN: Duration = Duration::from_secs(5);

/// The timeout of one read.
const LOOK: Duration = Duration::from_secs(30);

/// How often the gateway reads a vNIC for an unknown outcome, and for how long. `give_up` and `proof` are
/// times by ZEC's clock, counted from the moment at which the write was requested.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The wait before the first read. Each further wait is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// After this the outcome stays unknown. By then ZEC can no longer make the change.
    pub give_up: Duration,
    /// How long ZEC may still make the change: until then, "the address is still there" proves nothing.
    pub proof: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(1),
            give_up: Duration::from_mins(15),
            proof: SIGNED_WITHIN + SIGNATURE_LIFETIME + LAG,
        }
    }
}

/// The earlier of both times at which a write was requested: the gateway's clock may have been ahead of ZEC's.
pub(super) fn asked_first(asked_at: SystemTime, zec_time: Option<SystemTime>) -> SystemTime {
    zec_time.map_or(asked_at, |zec| zec.min(asked_at))
}

/// A write whose outcome is unknown.
#[derive(Debug)]
pub(super) struct Open {
    /// The operation id in the journal; `None` without a journal.
    pub(super) operation: Option<OperationId>,
    pub(super) change: ChangeIpv4,
    /// When the write was requested, by the gateway's clock. The time in its signature is at most
    /// [`SIGNED_WITHIN`] later.
    pub(super) asked_at: SystemTime,
    /// The same by ZEC's clock, if known: the gateway's clock may have been ahead.
    pub(super) zec_time: Option<SystemTime>,
    /// Identifies the ZEC and the key with which it was sent; `None` if not known.
    pub(super) zec: Option<Arc<str>>,
    pub(super) evidence: Evidence,
    /// Keeps other writes off its addresses.
    pub(super) guard: Guard,
    /// Its share of the caller's budget.
    pub(super) reservation: Option<Reservation>,
}

/// What the vNIC can prove about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It can prove that the write was done, and that it was not.
    Full,
    /// It can only prove that the write was not done: the vNIC's state before is not known for certain.
    OnlyNotDone,
    /// It can prove nothing: another write may have changed the same addresses since.
    None,
}

impl Evidence {
    /// What can be concluded from the vNIC as it was read before the write. `contested` is whether something
    /// else may change, or may have changed, the same addresses meanwhile.
    pub(super) fn from(
        change: &ChangeIpv4,
        before: Option<&Nic>,
        stale: bool,
        contested: bool,
    ) -> Self {
        if contested {
            return Self::None;
        }
        let Some(there) = before.map(Nic::ipv4s).filter(|_| !stale) else {
            return Self::OnlyNotDone;
        };
        let is_there = |address: &Ipv4Addr| there.contains(address);
        let undone = match change.change {
            Change::Unassign => change.addresses.as_slice().iter().all(is_there),
            Change::Assign => !change.addresses.as_slice().iter().any(is_there),
        };
        if undone { Self::Full } else { Self::OnlyNotDone }
    }
}

impl Open {
    /// A write of an earlier run.
    pub(super) fn of_earlier(
        view: View,
        change: ChangeIpv4,
        contested: bool,
        guard: Guard,
        reservation: Option<Reservation>,
    ) -> Self {
        let before = view.before.and_then(|raw| Nic::parse(raw).ok());
        let evidence = match Evidence::from(&change, before.as_ref(), view.stale, contested) {
            // The write's age by ZEC's clock is unknown, so others may have had time to change the vNIC.
            Evidence::Full if view.zec_time.is_none() => Evidence::OnlyNotDone,
            evidence => evidence,
        };
        Self {
            operation: Some(view.id),
            change,
            asked_at: view.started_at,
            zec_time: view.zec_time,
            zec: view.zec.map(Arc::from),
            evidence,
            guard,
            reservation,
        }
    }

    /// When the write was requested, by whichever clock gave the earlier time: the gateway's may have been
    /// ahead.
    fn asked_first(&self) -> SystemTime {
        asked_first(self.asked_at, self.zec_time)
    }

    /// What a vNIC proves about the write, read from the given ZEC with the given key.
    fn verdict(&self, zec: &Arc<str>, nic: Option<&Nic>, proven: bool) -> Option<Outcome> {
        // Another ZEC, another team's key, or a vNIC that is not shown proves nothing.
        let same = self.zec.as_ref() == Some(zec);
        let nic = nic.filter(|_| same)?;
        match (verdict(&self.change, nic, proven)?, self.evidence) {
            (outcome, Evidence::Full) => Some(outcome),
            (Outcome::NotDone, Evidence::OnlyNotDone) => Some(Outcome::NotDone),
            (_, Evidence::OnlyNotDone | Evidence::None) => None,
        }
    }
}

/// Reads the vNIC until the outcome is known. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) reader: Reader,
    pub(super) journal: Journal,
    /// Set when the gateway begins to serve.
    pub(super) patience: Arc<OnceLock<Patience>>,
    pub(super) turns: Turns,
    /// Cancelled when the gateway stops. Open writes stay held then, and the next start takes them over.
    pub(super) stop: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
}

impl Resolver {
    /// How long the gateway looks for unknown outcomes.
    pub(super) fn patience(&self) -> Patience {
        self.patience.get().copied().unwrap_or_default()
    }

    /// Whether this much time has passed since then, by ZEC's clock.
    fn has_passed(&self, since: SystemTime, long: Duration) -> bool {
        self.reader.time().is_some_and(|now| now >= since + long)
    }

    /// Starts the search for a write's outcome, in a task of its own.
    pub(super) fn take_on(&self, open: Open) {
        let (this, stop) = (Arc::new(self.clone()), self.stop.clone());
        tokio::spawn(async move { stop.run_until_cancelled_owned(this.resolve(open)).await });
    }

    async fn resolve(self: Arc<Self>, open: Open) {
        let patience = self.patience();
        let mut waits = Waits::new(patience);
        loop {
            waits.next().await;
            let has_passed = |long| self.has_passed(open.asked_at, long);
            let turn = self.turns.wait(&self.reader, has_passed(patience.proof)).await;
            // Checked before the read: what the read then shows was true when ZEC could no longer make the
            // change.
            let proven = has_passed(patience.proof);
            let found = self.reader.nic(&open.change.nic, Instant::now() + LOOK).await;
            drop(turn);
            // Checked after the read, because the first answer of a run is what tells the time by ZEC's
            // clock. After `give_up`, anybody may have changed the vNIC directly at ZEC, so what it shows
            // proves nothing.
            if self.has_passed(open.asked_first(), patience.give_up) || waits.is_over() {
                return self.give_up(open).await;
            }
            match found {
                Ok(found) => {
                    let seen = open.verdict(&found.zec, found.nic.as_deref(), proven);
                    if let Some(outcome) = seen {
                        return self.close(open, outcome).await;
                    }
                }
                Err(cause) => {
                    tracing::debug!(%cause, "the vNIC could not be read to find an unknown outcome");
                }
            }
        }
    }

    /// Ends the search. A write that a crash left pending becomes unknown, and an unknown one stays unknown.
    async fn give_up(&self, open: Open) {
        tracing::warn!(
            operation = open.operation.map(|id| id.to_string()),
            nic = %open.change.nic,
            "a write's outcome stays unknown: the vNIC did not show it in time, and the write can no longer take effect; check the vNIC by hand"
        );
        let detail = "the vNIC did not show the outcome in time, so it stays unknown";
        self.record(open.operation, given_up(detail)).await;
        open.guard.release(true);
    }

    /// Makes an outcome durable, however long that takes. The addresses stay held until then, because a crash
    /// would lose an outcome that is not in the journal yet.
    async fn record(&self, operation: Option<OperationId>, ending: Ending) {
        let Some(id) = operation else { return };
        while let Err(error) = self.journal.end(id, ending.clone()).await {
            tracing::error!(operation = %id, %error, "an outcome is recorded late");
            tokio::time::sleep(RECORD_AGAIN).await;
        }
    }

    async fn close(&self, open: Open, outcome: Outcome) {
        tracing::info!(
            operation = open.operation.map(|id| id.to_string()),
            nic = %open.change.nic,
            outcome = outcome.label(),
            "the vNIC shows the outcome of a write"
        );
        let detail = Some("the gateway read the vNIC, which shows this outcome".to_owned());
        self.record(open.operation, Ending { detail, ..Ending::new(outcome) }).await;
        let done = outcome == Outcome::Done;
        if done && open.change.change == Change::Unassign {
            self.metrics.unassigned(open.change.addresses.as_slice().len());
        }
        if let (Outcome::NotDone, Some(reservation)) = (outcome, open.reservation) {
            reservation.release();
        }
        open.guard.release(done);
    }
}

/// The ending of a write whose outcome stays unknown.
fn given_up(detail: &str) -> Ending {
    let detail = Some(detail.to_owned());
    Ending { detail, given_up: true, ..Ending::new(Outcome::Unknown) }
}

/// What a vNIC shows of a change; `proven` is whether ZEC can no longer make it.
fn verdict(change: &ChangeIpv4, nic: &Nic, proven: bool) -> Option<Outcome> {
    let there = nic.ipv4s();
    let addresses = change.addresses.as_slice();
    let all = addresses.iter().all(|address| there.contains(address));
    let none = !addresses.iter().any(|address| there.contains(address));
    let (done, undone) = match change.change {
        Change::Unassign => (none, all),
        Change::Assign => (all, none),
    };
    match (done, undone && proven) {
        (true, _) => Some(Outcome::Done),
        (false, true) => Some(Outcome::NotDone),
        (false, false) => None,
    }
}

/// Of an earlier run's writes on each address: which one is the newest, and how many have no outcome.
#[derive(Debug, Default)]
pub(super) struct Contests<'a> {
    on_addresses: HashMap<(&'a NicId, Ipv4Addr), Contest>,
    /// The writes after which a call that this program does not know may have changed the same vNIC.
    followed: HashSet<OperationId>,
    /// What such calls without an outcome may still change.
    open: Reach<'a>,
}

#[derive(Debug, Default)]
struct Contest {
    newest: Option<OperationId>,
    open: usize,
}

/// The vNICs that calls of unknown actions may change.
#[derive(Debug, Default)]
struct Reach<'a> {
    nics: HashSet<&'a str>,
    /// Some call names another resource than a vNIC, or none: it may change any vNIC.
    any: bool,
}

impl<'a> Reach<'a> {
    fn add(&mut self, call: &'a Call) {
        let ids = call.resources.iter().map(Resource::nic_id);
        self.any |= call.resources.is_empty() || ids.clone().any(|id| id.is_none());
        self.nics.extend(ids.flatten());
    }

    fn has(&self, nic: &NicId) -> bool {
        self.any || self.nics.contains(nic.as_str())
    }
}

impl<'a> Contests<'a> {
    /// Built from the newest writes, the newest first, and from those without an outcome.
    pub(super) fn among(newest: &'a [View], open: &'a [View]) -> Self {
        let mut this = Self::default();
        let mut later = Reach::default();
        for view in newest.iter().filter(|view| may_have_changed(view)) {
            match &view.change {
                None => later.add(&view.call),
                Some(change) => {
                    if later.has(&change.nic) {
                        this.followed.insert(view.id);
                    }
                    this.of(change, |contest| _ = contest.newest.get_or_insert(view.id));
                }
            }
        }
        for view in open {
            match &view.change {
                None => this.open.add(&view.call),
                Some(change) => this.of(change, |contest| contest.open += 1),
            }
        }
        this
    }

    fn of(&mut self, change: &'a ChangeIpv4, mut each: impl FnMut(&mut Contest)) {
        for address in change.addresses.as_slice() {
            each(self.on_addresses.entry((&change.nic, *address)).or_default());
        }
    }

    /// Whether another write may have changed one of its addresses since, or may still do so.
    pub(super) fn contested(&self, id: OperationId, change: &ChangeIpv4) -> bool {
        let on_address = |address: &Ipv4Addr| {
            let contest = self.on_addresses.get(&(&change.nic, *address));
            contest.is_none_or(|contest| contest.newest != Some(id) || contest.open > 1)
        };
        self.followed.contains(&id)
            || self.open.has(&change.nic)
            || change.addresses.as_slice().iter().any(on_address)
    }
}

/// Whether a write took place, or may have.
pub(super) fn may_have_changed(view: &View) -> bool {
    matches!(view.outcome, Outcome::Done | Outcome::Unknown | Outcome::Pending)
}

#[cfg(test)]
mod tests;
