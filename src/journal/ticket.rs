//! The ticket that lets one recorded write be sent, once and soon.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::queue::Receipt;
use crate::{
    clock,
    domain::{OperationId, WriteCall},
    policy::Permit,
};

/// How long a caller waits for a record to be durable.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long a ticket can be spent: if the decision and its record are older, nothing is sent.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(5);

/// A signature's time is at most this long after its write was requested (`startedAt`): the wait for the
/// record, then the ticket's lifetime. A monotonic clock measures it.
pub const SIGNED_WITHIN: Duration = PATIENCE.saturating_add(TICKET_LIFETIME);

/// Shows that the intent of a permitted change is durable. So the change may be sent, once and soon.
///
/// If a ticket is dropped instead of spent, the write is recorded as not sent.
#[derive(Debug)]
#[must_use = "a ticket that is not spent is recorded as not sent"]
pub struct Ticket(Box<Inner>); // each future that it is handed to holds it twice

#[derive(Debug)]
struct Inner {
    permit: Permit<WriteCall>,
    receipt: Option<Receipt>,
    asked: AskedAt,
    made: Instant,
}

/// When a write was requested: by the wall clock, and by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedAt {
    pub(super) at: SystemTime,
    since: Instant,
}

impl AskedAt {
    pub(super) fn now() -> Self {
        Self { at: clock::now(), since: Instant::now() }
    }
}

/// What a spent ticket allows to be sent, at once.
#[derive(Debug)]
pub struct Spent {
    /// The write to send.
    pub write: WriteCall,
    /// The time that the signature must bear. It is the time at which the ticket was spent, not a later one.
    /// If the process is stopped before it sends, ZEC refuses the old signature.
    pub signed_at: SystemTime,
}

/// The ticket is older than [`TICKET_LIFETIME`]; nothing may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decision and its record are too old to be acted upon")]
pub struct TooOld;

impl Ticket {
    /// `receipt` is `None` without a journal.
    pub(super) fn new(permit: Permit<WriteCall>, receipt: Option<Receipt>, asked: AskedAt) -> Self {
        Self(Box::new(Inner { permit, receipt, asked, made: Instant::now() }))
    }

    /// When the write was requested, as its record says.
    #[must_use]
    pub fn asked_at(&self) -> SystemTime {
        self.0.asked.at
    }

    /// The operation id in the journal; `None` without a journal.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        self.0.receipt.as_ref().map(Receipt::id)
    }

    /// The write that may be sent.
    #[must_use]
    pub fn write(&self) -> &WriteCall {
        self.0.permit.operation()
    }

    /// The ids of the policies that allow it, in alphabetical order.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        self.0.permit.policies()
    }

    /// Spends the ticket.
    ///
    /// # Errors
    /// When it is older than [`TICKET_LIFETIME`]. The write is then recorded as not sent.
    pub fn spend(self) -> Result<Spent, TooOld> {
        let Inner { permit, receipt, asked, made } = *self.0;
        let now = Instant::now();
        if now.saturating_duration_since(made) > TICKET_LIFETIME {
            return Err(TooOld);
        }
        if let Some(receipt) = receipt {
            receipt.accept();
        }
        // Not the clock's present time, because the clock may have been set meanwhile.
        let signed_at = asked.at + now.saturating_duration_since(asked.since);
        Ok(Spent { write: permit.spend(), signed_at })
    }
}
