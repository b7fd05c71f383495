//! `Idempotency-Key`: the gateway does a request under one key once, and repeats its answer.
//!
//! The authoritative claim is in the journal, written in the same transaction as the intent. The claim in
//! memory covers the time before that, and the time until the outcome is durable. If two requests with one
//! key arrive together, the second must not read the vNIC while the first changes it. Nor may it be decided
//! on that state.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Done, judge::Judge, operations, record};
use crate::{
    domain::{ActionCall, ChangeIpv4, IdempotencyKey, NicId, OperationId, Outcome, Selection},
    error::{Error, Extra, Problem},
    journal::{Holder, Journal, KeyClaim, View, secret_digest},
    mutex::lock,
    zec::ZecBody,
};

/// Seconds after which a caller may ask again: about as long as a write takes.
const RETRY_AFTER: u32 = 2;

/// Every key: those of requests in flight, and those that the journal remembers.
#[derive(Debug)]
pub(super) struct IdempotencyKeys {
    journal: Journal,
    claims: Claims,
}

impl IdempotencyKeys {
    /// The keys of requests that this journal records.
    pub(super) fn new(journal: Journal) -> Self {
        Self { journal, claims: Claims::default() }
    }

    /// Claims the key for this request if it has one, or finds the answer of an earlier request under it. This comes before
    /// any read of the vNIC, whose state has changed since the earlier request.
    ///
    /// # Errors
    /// 400 without a journal, 409 and 422 (docs/api.md, "Problems"), 503 if the journal cannot be read. If
    /// the earlier request failed, its error.
    pub(super) async fn claim(
        &self,
        judge: &Judge<'_>,
        key: Option<IdempotencyKey>,
        request: Keyed<'_>,
    ) -> Result<ClaimResult, Error> {
        match key {
            None => Ok(ClaimResult::Claimed(None)),
            // Few requests have a key. The future is boxed, because otherwise every request would pay for its size.
            Some(key) => Box::pin(self.claim_key(judge, key, request)).await,
        }
    }

    async fn claim_key(
        &self,
        judge: &Judge<'_>,
        key: IdempotencyKey,
        request: Keyed<'_>,
    ) -> Result<ClaimResult, Error> {
        if !self.journal.is_on() {
            return Err(Error::invalid(
                "this gateway keeps no journal, so it could not remember an `Idempotency-Key`: \
                 leave it out",
            ));
        }
        let caller = judge.context.caller.id();
        let fingerprint = request.fingerprint();
        let claim = self.claims.claim(caller, &key, fingerprint);
        // The journal is read even if another request holds the claim. That request may only be fetching an
        // old answer, and it too holds the claim for a moment.
        let held = self.journal.by_key(caller, &key);
        match operations::in_time(judge.context.reads_until, held).await? {
            None => claim.map(|claim| ClaimResult::Claimed(Some(Box::new(claim)))),
            Some(held) if held.fingerprint != fingerprint => Err(reused()),
            Some(held) => {
                judge.context.record.note(|facts| facts.decision = Some("replayed"));
                let done = answered(judge, held.by, request)?;
                Ok(ClaimResult::Answered(Done::Replayed(Box::new(done))))
            }
        }
    }

    /// Records in the journal that there was nothing to do. The same key then always gets this answer, even
    /// if there is an address to remove later.
    pub(super) async fn keep_nothing_to_do(
        &self,
        claim: &Claim,
        nic: &NicId,
        request_id: &str,
        deadline: Instant,
    ) -> Result<(), Error> {
        let nothing =
            Nothing { nic_id: nic.as_str().to_owned(), request_id: request_id.to_owned() };
        // The value has only texts, so serialising cannot fail.
        let answer = serde_json::to_string(&nothing).unwrap_or_default();
        let kept = self.journal.remember(&claim.name.0, claim.recorded(), answer);
        record::in_time(deadline, kept).await
    }
}

/// A request that a caller may make under a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keyed<'a> {
    /// A change of a vNIC's addresses.
    Change(&'a Selection),
    /// A call of any other action.
    Call(&'a ActionCall),
}

/// The keys of requests in flight, by caller and key. Clones share them.
#[derive(Clone, Debug, Default)]
struct Claims(Arc<Mutex<HashMap<Name, KeyInUse>>>);

/// A caller's id, such as `corp/alice`, and one of their keys.
type Name = (String, IdempotencyKey);

#[derive(Debug)]
struct KeyInUse {
    fingerprint: [u8; 32],
    operation: Option<OperationId>,
}

/// A request's hold on its key, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    name: Name,
    fingerprint: [u8; 32],
}

/// The result of claiming a key.
#[derive(Debug)]
pub(super) enum ClaimResult {
    /// The request is the first one under this key, or it has none.
    Claimed(Option<Box<Claim>>),
    /// An earlier request under this key has this answer.
    Answered(Done),
}

/// The answer to repeat when the first request found no address to remove.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Nothing {
    nic_id: String,
    request_id: String,
}

impl Claims {
    /// Holds a key for a request.
    ///
    /// # Errors
    /// 422 if a different request is in flight under the key, 409 if the same one is.
    fn claim(
        &self,
        caller: &str,
        key: &IdempotencyKey,
        fingerprint: [u8; 32],
    ) -> Result<Claim, Error> {
        let name = (caller.to_owned(), key.clone());
        match self.lock().entry(name.clone()) {
            Entry::Occupied(held) if held.get().fingerprint != fingerprint => Err(reused()),
            Entry::Occupied(held) => Err(running(held.get().operation)),
            Entry::Vacant(free) => {
                free.insert(KeyInUse { fingerprint, operation: None });
                Ok(Claim { claims: self.clone(), name, fingerprint })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, KeyInUse>> {
        // Each change under the lock leaves the map consistent, so a panic elsewhere does no harm.
        lock(&self.0)
    }
}

impl Claim {
    /// Sets the operation id under which the journal records the write.
    pub(super) fn name(&self, operation: Option<OperationId>) {
        if let Some(running) = self.claims.lock().get_mut(&self.name) {
            running.operation = operation;
        }
    }

    /// The claim in the form that the journal keeps.
    pub(super) fn recorded(&self) -> KeyClaim {
        KeyClaim { key: self.name.1.clone(), fingerprint: self.fingerprint }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.name);
    }
}

/// The earlier answer under a key, from the journal.
fn answered(judge: &Judge<'_>, holder: Holder, request: Keyed<'_>) -> Result<Done, Error> {
    match holder {
        Holder::Answer(answer) => nothing_again(&answer),
        Holder::Operation(mut view) => {
            let (change, outcome) = (view.change.take(), view.outcome);
            let Some(change) = change else {
                return match request {
                    Keyed::Call(_) => call_again(*view),
                    Keyed::Change(_) => Err(unreadable_call(&view)),
                };
            };
            let hidden = |error| judge.hide(&change, error);
            again(*view, &change).map_err(|error| match outcome {
                Outcome::Rejected | Outcome::Unknown => hidden(error).replayed(),
                _ => hidden(error),
            })
        }
    }
}

/// The answer to a write that an earlier request asked for.
fn again(view: View, change: &ChangeIpv4) -> Result<Done, Error> {
    let outcome = view.outcome;
    match outcome {
        Outcome::Done => Ok(Done::Changed {
            // If only the vNIC showed that the write was done, ZEC's request id is unknown. The gateway's own
            // request id serves for tracing too.
            request_id: view.zec_request_id.unwrap_or(view.request_id),
            change: change.clone(),
            operation: Some(view.id),
        }),
        Outcome::Rejected | Outcome::Unknown => Err(told_again(view)),
        // `NotSent` and `NotDone` have just freed the key.
        Outcome::Pending | Outcome::NotSent | Outcome::NotDone => Err(running(Some(view.id))),
    }
}

/// The answer to a call that an earlier request made. If ZEC's answer was long or held a secret, the gateway has not kept
/// it: then the answer says only that the call was done.
fn call_again(view: View) -> Result<Done, Error> {
    match (view.outcome, &view.response) {
        (Outcome::Done, response) => {
            let id = view.zec_request_id.as_deref().unwrap_or(&view.request_id);
            // Texts can always be serialised.
            let id = serde_json::to_string(id).unwrap_or_default();
            let own = format!("{{\"requestId\":{id}}}");
            let response = response.as_deref().map_or(own.as_str(), RawValue::get);
            let body = format!("{{\"requestId\":{id},\"response\":{response}}}");
            let body = ZecBody::Whole(body.into());
            Ok(Done::Answered { body, operation: Some(view.id) })
        }
        (Outcome::Rejected | Outcome::Unknown, _) => Err(told_again(view).replayed()),
        (Outcome::Pending | Outcome::NotSent | Outcome::NotDone, _) => Err(running(Some(view.id))),
    }
}

fn told_again(view: View) -> Error {
    let told = view.told.and_then(|told| Some((Problem::from_slug(&told.problem)?, told.detail)));
    let (problem, detail) = told.unwrap_or_else(|| {
        let problem = match view.outcome {
            Outcome::Rejected => Problem::ZecRejected,
            _ => Problem::OutcomeUnknown,
        };
        (
            problem,
            "an earlier request with this key ended this way: `GET /operations` shows more".into(),
        )
    });
    let mut error = Error::new(problem, detail).with_zec_request_id(view.zec_request_id);
    if let (Problem::ZecRejected, Some(status), Some(code)) = (problem, view.status, view.code) {
        error = error.with_status(status).with_code(code);
    }
    match view.outcome {
        Outcome::Unknown => error.with_extra(Extra::Operation(view.id)),
        _ => error,
    }
}

/// Another version of the gateway made this call, and this one cannot repeat its answer. A new key would make the same
/// change again, so the caller must look at the outcome first.
fn unreadable_call(view: &View) -> Error {
    let outcome = view.outcome.label();
    Error::new(
        Problem::OutcomeUnknown,
        format!(
            "an earlier request with this key was made through another version of the gateway, and its \
             outcome is `{outcome}`; nothing was sent for this one: see `GET /operations/{}`, and use a \
             new key only if the change is still to be made",
            view.id
        ),
    )
    .with_extra(Extra::Operation(view.id))
}

fn nothing_again(answer: &str) -> Result<Done, Error> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::new(
            Problem::Internal,
            "the earlier answer to a request with this key can no longer be read",
        )
        .with_cause(error)
    };
    let nothing: Nothing = serde_json::from_str(answer).map_err(|error| unreadable(&error))?;
    let nic = NicId::parse(&nothing.nic_id).map_err(|error| unreadable(&error))?;
    Ok(Done::NothingToDo { nic, request_id: nothing.request_id })
}

fn reused() -> Error {
    Error::new(
        Problem::IdempotencyKeyReused,
        "you sent this `Idempotency-Key` with another request in the last 24 hours; nothing was \
         sent: use a new key for a new request",
    )
}

fn running(operation: Option<OperationId>) -> Error {
    let error = Error::new(
        Problem::IdempotencyInProgress,
        "the first request with this `Idempotency-Key` has no outcome yet; nothing was sent for \
         this one: try again in a moment",
    )
    .with_retry_after(RETRY_AFTER);
    match operation {
        Some(id) => error.with_extra(Extra::Operation(id)),
        None => error,
    }
}

impl Keyed<'_> {
    /// SHA-256 over a request as decoded, before `all` is expanded: action, vNIC, and the addresses in the caller's order;
    /// of another call the action, its version and the arguments, with a digest of each secret. Each part ends with a zero byte, which no part
    /// can contain: JSON escapes it.
    fn fingerprint(self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut part = |text: &str| {
            context.update(text.as_bytes());
            context.update(&[0]);
        };
        match self {
            Self::Change(Selection::All(all)) => {
                ["all", all.nic.as_str()].into_iter().for_each(&mut part);
            }
            Self::Change(Selection::Listed(change)) => {
                part(change.change.action().name());
                part(change.nic.as_str());
                change.addresses.as_slice().iter().for_each(|address| part(&address.to_string()));
            }
            Self::Call(call) => {
                part(call.action());
                part(&call.row().version);
                // The journal keeps the fingerprint, and from that nobody may find a secret by guessing. After a
                // restart a call with a secret counts as another one, so it is not made twice.
                part(&call.arguments().without_secrets(call.row(), &secret_digest));
            }
        }
        // SHA-256 always gives 32 bytes.
        context.finish().as_ref().try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
