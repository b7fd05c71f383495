//! From an operation to its outcome: read the vNIC, decide, check its state, send once.
//!
//! The places of what is yet to come are between `clear` and `record`: the budget; the resolving of
//! unknown outcomes comes after `send`.

mod failure;
mod judge;
mod operations;
mod preflight;
mod record;
mod rehearse;
mod select;

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use arc_swap::ArcSwap;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{
    domain::{Caller, Change, ChangeIpv4, Nic, NicId, Operation, OperationId, ReadNic, Selection},
    error::{Error, Problem},
    journal::{Journal, Ticket},
    limit::Freeze,
    metrics::Metrics,
    policy::{Engine, Permit},
    telemetry::Record,
    zec::{Failure, Reader, Sent, Writer},
};

#[cfg(fuzzing)]
pub(crate) use failure::of_a_write as door;
pub use failure::who;
use judge::Bench;
pub use operations::{Lookup, Seen, Wanted};
pub use preflight::Preflight;
pub use rehearse::Rehearsed;

/// A write starts only if at least this long is left for it: else the caller would be told that
/// nobody knows, where "nothing was sent" could be said.
const LEAST_FOR_A_WRITE: Duration = Duration::from_secs(1);

/// Performs operations.
#[derive(Debug)]
pub struct Executor {
    bench: Bench,
    writer: Writer,
    journal: Journal,
    writes: TaskTracker,
    freeze: Freeze,
    metrics: Arc<Metrics>,
}

/// What an executor is made of.
#[derive(Debug)]
pub struct Parts {
    /// Who may do what.
    pub policy: Arc<ArcSwap<Engine>>,
    /// Both halves of the client of ZEC.
    pub client: (Reader, Writer),
    /// What is looked at before a write.
    pub preflight: Preflight,
    /// The operators' brake on writes.
    pub freeze: Freeze,
    /// Where every write is recorded.
    pub journal: Journal,
    /// Tracks the writes that run, for a drain to wait for.
    pub writes: TaskTracker,
    /// What is counted.
    pub metrics: Arc<Metrics>,
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
    /// Every secondary address was to be taken off, and there is none.
    NothingToDo {
        /// The vNIC.
        nic: NicId,
        /// ZEC's id of the request that showed it.
        request_id: String,
    },
    /// What a change would have done.
    Rehearsed(Box<Rehearsed>),
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
    /// An executor.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { policy, client, preflight, freeze, journal, writes, metrics } = parts;
        let (reader, writer) = client;
        let bench = Bench { policy, reader, preflight, metrics: Arc::clone(&metrics) };
        Self { bench, writer, journal, writes, freeze, metrics }
    }

    /// Performs an operation, if the policy allows it.
    ///
    /// # Errors
    /// 403 where it does not, and whatever ZEC refuses or fails at.
    pub async fn perform(&self, operation: Operation, asking: Asking<'_>) -> Result<Done, Error> {
        match operation {
            Operation::Read(read) => self.read(read, asking).await,
            Operation::Change(selection) => self.change(selection, asking).await,
            Operation::DryRun(selection) => {
                let rehearsed = rehearse::rehearse(&self.bench.judge(asking), selection).await?;
                Ok(Done::Rehearsed(Box::new(rehearsed)))
            }
        }
    }

    async fn read(&self, read: ReadNic, asking: Asking<'_>) -> Result<Done, Error> {
        let (permit, nic, _) = self.bench.judge(asking).see(&read.nic).await?;
        Ok(show(permit, nic))
    }

    async fn change(&self, selection: Selection, asking: Asking<'_>) -> Result<Done, Error> {
        let judge = self.bench.judge(asking);
        let (change, nic) = match selection {
            Selection::Listed(change) => (change, None),
            Selection::All(all) => match select::everything(&judge, all).await? {
                select::All::These(change, nic) => (change, Some(nic)),
                select::All::Nothing { nic, request_id } => {
                    return Ok(Done::NothingToDo { nic: nic.id, request_id });
                }
            },
        };
        let (permit, nic) = judge.clear(change, nic, false).await?;
        enough_time(asking)?;
        // The operators' brake: the last look before the write is recorded and sent.
        self.freeze.check().await?;
        let ticket = record::begin(&self.journal, permit, nic.as_ref(), asking).await?;
        self.send(ticket, asking).await
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
