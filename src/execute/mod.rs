//! From an operation to its outcome: read the vNIC, decide, check its state, send once.
//!
//! `judge` decides, `write` takes a permitted write from the intent to the outcome, and `resolve` finds out
//! unknown outcomes.

mod call;
mod cost;
mod failure;
mod find;
mod guard;
mod idempotency;
mod judge;
mod operations;
mod preflight;
mod readings;
mod record;
mod rehearse;
mod resolve;
mod resource_guard;
mod resume;
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
        ActionCall, Caller, ChangeIpv4, IdempotencyKey, NicId, Operation, OperationId, ReadNic,
        Selection,
    },
    error::{Error, Problem},
    journal::{Journal, View},
    limit::{BudgetKind, Budgets, ConcurrencySlots, Freeze, Live},
    metrics::Metrics,
    policy::{Engine, Shown},
    telemetry::Record,
    zec::{Reader, Writer},
};

pub use crate::{
    policy::Via,
    zec::{BrokenOff, LongAnswer, Piece, ZecBody},
};
#[cfg(fuzzing)]
pub(crate) use failure::write_error as fuzz_entry;
pub use find::FoundNics;
use guard::Guards;
use idempotency::{ClaimResult, IdempotencyKeys, Keyed};
use judge::Decider;
use operations::OperationsReader;
pub use operations::{Lookup, LookupResult};
pub use preflight::{EipCheck, Preflight};
pub use rehearse::Rehearsed;
pub use resolve::Patience;
use resolve::{Resolver, Turns};
use resource_guard::ResourceGuards;
pub use shadow::Shadow;
use write::{HeldGuard, WritePath};

/// Further reads of a request start only if at least this much time is left for them.
const LEAST_FOR_A_READ: Duration = Duration::from_secs(1);

/// A write starts only if at least this much time is left before its deadline. With less, the caller could
/// get "outcome unknown" where "nothing was sent" is possible.
const LEAST_FOR_A_WRITE: Duration = Duration::from_secs(1);

/// Performs operations.
#[derive(Debug)]
pub struct Executor {
    decider: Decider,
    keys: IdempotencyKeys,
    write_path: Arc<WritePath>,
}

/// The parts of an executor.
#[derive(Debug)]
pub struct ExecutorParts {
    /// The live policy.
    pub policy: Arc<ArcSwap<Engine>>,
    /// A shadow policy, tried out beside the live one.
    pub shadow: Option<Shadow>,
    /// Both halves of the client of ZEC.
    pub client: (Reader, Writer),
    /// The check of the vNIC's state before a write.
    pub preflight: Preflight,
    /// The limits, for the rate at which each caller's requests lead to reads.
    pub limits: Live,
    /// The freeze file, with which operators stop writes.
    pub freeze: Freeze,
    /// How much each caller may remove per hour.
    pub budgets: Budgets,
    /// The journal that records every write.
    pub journal: Journal,
    /// Cancelled when the gateway stops looking for unknown outcomes.
    pub stop: CancellationToken,
    /// Cancelled when no new write may begin.
    pub fast_drain: CancellationToken,
    /// Tracks the writes in flight, so that a drain can wait for them.
    pub writes: TaskTracker,
    /// The metrics that decisions, writes and unknown outcomes update.
    pub metrics: Arc<Metrics>,
}

/// The result of an operation.
#[derive(Debug)]
pub enum Done {
    /// The vNIC that a read shows.
    Nic(Shown),
    /// The vNICs that a search found.
    Found(FoundNics),
    /// A change that ZEC reports as done.
    Changed {
        /// The change, with the addresses that were sent.
        change: ChangeIpv4,
        /// ZEC's id of the request.
        request_id: String,
        /// The operation id in the journal; `None` without a journal.
        operation: Option<OperationId>,
    },
    /// All secondary addresses were to be removed, and the vNIC has none.
    NothingToDo {
        /// The vNIC's id.
        nic: NicId,
        /// ZEC's id of the request that read the vNIC.
        request_id: String,
    },
    /// The result of an earlier request under the same key.
    Replayed(Box<Done>),
    /// What a change would do, from a dry run.
    Rehearsed(Box<Rehearsed>),
    /// ZEC's answer to a call of any other action.
    Answered {
        /// The answer, byte for byte.
        body: ZecBody,
        /// The operation id in the journal; `None` for a read, and without a journal.
        operation: Option<OperationId>,
    },
    /// A call that would be made, from a dry run.
    CallRehearsed(Box<ActionCall>),
}

/// The caller, the deadline and the log record of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The verified caller.
    pub caller: &'a Caller,
    /// The form of the request.
    pub via: Via,
    /// The concurrency slots that the request occupies. A write that it starts holds them too.
    pub places: &'a ConcurrencySlots,
    /// When the request's time is up.
    pub deadline: Instant,
    /// When a read must be answered, and what a write needs must have been read. Some clients wait no longer.
    pub reads_until: Instant,
    /// Whether a long answer may be passed on piece by piece. HTTP/1.0 cannot show that an answer broke off.
    pub in_pieces: bool,
    /// The request's log record.
    pub record: &'a Arc<Record>,
}

impl RequestContext<'_> {
    /// Counts further reads for the same request as a request of its caller, and waits until the caller may make them. So a
    /// request that needs many reads costs its caller as much as several requests.
    ///
    /// # Errors
    /// 429 `rate-limited` if that would be after the reads must have been answered.
    async fn count_further_reads(&self, limits: &Live) -> Result<(), Error> {
        // The reads themselves need time too.
        let until = self.reads_until.checked_sub(LEAST_FOR_A_READ).unwrap_or(self.reads_until);
        let waited = limits.wait_for_turn(self.caller.id(), until).await;
        waited.map_err(|error| {
            let wait = error.retry_after().unwrap_or(1);
            let detail = format!(
                "the request needs more reads at ZEC than `limits.requests_per_second` allows you now: \
                 nothing was changed, try again in {wait} s"
            );
            Error::new(Problem::RateLimited, detail).with_retry_after(wait)
        })
    }
}

impl Executor {
    /// Makes an executor of its parts.
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
        let keys = IdempotencyKeys::new(parts.journal.clone());
        let write_path = WritePath {
            writer,
            journal: parts.journal,
            freeze: parts.freeze,
            budgets: parts.budgets,
            guards: Guards::default(),
            resources: ResourceGuards::default(),
            resolver,
            tasks: parts.writes,
            fast_drain: parts.fast_drain,
            metrics: Arc::clone(&metrics),
        };
        let limits = parts.limits;
        let decider = Decider { policy, shadow, reader, preflight, limits, metrics };
        Self { decider, keys, write_path: Arc::new(write_path) }
    }

    /// Performs an operation, if the policy allows it.
    ///
    /// # Errors
    /// 403 if the policy denies it, and any refusal or failure of ZEC.
    pub async fn perform(
        &self,
        operation: Operation,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        match operation {
            Operation::Read(read) => self.read(read, context).await,
            Operation::Find(find) => Box::pin(self.find(*find, context)).await,
            Operation::Change(selection, key) => self.change(selection, key, context).await,
            // Boxed, so that the other operations do not pay for its size.
            Operation::Call(call, key) => Box::pin(self.call(*call, key, context)).await,
            Operation::DryRunCall(call) => Box::pin(self.rehearse_call(call, context)).await,
            Operation::DryRun(selection) => {
                let rehearsed = rehearse::rehearse(
                    &self.decider.judge(context),
                    selection,
                    self.write_path.budgets.of(BudgetKind::Addresses),
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
        let claim = match self.keys.claim(&judge, key, Keyed::Change(&selection)).await? {
            ClaimResult::Claimed(claim) => claim,
            ClaimResult::Answered(done) => return Ok(done),
        };
        // Only a few requests need the futures below. They are boxed, because otherwise every request would
        // pay for their size.
        let (change, nic) = match selection {
            Selection::Listed(change) => (change, None),
            Selection::All(all) => match Box::pin(select::everything(&judge, all)).await? {
                select::All::These(change, nic) => (change, Some(nic)),
                select::All::Nothing { nic, request_id } => {
                    if let Some(claim) = &claim {
                        let deadline = context.deadline;
                        let kept =
                            self.keys.keep_nothing_to_do(claim, &nic.id, &request_id, deadline);
                        Box::pin(kept).await?;
                    }
                    return Ok(Done::NothingToDo { nic: nic.id, request_id });
                }
            },
        };
        // The guard is taken before the state is checked, because an earlier write may be changing that
        // state.
        let hold = |change: &ChangeIpv4| self.write_path.hold(change, context);
        let (permit, nic, guard) = judge.clear(change, nic, false, hold).await?;
        let asked = permit.operation().clone();
        let guard = HeldGuard::Addresses(guard);
        let permit = permit.into_write().map_err(failure::broken_catalogue)?;
        let done = self.write_path.write(permit, nic.as_deref(), guard, claim, context).await;
        done.map_err(|error| judge.hide(&asked, error))
    }

    /// Looks up recorded writes. Callers see their own, and those of all callers if the policy allows them
    /// `ReadOperations`.
    ///
    /// # Errors
    /// 404 if there is no such operation that the caller may see, or no journal; 503 if the journal cannot be
    /// read.
    pub async fn look_up(
        &self,
        lookup: Lookup,
        context: RequestContext<'_>,
    ) -> Result<LookupResult, Error> {
        let judge = self.decider.judge(context);
        let journal = &self.write_path.journal;
        OperationsReader { journal, judge, context }.look_up(lookup).await
    }

    /// Takes over what earlier runs left behind, before any new write begins: callers' budgets, and the
    /// writes without an outcome.
    ///
    /// `patience` is how long the gateway looks for unknown outcomes, counted from now.
    pub async fn resume(&self, unfinished: Vec<View>, patience: Patience) {
        // This runs once: a gateway begins to serve only once.
        let _ = self.write_path.resolver.patience.set(patience);
        self.write_path.resume(unfinished).await;
    }
}
