//! Calls of any action: decided on every resource that they name, then sent.

use super::{
    Done, Executor, RequestContext, failure,
    judge::Judge,
    preflight::unprotected,
    readings::{self, Readings},
    record,
    resource_guard::Wanted,
    write::HeldGuard,
};
use crate::{
    catalogue::Effect,
    domain::{ActionCall, Resource},
    error::{Error, Problem},
    policy::{Permit, ResourceData, Verdict},
};

impl Executor {
    /// Makes a call of any action, if the policy allows it on everything that it names.
    pub(super) async fn call(
        &self,
        call: ActionCall,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let judge = self.decider.judge(context);
        let (permit, readings) = judge.clear_call(call).await?;
        if permit.operation().row().effect.is_change() {
            self.write_call(&judge, permit, readings, context).await
        } else {
            self.read_call(permit, context).await
        }
    }

    async fn read_call(
        &self,
        permit: Permit<ActionCall>,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let call = permit.spend();
        let (record, after) = (context.record, context.record.elapsed());
        let caller = context.caller.id();
        let answered = Box::pin(self.decider.reader.call(caller, &call, context.deadline)).await;
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
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let call = permit.operation();
        let resources: Vec<Resource> = call.resources().cloned().collect();
        let wanted = Wanted {
            action: call.action(),
            destructive: call.row().effect == Effect::Destructive,
            resources: &resources,
            caller: context.caller.id(),
        };
        // The guard is taken before the tags are read, because an earlier call may be changing them.
        let guard = self.write_path.hold_resources(wanted)?;
        if judge.checks_before_writes() {
            let readings = match readings {
                Some(readings) => readings,
                None => readings::read(&self.decider.reader, resources, context).await?,
            };
            for resource in call.resources() {
                readings.get(resource).map_or(Ok(()), |one| unprotected(resource, &one.tags))?;
            }
        }
        let permit = permit.into_write().map_err(|error| {
            Error::new(Problem::Internal, "a read was taken for a write").with_cause(error)
        })?;
        self.write_path.write(permit, None, HeldGuard::Resources(guard), None, context).await
    }
}

impl Judge<'_> {
    /// Decides a call. The resources are read only if the decision depends on them.
    async fn clear_call(
        &self,
        call: ActionCall,
    ) -> Result<(Permit<ActionCall>, Option<Readings>), Error> {
        let (action, posed) = (call.action(), self.posed_call(&call));
        let (decided, readings) = match self.engine.ask(self.requester(), call) {
            Verdict::Allowed(permit) => (Ok(permit), None),
            Verdict::Denied(denial) => (Err(denial), None),
            Verdict::DependsOnData(pending) => {
                let resources = pending.operation().resources().cloned().collect();
                let readings = readings::read(self.reader(), resources, self.context).await?;
                let data = ResourceData::Read(&readings);
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
