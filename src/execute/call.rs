//! Calls of any action: decided on every resource that they name, then sent.

use super::{
    Done, Executor, RequestContext, cost, failure,
    idempotency::{Claim, ClaimResult, Keyed},
    judge::Judge,
    preflight::unprotected,
    readings::{self, Readings},
    record,
    resolve::CallProof,
    resource_guard::Wanted,
    write::HeldGuard,
};
use crate::{
    catalogue::Proof,
    domain::{ActionCall, CallRehearsal, IdempotencyKey, Resource, Target},
    error::{Error, Problem},
    policy::{AuthorizationRequest, Permit, ResourceData, Verdict},
};

impl Executor {
    /// Makes a call of any action, if the policy allows it on everything that it names.
    pub(super) async fn call(
        &self,
        call: ActionCall,
        key: Option<IdempotencyKey>,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let judge = self.decider.judge(context);
        let claim = match self.keys.claim(&judge, key, Keyed::Call(&call)).await? {
            ClaimResult::Claimed(claim) => claim,
            ClaimResult::Answered(done) => return Ok(done),
        };
        let (permit, readings) = judge.clear_call(call).await?;
        if permit.operation().row().effect.is_change() {
            self.write_call(&judge, permit, readings, claim, context).await
        } else {
            self.read_call(permit, context).await
        }
    }

    /// Says whether a call would be made: it is decided, and its resources are checked.
    pub(super) async fn rehearse_call(
        &self,
        call: CallRehearsal,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let judge = self.decider.judge(context);
        let (permit, readings) = judge.clear_call(call).await?;
        let CallRehearsal(mut call) = permit.spend();
        if call.row().effect.is_change()
            && let Some(readings) = judge.check_tags(&call, readings).await?
        {
            call.narrow(|resource| readings.shows(resource));
        }
        if let Some((kind, count)) = cost::of_call(&call) {
            self.write_path.budgets.of(kind).look(context.caller.id(), count)?;
        }
        Ok(Done::CallRehearsed(call))
    }

    async fn read_call(
        &self,
        permit: Permit<ActionCall>,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let call = permit.spend();
        let (record, after) = (context.record, context.record.elapsed());
        let caller = context.caller.id();
        let (until, ends_at) = (context.reads_until, context.in_pieces.then_some(context.deadline));
        let answered = Box::pin(self.decider.reader.call(caller, &call, until, ends_at)).await;
        let request_id = answered.as_ref().ok().map(|answered| &answered.request_id);
        record::called(record, call.action(), after, request_id, answered.as_ref().err());
        let answered = answered.map_err(|failure| failure::of_a_read(&failure))?;
        record.note(|facts| facts.zec_request_id = Some(answered.request_id));
        Ok(Done::Answered { body: answered.body, operation: None })
    }

    async fn write_call(
        &self,
        judge: &Judge<'_>,
        permit: Permit<ActionCall>,
        readings: Option<Readings>,
        claim: Option<Box<Claim>>,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let call = permit.operation();
        let resources: Vec<Resource> = call.resources().cloned().collect();
        let wanted = Wanted {
            action: call.action(),
            row: Some(call.row()),
            resources: &resources,
            caller: context.caller.id(),
        };
        // The guard is taken before the tags are read, because an earlier call may be changing them.
        let guard = self.write_path.hold_resources(wanted)?;
        // What was read for the decision is older. It does not say whether the resources were still there.
        let readings = readings.filter(|_| call.row().proof == Proof::Nothing);
        let readings = judge.check_tags(call, readings).await?;
        let shows = |resource: &Resource| readings.as_ref().is_some_and(|all| all.shows(resource));
        let before = |resource: &Resource| readings.as_ref()?.shown(resource);
        let proof = if guard.is_after_another() {
            CallProof::default()
        } else {
            CallProof::of(call, before)
        };
        let permit = if readings.is_some() { permit.narrow(shows) } else { permit };
        let permit = permit.into_write().map_err(|error| {
            Error::new(Problem::Internal, "a read was taken for a write").with_cause(error)
        })?;
        self.write_path
            .write(permit, None, HeldGuard::Resources(guard, proof), claim, context)
            .await
    }
}

impl Judge<'_> {
    /// Checks that no resource of a write is protected, if the pre-flight is on. Returns the resources if they were read.
    async fn check_tags(
        &self,
        call: &ActionCall,
        readings: Option<Readings>,
    ) -> Result<Option<Readings>, Error> {
        if !self.checks_before_writes() {
            return Ok(readings);
        }
        let readings = if let Some(readings) = readings {
            readings
        } else {
            readings::read((self.reader(), self.limits()), call, self.context).await?
        };
        for target in call.targets() {
            let Target::OneOf(resources) = target else { continue };
            let shown = || resources.iter().filter(|resource| readings.shows(resource));
            for resource in shown() {
                if let Some(tags) = readings.tags.get(resource) {
                    unprotected(resource, tags)?;
                }
            }
            let must_be_shown = |resource: &&Resource| {
                call.row().changes(&resource.kind) && Readings::shows_tags(resource)
            };
            if let (None, Some(resource)) = (shown().next(), resources.iter().find(must_be_shown)) {
                return Err(match resources.as_slice() {
                    [_] => not_shown(resource),
                    _ => not_shown(&Resource::of_unsaid_type(&resource.id)),
                });
            }
        }
        Ok(Some(readings))
    }

    /// Decides a call. The resources are read only if the decision depends on them.
    async fn clear_call<O: AuthorizationRequest + AsRef<ActionCall>>(
        &self,
        call: O,
    ) -> Result<(Permit<O>, Option<Readings>), Error> {
        let (action, posed) = (call.action(), self.posed_call(&call));
        let (decided, readings) = match self.engine.ask(self.requester(), call) {
            Verdict::Allowed(permit) => (Ok(permit), None),
            Verdict::Denied(denial) => (Err(denial), None),
            Verdict::DependsOnData(pending) => {
                let call = pending.operation().as_ref();
                let mut readings =
                    readings::read((self.reader(), self.limits()), call, self.context).await?;
                reclassify(&mut readings, call);
                let data = ResourceData::Read(&readings.whole);
                (self.engine.decide(self.requester(), pending, data), Some(readings))
            }
        };
        self.compare_call(posed, decided.is_ok(), readings.as_ref());
        match decided {
            Ok(permit) => {
                self.allowed(&permit);
                Ok((permit, readings))
            }
            Err(denial) => Err(self.denied(action, &denial)),
        }
    }
}

/// Adds to each resource of the call's own type how the call would leave it.
fn reclassify(readings: &mut Readings, call: &ActionCall) {
    if !call.row().reclassifies() {
        return;
    }
    for resource in call.resources().filter(|one| call.row().changes(&one.kind)) {
        if let Some(described) = readings.whole.get_mut(resource) {
            described.would_be = described.after(call);
        }
    }
}

/// The error for a resource to change that ZEC does not show: whether it is protected cannot be known.
fn not_shown(resource: &Resource) -> Error {
    let detail = format!(
        "ZEC does not show `{resource}`, so the gateway cannot know whether it is protected; nothing was sent: \
         check the id, and try again in a moment if the resource is new"
    );
    Error::new(Problem::StateConflict, detail).with_code("OPERATION_FAILED_RESOURCE_NOT_SHOWN")
}
