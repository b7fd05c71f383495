//! A permitted write, from its intent to its outcome.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Done, LEAST_FOR_A_WRITE, RequestContext, cost, failure,
    guard::{Guard, Guards},
    idempotency::Claim,
    record::{self, Before},
    resolve::{CallProof, Evidence, Open, OpenCall, Resolver, asked_first},
    resource_guard::{ResourceGuard, ResourceGuards, Wanted},
    shield::Shield,
};
use crate::{
    domain::{ChangeIpv4, Nic, OperationId, Outcome, Resource, WriteCall},
    error::{Error, Problem, caught},
    journal::{Journal, Ticket},
    limit::{BreakerPass, BudgetKind, Budgets, Freeze, Reservation},
    metrics::Metrics,
    policy::Permit,
    telemetry::{Record, TraceParent},
    zec::{Failure, Sent, Writer, ZecBody},
};

/// The part of a write's time that is reserved for making its outcome durable.
const FOR_THE_RECORD: Duration = Duration::from_millis(250);

/// Everything that a write needs.
#[derive(Debug)]
pub(super) struct WritePath {
    pub(super) writer: Writer,
    pub(super) journal: Journal,
    pub(super) freeze: Freeze,
    pub(super) budgets: Budgets,
    pub(super) guards: Guards,
    pub(super) resources: ResourceGuards,
    pub(super) resolver: Resolver,
    pub(super) tasks: TaskTracker,
    /// Cancelled once no new write may begin.
    pub(super) fast_drain: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
}

/// The guard of a write.
#[derive(Debug)]
pub(super) enum HeldGuard {
    /// Of a change of a vNIC's addresses.
    Addresses(Guard),
    /// Of any other call, with what can prove that it was done.
    Resources(ResourceGuard, CallProof),
}

impl HeldGuard {
    /// Sets the operation id under which the journal records the write.
    fn name(&self, operation: Option<OperationId>) {
        match self {
            Self::Addresses(guard) => guard.name(operation),
            Self::Resources(guard, _) => guard.name(operation),
        }
    }

    const fn sends(&mut self) {
        match self {
            Self::Addresses(guard) => guard.sends(),
            Self::Resources(guard, _) => guard.sends(),
        }
    }

    fn release(self, changed: bool) {
        match self {
            Self::Addresses(guard) => guard.release(changed),
            Self::Resources(guard, _) => guard.release(changed),
        }
    }

    /// What can prove that the call was done.
    fn take_proof(&mut self) -> CallProof {
        match self {
            Self::Resources(_, proof) => std::mem::take(proof),
            Self::Addresses(_) => CallProof::default(),
        }
    }

    /// Whether what was read before the write may be stale.
    const fn may_be_stale(&self) -> bool {
        matches!(self, Self::Addresses(guard) if guard.may_be_stale())
    }

    fn evidence(&self, write: &WriteCall, nic: Option<&Nic>) -> Evidence {
        match (self, write.change()) {
            (Self::Addresses(guard), Some(change)) => {
                Evidence::from(change, nic, guard.may_be_stale(), guard.is_contested())
            }
            _ => Evidence::None,
        }
    }
}

/// What a write holds until its outcome is known.
#[derive(Debug)]
struct WriteHolds {
    guard: HeldGuard,
    reservation: Option<Reservation>,
    claim: Option<Box<Claim>>,
    zec: Arc<str>,
    evidence: Evidence,
}

impl WriteHolds {
    /// Records the operation id in the guard and the claim, for requests that arrive meanwhile. The write may
    /// be sent from now on.
    fn sends(&mut self, operation: Option<OperationId>) {
        self.guard.name(operation);
        self.guard.sends();
        if let Some(claim) = &self.claim {
            claim.name(operation);
        }
    }
}

impl WritePath {
    /// Holds the addresses of a change that the policy allows.
    ///
    /// # Errors
    /// 409 while an earlier write on one of them has no outcome, and 503 if no new write may begin.
    pub(super) fn hold(
        &self,
        change: &ChangeIpv4,
        context: RequestContext<'_>,
    ) -> Result<Guard, Error> {
        self.not_in_a_hurry()?;
        let now = Instant::now();
        let since = now.checked_sub(context.record.elapsed()).unwrap_or(now);
        let guard = self.guards.claim(change, context.caller.id(), since)?;
        // Looked at once the addresses are held: a call that comes now sees them.
        self.resources.free(&change.nic, context.caller.id())?;
        Ok(guard)
    }

    /// Holds the resources of a call that the policy allows.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub(super) fn hold_resources(&self, wanted: Wanted<'_>) -> Result<ResourceGuard, Error> {
        self.not_in_a_hurry()?;
        let guard = self.resources.claim(wanted)?;
        // Looked at once the resources are held: a change of addresses that comes now sees them.
        for nic in wanted.resources.iter().filter_map(Resource::nic_id) {
            self.guards.free(nic, wanted.caller)?;
        }
        Ok(guard)
    }

    /// Records the intent, sends, and records the outcome.
    ///
    /// # Errors
    /// Anything that kept it from being sent, ZEC's refusal, or an unknown outcome.
    pub(super) async fn write(
        self: &Arc<Self>,
        permit: Permit<WriteCall>,
        nic: Option<&Nic>,
        guard: HeldGuard,
        claim: Option<Box<Claim>>,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        // From here on a drain waits for this write, or the write does not begin.
        let _awaited = self.tasks.token();
        self.not_in_a_hurry()?;
        enough_time(context)?;
        // This comes before anything is recorded: a request that the breaker stops leaves no trace in the
        // journal.
        let pass =
            self.writer.admit(context.caller.id(), permit.operation(), context.reads_until).await;
        let pass = pass.map_err(|failure| failure::write_error(&failure))?;
        // The freeze file: the last check before the write is recorded and sent.
        self.freeze.check().await?;
        let write = permit.operation();
        let reserve = |(kind, count)| self.budgets.of(kind).reserve(context.caller.id(), count);
        let reservation = cost::of_write(write).map(reserve).transpose()?;
        let key = claim.as_deref().map(Claim::recorded);
        let before = Before { nic, stale: guard.may_be_stale(), zec: self.writer.identity() };
        let evidence = guard.evidence(write, nic);
        let (zec, mut unsent) = (Arc::clone(&before.zec), Unsent(reservation));
        let recording = record::begin(&self.journal, permit, before, key, context);
        // Boxed: this future is larger than all that follow, and has ended before they run.
        let begun = Box::pin(recording).await;
        match begun.and_then(|ticket| enough_time(context).map(|()| ticket)) {
            Ok(ticket) => {
                let holds =
                    WriteHolds { guard, reservation: unsent.0.take(), claim, zec, evidence };
                self.send(ticket, pass, holds, context).await
            }
            Err(error) => Err(error),
        }
    }

    /// Once a drain waits only for the writes in flight, no new write may begin.
    fn not_in_a_hurry(&self) -> Result<(), Error> {
        if !self.fast_drain.is_cancelled() {
            return Ok(());
        }
        let detail = "the gateway is stopping; nothing was sent, try again in a moment";
        Err(Error::new(Problem::Draining, detail))
    }

    /// Sends, and continues if the caller hangs up: that changes nothing (docs/threats.md, row 26).
    async fn send(
        self: &Arc<Self>,
        ticket: Ticket,
        pass: BreakerPass,
        mut holds: WriteHolds,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let operation = ticket.operation();
        holds.sends(operation);
        let write_path = Arc::clone(self);
        let (places, deadline) = (context.places.clone(), context.deadline);
        let (action, after) = (ticket.write().action(), context.record.elapsed());
        let tell = failure::of_a_write(ticket.write());
        let work = Box::pin(async move {
            let asked =
                SentWrite { operation, write: ticket.write().clone(), at: ticket.asked_at() };
            let sent = send_once(&write_path.writer, ticket, pass, deadline).await;
            write_path.settle(asked, &sent, holds, deadline).await;
            drop(places);
            sent
        });
        let record = Arc::clone(context.record);
        // The log gets the outcome even if no caller waits for it.
        let unheard = move |sent| log_unheard(&record, &sent);
        let sent = Shield::new(work, unheard, self.tasks.clone()).await;
        let request_id = sent.as_ref().ok().map(|sent| &sent.request_id);
        record::called(context.record, action, after, request_id, sent.as_ref().err());
        match sent {
            Ok(Sent { write, request_id, body, .. }) => {
                context.record.note(|facts| facts.zec_request_id = Some(request_id.clone()));
                Ok(match write.change().cloned() {
                    Some(change) => Done::Changed { change, request_id, operation },
                    None => Done::Answered { body: ZecBody::Whole(body), operation },
                })
            }
            Err(failure) => Err(record::named(&failure, operation, tell)),
        }
    }

    /// Records the outcome and releases what the write held. If the outcome is unknown, the search for it
    /// starts.
    async fn settle(
        &self,
        asked: SentWrite,
        sent: &Result<Sent, Failure>,
        holds: WriteHolds,
        deadline: Instant,
    ) {
        let SentWrite { operation, write, at } = asked;
        let outcome = record::end(&self.journal, (operation, &write), sent, deadline).await;
        // From now on only the journal holds the key.
        let WriteHolds { guard, reservation, claim: _, zec, evidence } = holds;
        match outcome {
            Outcome::Done => {
                if let Some((BudgetKind::Addresses, count)) = cost::of_write(&write) {
                    self.metrics.unassigned(count);
                }
                reservation.into_iter().for_each(Reservation::used);
                guard.release(true);
            }
            Outcome::Unknown | Outcome::Pending => match (write.change(), guard) {
                (Some(change), HeldGuard::Addresses(guard)) => {
                    self.resolver.take_on(Open {
                        operation,
                        change: change.clone(),
                        asked_at: at,
                        zec_time: self.resolver.reader.time(),
                        zec: Some(zec),
                        evidence,
                        guard,
                        reservation,
                    });
                }
                (_, mut guard) => {
                    let proof = guard.take_proof();
                    let asked_at = asked_first(at, self.resolver.reader.time());
                    let open = OpenCall { operation, proof, asked_at, zec };
                    self.resolver.look_for(open, || guard.release(true));
                }
            },
            Outcome::Rejected | Outcome::NotSent | Outcome::NotDone => {
                reservation.into_iter().for_each(Reservation::release);
                guard.release(false);
            }
        }
    }
}

/// The reservation for a write that is not sent yet. It is released if the write is never sent, also when the
/// caller hangs up.
struct Unsent(Option<Reservation>);

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Reservation::release);
    }
}

/// A write that was handed over to be sent.
struct SentWrite {
    operation: Option<OperationId>,
    write: WriteCall,
    /// When it was requested, by the gateway's clock.
    at: SystemTime,
}

/// Sends, and stops a little before `deadline`, so that the outcome can be recorded by then too.
async fn send_once(
    writer: &Writer,
    ticket: Ticket,
    pass: BreakerPass,
    deadline: Instant,
) -> Result<Sent, Failure> {
    let until = deadline.checked_sub(FOR_THE_RECORD).unwrap_or(deadline);
    to_its_end(pin!(writer.send(ticket, pass, until))).await
}

/// Waits for a send. If the send panics, the write may have been sent.
async fn to_its_end(
    sending: Pin<&mut impl Future<Output = Result<Sent, Failure>>>,
) -> Result<Sent, Failure> {
    let broke = || Err(Failure::NoAnswer("the sending task panicked".to_owned()));
    caught(sending).await.unwrap_or_else(broke)
}

/// Checks whether enough time is left to begin a write.
fn enough_time(context: RequestContext<'_>) -> Result<(), Error> {
    if context.deadline.saturating_duration_since(Instant::now()) >= LEAST_FOR_A_WRITE {
        return Ok(());
    }
    Err(Error::new(
        Problem::Overloaded,
        "too little time was left to send this; nothing was sent, try again",
    ))
}

/// Logs the outcome of a write whose caller has hung up.
fn log_unheard(record: &Record, sent: &Result<Sent, Failure>) {
    let facts = record.facts();
    let (action, nic, addresses) = facts.asked_fields();
    tracing::info!(
        request.id = record.request_id(),
        trace.id = record.trace().map(TraceParent::trace_id),
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

#[cfg(test)]
mod tests;
