//! The shadow policy: decides beside the live policy and is compared with it, but never enforced.
//!
//! It decides in a task of its own, so that no caller waits for it. It uses the vNIC that the live policy
//! had. If it needs a vNIC and none was read, the question is skipped: the shadow policy never causes a read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::readings::Readings;
use crate::{
    domain::{Caller, Denial, Nic},
    metrics::{Metrics, ShadowChange},
    policy::{AuthorizationRequest, Engine, Requester, ResourceData, ShadowQuery, Verdict, Via},
    telemetry::Record,
};

/// How many questions are decided at once. More than that are skipped, because callers go first.
const AT_ONCE: usize = 32;

/// A shadow policy. Clones share it.
#[derive(Clone, Debug)]
pub struct Shadow {
    policy: Arc<ArcSwap<Engine>>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// What the live policy decided, and on what.
#[derive(Debug)]
pub(super) struct LiveAnswer<'a> {
    pub(super) caller: &'a Caller,
    pub(super) via: Via,
    pub(super) data: LiveData,
    pub(super) allowed: bool,
    pub(super) record: &'a Arc<Record>,
}

/// What the live policy had read.
#[derive(Debug)]
pub(super) enum LiveData {
    /// Nothing.
    Nothing,
    /// The vNIC of a request on one.
    Nic(Box<Nic>),
    /// The resources of a call.
    Resources(Readings),
}

impl LiveData {
    fn given(&self) -> Option<ResourceData<'_>> {
        match self {
            Self::Nothing => None,
            Self::Nic(nic) => Some(ResourceData::Nic(nic)),
            Self::Resources(read) => Some(ResourceData::Read(&read.whole)),
        }
    }
}

impl Shadow {
    /// Makes a shadow policy.
    #[must_use]
    pub fn new(policy: Arc<ArcSwap<Engine>>, metrics: Arc<Metrics>) -> Self {
        Self { policy, places: Arc::new(Semaphore::new(AT_ONCE)), metrics }
    }

    /// Asks the shadow policy the same question, and compares the answers.
    pub(super) fn compare(&self, question: ShadowQuery, live: LiveAnswer<'_>) {
        let action = question.action();
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.metrics.shadow_differed(action, ShadowChange::Skipped);
            return;
        };
        let engine = self.policy.load_full();
        let LiveAnswer { caller, via, data, allowed, record } = live;
        let (caller, record) = (caller.clone(), Arc::clone(record));
        let metrics = Arc::clone(&self.metrics);
        tokio::spawn(async move {
            let requester = Requester { caller: &caller, via, now: None };
            if let Some(difference) = decide(&engine, requester, question, &data, allowed) {
                metrics.shadow_differed(action, difference.change);
                tell(&difference, &engine, &record);
            }
            drop(place);
        });
    }
}

#[derive(Debug)]
struct Difference {
    change: ShadowChange,
    /// The policies that caused the difference.
    policies: Vec<String>,
}

/// The difference, if the shadow policy decides otherwise.
fn decide(
    engine: &Engine,
    requester: Requester<'_>,
    question: ShadowQuery,
    data: &LiveData,
    allowed: bool,
) -> Option<Difference> {
    let skipped = Difference { change: ShadowChange::Skipped, policies: Vec::new() };
    let answer = match (data.given(), engine.ask(requester, question)) {
        (_, Verdict::Allowed(permit)) => Ok(permit.policies().to_vec()),
        (_, Verdict::Denied(denial)) => Err(denial),
        (None, Verdict::DependsOnData(_)) => return Some(skipped),
        (Some(data), Verdict::DependsOnData(pending)) => {
            engine.decide(requester, pending, data).map(|permit| permit.policies().to_vec())
        }
    };
    match (allowed, answer) {
        (true, Ok(_)) | (false, Err(_)) => None,
        (false, Ok(policies)) => Some(Difference { change: ShadowChange::Allows, policies }),
        (true, Err(denial)) => {
            Some(Difference { change: ShadowChange::Denies, policies: ids(&denial) })
        }
    }
}

fn ids(denial: &Denial) -> Vec<String> {
    let all = denial.denied.iter().flat_map(|one| one.policies.iter().chain(&one.failed));
    let mut ids: Vec<String> = all.map(|reason| reason.id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Logs one difference for each request, however many questions the request asked.
fn tell(difference: &Difference, engine: &Engine, record: &Record) {
    if difference.change == ShadowChange::Skipped {
        return;
    }
    let mut told = false;
    record.note(|facts| told = std::mem::replace(&mut facts.shadow_told, true));
    if told {
        return;
    }
    let facts = record.facts();
    let (action, nic, addresses) = facts.asked_fields();
    tracing::info!(
        request.id = record.request_id(),
        caller = facts.caller,
        action,
        nic,
        addresses,
        change = difference.change.label(),
        policies = difference.policies.join(" "),
        policy.version = engine.version(),
        "the shadow policy decides otherwise",
    );
}
