//! The policy's decision on an operation. Reads the vNIC if the policy needs it, and records the decision.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{
    RequestContext, failure,
    preflight::Preflight,
    readings::Readings,
    record,
    shadow::{LiveAnswer, LiveData, Shadow},
};
use crate::{
    domain::{Action, ActionCall, ChangeIpv4, Denial, Denied, Nic, NicId, ReadNic, Resource},
    error::Error,
    limit::Live,
    metrics::{Decision, Metrics},
    policy::{AuthorizationRequest, Engine, NicRequest, Permit, Requester, ShadowQuery, Verdict},
    zec::{FoundNic, Reader},
};

/// Everything that decides: the policy, the shadow policy, the pre-flight, and the half of ZEC's client that
/// can only read.
#[derive(Debug)]
pub(super) struct Decider {
    pub(super) policy: Arc<ArcSwap<Engine>>,
    pub(super) shadow: Option<Shadow>,
    pub(super) reader: Reader,
    pub(super) preflight: Preflight,
    pub(super) limits: Live,
    pub(super) metrics: Arc<Metrics>,
}

/// Decides for one request. It uses the same policy for every question of that request. A dry run gets only
/// this, so it cannot send anything.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    decider: &'a Decider,
    pub(super) engine: Arc<Engine>,
    pub(super) context: RequestContext<'a>,
}

impl Decider {
    pub(super) fn judge<'a>(&'a self, context: RequestContext<'a>) -> Judge<'a> {
        Judge { decider: self, engine: self.policy.load_full(), context }
    }
}

impl<'a> Judge<'a> {
    /// Who asks, and how.
    pub(super) fn requester(&self) -> Requester<'a> {
        let RequestContext { caller, via, .. } = self.context;
        Requester { caller, via, now: None }
    }

    /// The half of ZEC's client that can only read.
    pub(super) fn reader(&self) -> &Reader {
        &self.decider.reader
    }

    /// The limits of callers.
    pub(super) fn limits(&self) -> &Live {
        &self.decider.limits
    }

    /// Whether resources are read and checked before a write.
    pub(super) fn checks_before_writes(&self) -> bool {
        self.decider.preflight.on
    }

    /// The question of a call for the shadow policy, if there is one.
    pub(super) fn posed_call<O: AuthorizationRequest + AsRef<ActionCall>>(
        &self,
        call: &O,
    ) -> Option<ShadowQuery> {
        self.decider.shadow.as_ref().map(|_| ShadowQuery::by_call(call))
    }

    /// Asks the shadow policy about a call.
    pub(super) fn compare_call(
        &self,
        posed: Option<ShadowQuery>,
        allowed: bool,
        read: Option<&Readings>,
    ) {
        let data = || read.map_or(LiveData::Nothing, |read| LiveData::Resources(read.clone()));
        self.compare_with(posed, allowed, data);
    }

    /// A vNIC that the caller may see, with ZEC's id of the request that read it.
    pub(super) async fn see(
        &self,
        id: &NicId,
    ) -> Result<(Permit<ReadNic>, Box<Nic>, String), Error> {
        let (permit, found) = self.ask(ReadNic { nic: id.clone() }).await?;
        self.allowed(&permit);
        let found = match found {
            Some(found) => found,
            None => self.look_for(&permit, id).await?,
        };
        let nic = found.nic.ok_or_else(|| failure::no_such_nic(id))?;
        self.compare(self.posed(permit.operation()), true, Some(&nic));
        Ok((permit, nic, found.request_id))
    }

    /// Whether the caller may see a vNIC that was read for another reason.
    pub(super) fn may_see(&self, nic: &Nic) -> bool {
        self.permit_to_see(nic).is_some()
    }

    /// The permit to show a vNIC that was read for another reason, if the caller may see it.
    pub(super) fn permit_to_see(&self, nic: &Nic) -> Option<Permit<ReadNic>> {
        let read = ReadNic { nic: nic.id.clone() };
        self.engine.judge(self.requester(), read, nic).ok()
    }

    /// Whether the caller may see the operations of all callers.
    pub(super) fn may_read_operations(&self) -> bool {
        self.engine.may_read_operations(self.context.caller)
    }

    /// Decides on a change and checks the vNIC's state. `nic` is the vNIC if it was read already. Otherwise
    /// it is read if the policy or the pre-flight needs it, or if `look` is set. `hold` runs between the
    /// decision and the check of the state. Its result is held while the state is read, because an earlier
    /// write may be changing it. It is dropped if the state forbids the change.
    pub(super) async fn clear<O: NicRequest + AsRef<ChangeIpv4>, H>(
        &self,
        operation: O,
        nic: Option<Box<Nic>>,
        look: bool,
        hold: impl FnOnce(&ChangeIpv4) -> Result<H, Error>,
    ) -> Result<(Permit<O>, Option<Box<Nic>>, H), Error> {
        let id = operation.nic().clone();
        let (permit, nic) = if let Some(nic) = nic {
            let (action, posed) = (operation.action(), self.posed(&operation));
            let decided = self.engine.judge(self.requester(), operation, &*nic);
            let decided = decided.map_err(|denial| {
                self.compare(posed, false, Some(&nic));
                self.denied(action, &denial)
            });
            (decided?, Some(nic))
        } else {
            let (permit, found) = self.ask(operation).await?;
            (permit, found.and_then(|found| found.nic))
        };
        let held = hold(permit.operation().as_ref()).inspect_err(|_| {
            self.allowed(&permit);
            self.compare(self.posed(permit.operation()), true, nic.as_deref());
        })?;
        let nic = match nic {
            None if look || self.decider.preflight.on => match self.look_for(&permit, &id).await {
                Ok(FoundNic { nic: None, .. }) => {
                    if self.may_learn_of_absence(&id) {
                        self.allowed(&permit);
                    }
                    return Err(self.absent(permit.operation()));
                }
                found => {
                    self.allowed(&permit);
                    found?.nic
                }
            },
            nic => {
                self.allowed(&permit);
                nic
            }
        };
        self.compare(self.posed(permit.operation()), true, nic.as_deref());
        if let Some(nic) = &nic {
            self.decider.preflight.check(permit.operation().as_ref(), nic)?;
        }
        Ok((permit, nic, held))
    }

    /// Asks the policy, and reads the vNIC if the decision depends on it. That vNIC is returned too, so that
    /// the gateway shows exactly what it decided on.
    async fn ask<O: NicRequest>(
        &self,
        operation: O,
    ) -> Result<(Permit<O>, Option<FoundNic>), Error> {
        let (id, action) = (operation.nic().clone(), operation.action());
        let (requester, posed) = (self.requester(), self.posed(&operation));
        let (decided, found) = match self.engine.ask(requester, operation) {
            Verdict::Allowed(permit) => return Ok((permit, None)),
            Verdict::Denied(denial) => (Err(denial), None),
            Verdict::DependsOnData(pending) => {
                let found = self.look(&id).await?;
                let Some(nic) = &found.nic else {
                    let error = self.absent(&pending.into_operation());
                    if error.code() == failure::NO_SUCH_NIC {
                        self.decider.metrics.decided(action, Decision::Absent);
                    }
                    return Err(error);
                };
                (self.engine.decide(requester, pending, &**nic), Some(found))
            }
        };
        match decided {
            Ok(permit) => Ok((permit, found)),
            Err(denial) => {
                self.compare(posed, false, found.and_then(|found| found.nic).as_deref());
                Err(self.denied(action, &denial))
            }
        }
    }

    /// The question for the shadow policy, if there is one.
    fn posed<O: NicRequest>(&self, operation: &O) -> Option<ShadowQuery> {
        self.decider.shadow.as_ref().map(|_| ShadowQuery::by(operation))
    }

    /// Asks the shadow policy the same question.
    fn compare(&self, posed: Option<ShadowQuery>, allowed: bool, nic: Option<&Nic>) {
        let data = || nic.map_or(LiveData::Nothing, |nic| LiveData::Nic(Box::new(nic.clone())));
        self.compare_with(posed, allowed, data);
    }

    /// The data is copied only for a question.
    fn compare_with(
        &self,
        posed: Option<ShadowQuery>,
        allowed: bool,
        data: impl FnOnce() -> LiveData,
    ) {
        let RequestContext { caller, record, via, .. } = self.context;
        if let (Some(shadow), Some(posed)) = (&self.decider.shadow, posed) {
            shadow.compare(posed, LiveAnswer { caller, via, data: data(), allowed, record });
        }
    }

    /// Reads the vNIC for an operation that is already allowed. If the read fails, the shadow policy decides
    /// without the vNIC.
    async fn look_for<O: NicRequest>(
        &self,
        permit: &Permit<O>,
        id: &NicId,
    ) -> Result<FoundNic, Error> {
        let unseen = |_: &Error| self.compare(self.posed(permit.operation()), true, None);
        self.look(id).await.inspect_err(unseen)
    }

    async fn look(&self, id: &NicId) -> Result<FoundNic, Error> {
        let record = self.context.record;
        let (action, after) = (Action::DescribeNetworkInterfaces.name(), record.elapsed());
        let (caller, deadline) = (self.context.caller.id(), self.context.reads_until);
        // Boxed: this future is larger than everything else a request waits for, and not every request needs
        // it.
        let found = Box::pin(self.decider.reader.nic_for(caller, id, deadline)).await;
        let request_id = found.as_ref().ok().map(|found| &found.request_id);
        record::called(record, action, after, request_id, found.as_ref().err());
        let found = found.map_err(|failure| failure::of_a_read(&failure))?;
        record.note(|facts| facts.zec_request_id = Some(found.request_id.clone()));
        Ok(found)
    }

    pub(super) fn allowed<O: AuthorizationRequest>(&self, permit: &Permit<O>) {
        self.decider.metrics.decided(permit.operation().action(), Decision::Allow);
        self.context.record.note(|facts| {
            facts.decision = Some("allow");
            facts.policies = permit.policies().to_vec();
        });
    }

    /// The error as the caller may see it. If ZEC says that the vNIC does not exist, callers who may not see
    /// it get a 403 instead.
    pub(super) fn hide<O: NicRequest>(&self, operation: &O, error: Error) -> Error {
        let (caller, nic) = (self.context.caller, operation.nic());
        if error.code() != failure::NO_SUCH_NIC || self.may_learn_of_absence(nic) {
            return error;
        }
        failure::denied(caller, operation.action(), &unread(operation))
    }

    pub(super) fn may_learn_of_absence(&self, nic: &NicId) -> bool {
        self.engine.may_learn_of_absence(self.requester(), ReadNic { nic: nic.clone() })
    }

    /// The error if the vNIC does not exist: 404 for callers who may see it, a denial for all others.
    fn absent<O: NicRequest>(&self, operation: &O) -> Error {
        let id = operation.nic();
        if self.may_learn_of_absence(id) {
            failure::no_such_nic(id)
        } else {
            self.denied(operation.action(), &unread(operation))
        }
    }

    pub(super) fn denied(&self, action: &'static str, denial: &Denial) -> Error {
        let decision = if denial.is_error() { Decision::Error } else { Decision::Deny };
        self.decider.metrics.decided(action, decision);
        self.context.record.note(|facts| {
            facts.decision = Some(decision.label());
            let all = denial.denied.iter().flat_map(|one| one.policies.iter().chain(&one.failed));
            facts.policies = all.map(|reason| reason.id.clone()).collect();
            facts.policies.sort_unstable();
            facts.policies.dedup();
        });
        failure::denied(self.context.caller, action, denial)
    }
}

/// The denial of an operation whose vNIC could not be read because it does not exist.
fn unread<O: NicRequest>(operation: &O) -> Denial {
    let resource = Resource::nic(operation.nic());
    let entry = |address| Denied {
        address,
        resource: resource.clone(),
        policies: Vec::new(),
        failed: Vec::new(),
    };
    let addresses = operation.addresses();
    let denied = if addresses.is_empty() {
        vec![entry(None)]
    } else {
        addresses.iter().map(|address| entry(Some(*address))).collect()
    };
    Denial { denied }
}
