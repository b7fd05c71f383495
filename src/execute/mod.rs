//! From an operation to its outcome: read the vNIC where the policy needs it, decide, send once.
//!
//! The places of what is yet to come are between `decide` and `record`: pre-flight and budget; the
//! resolving of unknown outcomes comes after `send`.

mod failure;
mod record;

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use arc_swap::ArcSwap;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{
    domain::{Action, Caller, Change, ChangeIpv4, Nic, NicId, Operation, OperationId, ReadNic},
    error::{Error, Problem},
    journal::{Journal, Ticket},
    metrics::{Decision, Metrics},
    policy::{Ask, Denial, Denied, Engine, Permit, Verdict},
    telemetry::Record,
    zec::{Failure, Reader, Sent, Writer},
};

#[cfg(fuzzing)]
pub(crate) use failure::of_a_write as door;
pub use failure::who;

/// A write starts only if at least this long is left for it: else the caller would be told that
/// nobody knows, where "nothing was sent" could be said.
const LEAST_FOR_A_WRITE: Duration = Duration::from_secs(1);

/// Performs operations.
#[derive(Debug)]
pub struct Executor {
    policy: Arc<ArcSwap<Engine>>,
    reader: Reader,
    writer: Writer,
    journal: Journal,
    writes: TaskTracker,
    metrics: Arc<Metrics>,
}

/// What an operation gave.
#[derive(Debug)]
pub enum Done {
    /// A vNIC, for a read.
    Nic(Box<Nic>),
    /// A change that ZEC says is done.
    Changed {
        /// What was done.
        change: ChangeIpv4,
        /// ZEC's id of the request.
        request_id: String,
        /// Under which id it is recorded; none without a journal.
        operation: Option<OperationId>,
    },
}

/// Who asks, until when an answer is worth having, and where it is written down.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// Until when.
    pub deadline: Instant,
    /// Where.
    pub record: &'a Arc<Record>,
}

impl Executor {
    /// An executor; `writes` tracks the writes that run, for a drain to wait for.
    #[must_use]
    pub fn new(
        policy: Arc<ArcSwap<Engine>>,
        (reader, writer): (Reader, Writer),
        journal: Journal,
        writes: TaskTracker,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { policy, reader, writer, journal, writes, metrics }
    }

    /// Performs an operation, if the policy allows it.
    ///
    /// # Errors
    /// 403 where it does not, and whatever ZEC refuses or fails at.
    pub async fn perform(&self, operation: Operation, asking: Asking<'_>) -> Result<Done, Error> {
        match operation {
            Operation::Read(read) => self.read(read, asking).await,
            Operation::Change(change) => self.change(change, asking).await,
        }
    }

    async fn read(&self, read: ReadNic, asking: Asking<'_>) -> Result<Done, Error> {
        let id = read.nic.clone();
        let (permit, nic) = self.permit(read, asking).await?;
        let nic = match nic {
            Some(nic) => nic,
            None => self.look(&id, asking).await?.ok_or_else(|| failure::no_such_nic(&id))?,
        };
        Ok(show(permit, nic))
    }

    async fn change(&self, change: ChangeIpv4, asking: Asking<'_>) -> Result<Done, Error> {
        let (permit, nic) = self.permit(change, asking).await?;
        enough_time(asking)?;
        let ticket = record::begin(&self.journal, permit, nic.as_ref(), asking).await?;
        self.send(ticket, asking).await
    }

    /// Has the policy decide, on the vNIC if it must be looked at; that one comes back too, so
    /// that what is decided on is what is shown.
    async fn permit<O: Ask>(
        &self,
        operation: O,
        asking: Asking<'_>,
    ) -> Result<(Permit<O>, Option<Nic>), Error> {
        let engine = self.policy.load_full();
        let (id, action) = (operation.nic().clone(), operation.action());
        let decided = match engine.ask(asking.caller, operation) {
            Verdict::Allowed(permit) => Ok((permit, None)),
            Verdict::Denied(denial) => Err(denial),
            Verdict::DependsOnNic(pending) => match self.look(&id, asking).await? {
                None => return Err(self.absent(&engine, &id, &pending.into_operation(), asking)),
                Some(nic) => {
                    engine.decide(asking.caller, pending, &nic).map(|permit| (permit, Some(nic)))
                }
            },
        };
        let (permit, nic) = decided.map_err(|denial| self.denied(&id, action, &denial, asking))?;
        self.metrics.decided(action, Decision::Allow);
        asking.record.note(|facts| {
            facts.decision = Some("allow");
            facts.policies = permit.policies().to_vec();
        });
        Ok((permit, nic))
    }

    /// Sends a write in a task of its own: a caller who hangs up changes nothing (threats, row
    /// 26).
    async fn send(&self, ticket: Ticket, asking: Asking<'_>) -> Result<Done, Error> {
        enough_time(asking)?;
        let (deadline, operation) = (asking.deadline, ticket.operation());
        let (writer, journal) = (self.writer.clone(), self.journal.clone());
        let metrics = Arc::clone(&self.metrics);
        let (tell, told) = oneshot::channel();
        let record = Arc::clone(asking.record);
        let started = StdInstant::now();
        self.writes.spawn(async move {
            let sent = writer.send(ticket, deadline).await;
            if let Ok(Sent { change, .. }) = &sent
                && change.change == Change::Unassign
            {
                metrics.unassigned(change.addresses.as_slice().len());
            }
            record::end(&journal, operation, &sent).await;
            // What happened can be told, also where nobody waits for it any more.
            if let Err(sent) = tell.send(sent) {
                log_unheard(&record, &sent);
            }
        });
        let sent = told.await.map_err(|_| {
            Error::new(
                Problem::Internal,
                "the write's task broke: look at the vNIC before you repeat it",
            )
        })?;
        asking.record.note(|facts| facts.zec_took += started.elapsed());
        match sent {
            Ok(Sent { change, request_id }) => {
                asking.record.note(|facts| facts.zec_request_id = Some(request_id.clone()));
                Ok(Done::Changed { change, request_id, operation })
            }
            Err(failure) => Err(record::named(failure, operation)),
        }
    }

    async fn look(&self, id: &NicId, asking: Asking<'_>) -> Result<Option<Nic>, Error> {
        let started = StdInstant::now();
        let found = self.reader.nic(id, asking.deadline).await;
        asking.record.note(|facts| facts.zec_took += started.elapsed());
        match found {
            Ok(found) => {
                asking.record.note(|facts| facts.zec_request_id = Some(found.request_id));
                Ok(found.nic)
            }
            Err(failure) => Err(failure::of_a_read(failure)),
        }
    }

    /// There is no such vNIC: for those to know who may see it, a denial for all others.
    fn absent<O: Ask>(
        &self,
        engine: &Engine,
        id: &NicId,
        operation: &O,
        asking: Asking<'_>,
    ) -> Error {
        if engine.may_learn_of_absence(asking.caller, ReadNic { nic: id.clone() }) {
            failure::no_such_nic(id)
        } else {
            self.denied(id, operation.action(), &unread(operation), asking)
        }
    }

    fn denied(&self, nic: &NicId, action: Action, denial: &Denial, asking: Asking<'_>) -> Error {
        let decision = if denial.is_error() { Decision::Error } else { Decision::Deny };
        self.metrics.decided(action, decision);
        asking.record.note(|facts| {
            facts.decision = Some(decision.label());
            let all = denial.denied.iter().flat_map(|one| one.policies.iter().chain(&one.failed));
            facts.policies = all.map(|reason| reason.id.clone()).collect();
            facts.policies.sort_unstable();
            facts.policies.dedup();
        });
        failure::denied(asking.caller, nic, denial)
    }
}

/// Looks whether a write may still be begun.
fn enough_time(asking: Asking<'_>) -> Result<(), Error> {
    if asking.deadline.saturating_duration_since(Instant::now()) >= LEAST_FOR_A_WRITE {
        return Ok(());
    }
    Err(Error::new(
        Problem::Overloaded,
        "too little time was left to send this; nothing was sent, try again",
    ))
}

/// The outcome of a write whose caller has hung up.
fn log_unheard(record: &Record, sent: &Result<Sent, Failure>) {
    let facts = record.facts();
    let (action, nic, addresses) = facts.asked_fields();
    tracing::info!(
        request.id = record.request_id(),
        caller = facts.caller,
        action,
        nic,
        addresses,
        policies = facts.policies.join(" "),
        done = sent.is_ok(),
        cause = sent.as_ref().err().map(ToString::to_string),
        zec.request_id = sent.as_ref().ok().map(|sent| sent.request_id.as_str()),
        "a write ended after its caller had hung up",
    );
}

/// A vNIC may be shown to whoever has a permit to see it.
fn show(permit: Permit<ReadNic>, nic: Nic) -> Done {
    debug_assert_eq!(permit.operation().nic, nic.id);
    let _ = permit.spend();
    Done::Nic(Box::new(nic))
}

/// The denial of an operation whose vNIC could not be looked at because there is none.
fn unread<O: Ask>(operation: &O) -> Denial {
    let entry = |address| Denied { address, policies: Vec::new(), failed: Vec::new() };
    let addresses = operation.addresses();
    let denied = if addresses.is_empty() {
        vec![entry(None)]
    } else {
        addresses.iter().map(|address| entry(Some(*address))).collect()
    };
    Denial { denied }
}
