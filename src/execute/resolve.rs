//! Finding out what came of a write whose outcome is unknown, by looking at the vNIC.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use crate::{
    domain::{Change, ChangeIpv4, Nic, OperationId, Outcome},
    journal::{Ending, Journal, TICKET_LIFETIME, View},
    limit::Reservation,
    zec::Reader,
};

/// How long ZEC takes a signature, by its own clock (zec-api.md: timestamps within 5 minutes).
const SIGNATURE_LIFETIME: Duration = Duration::from_mins(5);

/// What is added for a change that shows late.
const MARGIN: Duration = Duration::from_mins(1);

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(30);

/// How often a vNIC is looked at, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Before the first look; each further wait is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// After this the write stays unknown. By then nothing can come of it any more.
    pub give_up: Duration,
    /// How long something may still come of a request, from the moment it was sent: "the address is
    /// still there" proves nothing before.
    pub proof: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(1),
            give_up: Duration::from_mins(15),
            proof: SIGNATURE_LIFETIME + MARGIN,
        }
    }
}

/// A write of which nobody knows what came of it.
#[derive(Debug)]
pub(super) struct Open {
    /// Under which id it is recorded; none without a journal.
    pub(super) operation: Option<OperationId>,
    pub(super) change: ChangeIpv4,
    /// The latest moment at which it can have been sent.
    pub(super) sent: SystemTime,
    /// Keeps others off its addresses.
    pub(super) guard: Guard,
    /// Its share of the caller's budget.
    pub(super) reservation: Option<Reservation>,
}

impl Open {
    /// A write of an earlier run.
    pub(super) fn of_earlier(view: View, guard: Guard) -> Self {
        Self {
            operation: Some(view.id),
            change: view.change,
            sent: view.started_at + TICKET_LIFETIME,
            guard,
            reservation: None,
        }
    }
}

/// Looks until it knows. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) reader: Reader,
    pub(super) journal: Journal,
    /// Set when the gateway begins to serve.
    pub(super) patience: Arc<OnceLock<Patience>>,
    /// Cancelled when the gateway stops: what is open then is taken up by the next start.
    pub(super) stop: CancellationToken,
}

impl Resolver {
    /// Takes a write on, in a task of its own.
    pub(super) fn take_on(&self, open: Open) {
        let (this, stop) = (Arc::new(self.clone()), self.stop.clone());
        tokio::spawn(async move { stop.run_until_cancelled_owned(this.resolve(open)).await });
    }

    async fn resolve(self: Arc<Self>, open: Open) {
        let patience = self.patience.get().copied().unwrap_or_default();
        let ago = SystemTime::now().duration_since(open.sent).unwrap_or_default();
        let begun = Instant::now();
        let mut wait = patience.first;
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(patience.longest);
            // Taken before the look: what is seen then was so once nothing could come any more.
            let looked = begun.elapsed();
            let found = self.reader.nic(&open.change.nic, Instant::now() + LOOK).await;
            // After it: the first answer of a run is what tells how far ZEC's clock is.
            let proven = ago + looked >= patience.proof + self.reader.clock_skew();
            match found {
                Ok(found) => {
                    let seen = verdict(&open.change, found.nic.as_deref(), proven);
                    if let Some(outcome) = seen {
                        return self.close(open, outcome).await;
                    }
                }
                Err(cause) => tracing::debug!(%cause, "an unknown outcome cannot be looked for"),
            }
            if proven && looked >= patience.give_up {
                return self.give_up(open).await;
            }
        }
    }

    /// What a crash left pending is unknown from now on: nothing runs any more.
    async fn give_up(&self, open: Open) {
        tracing::warn!(
            operation = open.operation.map(|id| id.to_string()),
            nic = %open.change.nic,
            "what came of a write stays unknown: the vNIC does not show it; nothing more can come of it"
        );
        self.record(open.operation, Ending::new(Outcome::Unknown)).await;
    }

    async fn record(&self, operation: Option<OperationId>, ending: Ending) {
        let Some(id) = operation else { return };
        if let Err(error) = self.journal.end(id, ending).await {
            tracing::error!(operation = %id, %error, "an outcome is recorded late");
        }
    }

    async fn close(&self, open: Open, outcome: Outcome) {
        tracing::info!(
            operation = open.operation.map(|id| id.to_string()),
            nic = %open.change.nic,
            outcome = outcome.label(),
            "the vNIC shows what came of a write"
        );
        let detail = Some("the vNIC was read and shows it".to_owned());
        self.record(open.operation, Ending { detail, ..Ending::new(outcome) }).await;
        if let (Outcome::NotDone, Some(reservation)) = (outcome, open.reservation) {
            reservation.release();
        }
        drop(open.guard);
    }
}

/// What a vNIC shows of a change; `proven` is whether nothing can come of it any more.
fn verdict(change: &ChangeIpv4, nic: Option<&Nic>, proven: bool) -> Option<Outcome> {
    let there = nic.map(Nic::ipv4s).unwrap_or_default();
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

#[cfg(test)]
mod tests;
