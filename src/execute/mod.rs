//! From an operation to its outcome: read the vNIC, decide, check its state, send once.
//!
//! `judge` decides, `write` takes it from the intent to the outcome, `resolve` finds out what nobody
//! knows.

mod failure;
mod guard;
mod idempotency;
mod judge;
mod operations;
mod preflight;
mod record;
mod rehearse;
mod resolve;
mod select;
mod shadow;
mod shield;
mod write;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    domain::{
        Caller, ChangeIpv4, IdempotencyKey, NicId, Operation, OperationId, ReadNic, Selection,
    },
    error::{Error, Problem},
    journal::{Journal, View},
    limit::{Budget, ConcurrencySlots, Freeze},
    metrics::Metrics,
    policy::{Engine, Shown},
    telemetry::Record,
    zec::{Reader, Writer},
};

pub use failure::who;
#[cfg(fuzzing)]
pub(crate) use failure::write_error as fuzz_entry;
use guard::Guards;
use idempotency::{ClaimResult, Claims};
use judge::Decider;
pub use operations::{Lookup, LookupResult};
pub use preflight::{EipCheck, Preflight};
pub use rehearse::Rehearsed;
pub use resolve::Patience;
use resolve::{Resolver, Turns};
pub use shadow::Shadow;
use write::WritePath;

/// A write starts only if at least this long is left for it: else the caller would be told that
/// nobody knows, where "nothing was sent" could be said.
const LEAST_FOR_A_WRITE: Duration = Duration::from_secs(1);

/// Performs operations.
#[derive(Debug)]
pub struct Executor {
    decider: Decider,
    write_path: Arc<WritePath>,
}

/// What an executor is made of.
#[derive(Debug)]
pub struct ExecutorParts {
    /// Who may do what.
    pub policy: Arc<ArcSwap<Engine>>,
    /// A policy that is tried out beside it.
    pub shadow: Option<Shadow>,
    /// Both halves of the client of ZEC.
    pub client: (Reader, Writer),
    /// What is looked at before a write.
    pub preflight: Preflight,
    /// The operators' brake on writes.
    pub freeze: Freeze,
    /// How many addresses each caller may take off.
    pub budget: Budget,
    /// Where every write is recorded.
    pub journal: Journal,
    /// Cancelled when the gateway stops looking for them.
    pub stop: CancellationToken,
    /// Cancelled when no write is to be begun any more.
    pub fast_drain: CancellationToken,
    /// Tracks the writes that run, for a drain to wait for.
    pub writes: TaskTracker,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// What an operation gave.
#[derive(Debug)]
pub enum Done {
    /// A vNIC, for a read.
    Nic(Shown),
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
    /// What an earlier request under the same key gave.
    Replayed(Box<Done>),
    /// What a change would have done.
    Rehearsed(Box<Rehearsed>),
}

/// Who asks, until when an answer is worth having, and where it is written down.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// What the request takes up of the limits; a write it begins holds it too.
    pub places: &'a ConcurrencySlots,
    /// Until when.
    pub deadline: Instant,
    /// Where.
    pub record: &'a Arc<Record>,
}

impl Executor {
    /// An executor.
    #[must_use]
    pub fn new(parts: ExecutorParts) -> Self {
        let ExecutorParts { policy, shadow, client: (reader, writer), preflight, metrics, .. } =
            parts;
        let resolver = Resolver {
            reader: reader.clone(),
            journal: parts.journal.clone(),
            patience: Arc::default(),
            turns: Turns::default(),
            stop: parts.stop,
            metrics: Arc::clone(&metrics),
        };
        let write_path = WritePath {
            writer,
            journal: parts.journal,
            freeze: parts.freeze,
            budget: parts.budget,
            guards: Guards::default(),
            claims: Claims::default(),
            resolver,
            tasks: parts.writes,
            fast_drain: parts.fast_drain,
            metrics: Arc::clone(&metrics),
        };
        let decider = Decider { policy, shadow, reader, preflight, metrics };
        Self { decider, write_path: Arc::new(write_path) }
    }

    /// Performs an operation, if the policy allows it.
    ///
    /// # Errors
    /// 403 where it does not, and whatever ZEC refuses or fails at.
    pub async fn perform(
        &self,
        operation: Operation,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        match operation {
            Operation::Read(read) => self.read(read, context).await,
            Operation::Change(selection, key) => self.change(selection, key, context).await,
            Operation::DryRun(selection) => {
                let rehearsed = rehearse::rehearse(
                    &self.decider.judge(context),
                    selection,
                    &self.write_path.budget,
                )
                .await?;
                Ok(Done::Rehearsed(Box::new(rehearsed)))
            }
        }
    }

    async fn read(&self, read: ReadNic, context: RequestContext<'_>) -> Result<Done, Error> {
        let (permit, nic, _) = self.decider.judge(context).see(&read.nic).await?;
        let shown = permit.show(nic).map_err(|error| {
            Error::new(Problem::Internal, "the gateway read another vNIC than it decided on")
                .with_cause(error)
        })?;
        Ok(Done::Nic(shown))
    }

    async fn change(
        &self,
        selection: Selection,
        key: Option<IdempotencyKey>,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let judge = self.decider.judge(context);
        // What few requests need is boxed: all would pay for its room.
        let claim = match key {
            None => None,
            Some(key) => match Box::pin(self.claim(&judge, key, &selection)).await? {
                ClaimResult::Claimed(claim) => Some(claim),
                ClaimResult::Answered(done) => return Ok(done),
            },
        };
        let (change, nic) = match selection {
            Selection::Listed(change) => (change, None),
            Selection::All(all) => match Box::pin(select::everything(&judge, all)).await? {
                select::All::These(change, nic) => (change, Some(nic)),
                select::All::Nothing { nic, request_id } => {
                    if let Some(claim) = &claim {
                        let kept = self.keep(claim, &nic.id, &request_id, context.deadline);
                        Box::pin(kept).await?;
                    }
                    return Ok(Done::NothingToDo { nic: nic.id, request_id });
                }
            },
        };
        // Held before the state is judged, which an earlier write may be changing.
        let hold = |change: &ChangeIpv4| self.write_path.hold(change, context);
        let (permit, nic, guard) = judge.clear(change, nic, false, hold).await?;
        let asked = permit.operation().clone();
        let done = self.write_path.write(permit, nic.as_deref(), guard, claim, context).await;
        done.map_err(|error| judge.hide(&asked, error))
    }

    /// Takes up what earlier runs left, before anything new is begun: callers' budgets, and the
    /// writes without an outcome.
    ///
    /// `patience` is how long unknown outcomes are looked for, from now on.
    pub async fn resume(&self, unfinished: Vec<View>, patience: Patience) {
        // Set once: a gateway begins to serve once.
        let _ = self.write_path.resolver.patience.set(patience);
        self.write_path.resume(unfinished).await;
    }
}
