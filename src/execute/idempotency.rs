//! `Idempotency-Key`: the same request under the same key is done once, and answered alike.
//!
//! The claim that counts is in the journal, made in the intent's own transaction. What is held here
//! covers the time before it, and until the outcome is durable: of two requests at once the second
//! must neither look at the vNIC that the first is changing, nor be judged by it.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::json;

use tokio::time::Instant;

use super::{Done, Executor, judge::Judge, operations, record};
use crate::{
    domain::{ChangeIpv4, IdempotencyKey, NicId, OperationId, Outcome, Selection},
    error::{Error, Problem},
    journal::{Holder, KeyClaim, View},
    mutex::lock,
};

/// Seconds after which a caller may ask again: about as long as a write takes.
const RETRY_AFTER: u32 = 2;

/// The keys of requests that run, by caller and key. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<Name, KeyInUse>>>);

/// A caller, as `corp/alice`, and a key of theirs.
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

/// What a key gives a request.
#[derive(Debug)]
pub(super) enum ClaimResult {
    /// It is the first one.
    Claimed(Box<Claim>),
    /// An earlier one was answered so.
    Answered(Done),
}

/// What is told again where there was nothing to take off.
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
    /// 422 where another request runs under it, 409 where the same one does.
    pub(super) fn claim(
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
        // Every change under it is whole: a panic elsewhere spoils nothing.
        lock(&self.0)
    }
}

impl Claim {
    /// Says under which id the write is recorded.
    pub(super) fn name(&self, operation: Option<OperationId>) {
        if let Some(running) = self.claims.lock().get_mut(&self.name) {
            running.operation = operation;
        }
    }

    /// What the journal is to hold.
    pub(super) fn recorded(&self) -> KeyClaim {
        KeyClaim { key: self.name.1.clone(), fingerprint: self.fingerprint }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.name);
    }
}

impl Executor {
    /// Holds the key for this request, or finds the answer of an earlier one under it: before any
    /// state is read, for by now it is another one.
    ///
    /// # Errors
    /// 400 without a journal, 409 and 422 (docs/api.md, "Problems"), 503 where the journal cannot be
    /// read; and what the earlier request met, where it went wrong.
    pub(super) async fn claim(
        &self,
        judge: &Judge<'_>,
        key: IdempotencyKey,
        selection: &Selection,
    ) -> Result<ClaimResult, Error> {
        if !self.write_path.journal.is_on() {
            return Err(Error::invalid(
                "this gateway keeps no journal, so it could not remember an `Idempotency-Key`: \
                 leave it out",
            ));
        }
        let caller = judge.context.caller.id();
        let fingerprint = fingerprint(selection);
        let claim = self.write_path.claims.claim(caller, &key, fingerprint);
        // Also where somebody else has the claim: who only asks again has it for a moment too.
        let held = self.write_path.journal.by_key(caller, &key);
        match operations::in_time(judge.context.deadline, held).await? {
            None => claim.map(|claim| ClaimResult::Claimed(Box::new(claim))),
            Some(held) if held.fingerprint != fingerprint => Err(reused()),
            Some(held) => {
                judge.context.record.note(|facts| facts.decision = Some("replayed"));
                let done = answered(judge, held.by)?;
                Ok(ClaimResult::Answered(Done::Replayed(Box::new(done))))
            }
        }
    }

    /// Has the journal keep that there was nothing to do: under the same key it stays so, also when
    /// there would be something by then.
    pub(super) async fn keep(
        &self,
        claim: &Claim,
        nic: &NicId,
        request_id: &str,
        deadline: Instant,
    ) -> Result<(), Error> {
        let nothing =
            Nothing { nic_id: nic.as_str().to_owned(), request_id: request_id.to_owned() };
        let answer = json!(nothing).to_string();
        let kept = self.write_path.journal.remember(&claim.name.0, claim.recorded(), answer);
        record::in_time(deadline, kept).await
    }
}

/// What holds a key, as it is told again.
fn answered(judge: &Judge<'_>, holder: Holder) -> Result<Done, Error> {
    match holder {
        Holder::Answer(answer) => nothing_again(&answer),
        Holder::Operation(mut view) => {
            let (change, outcome) = (view.change.take(), view.outcome);
            // Another version of the gateway wrote it: a fingerprint fits no request of ours.
            let Some(change) = change else { return Err(reused()) };
            let hidden = |error| judge.hide(&change, error);
            again(*view, &change).map_err(|error| match outcome {
                Outcome::Rejected | Outcome::Unknown => hidden(error).replayed(),
                _ => hidden(error),
            })
        }
    }
}

/// The answer of a write that was asked for before.
fn again(view: View, change: &ChangeIpv4) -> Result<Done, Error> {
    let outcome = view.outcome;
    match outcome {
        Outcome::Done => Ok(Done::Changed {
            // Where only the vNIC showed it, ZEC's id is not known; the gateway's leads as far.
            request_id: view.zec_request_id.unwrap_or(view.request_id),
            change: change.clone(),
            operation: Some(view.id),
        }),
        Outcome::Rejected | Outcome::Unknown => Err(told_again(view)),
        // The latter two have just given the key up.
        Outcome::Pending | Outcome::NotSent | Outcome::NotDone => Err(running(Some(view.id))),
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
        Outcome::Unknown => error.with_member("operationId", json!(view.id.to_string())),
        _ => error,
    }
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
        Some(id) => error.with_member("operationId", json!(id.to_string())),
        None => error,
    }
}

/// SHA-256 over a request as decoded, before `all` is expanded: action, vNIC, and the addresses in
/// the order in which they were named. No part can hold the zero byte that ends it.
fn fingerprint(selection: &Selection) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut part = |text: &str| {
        context.update(text.as_bytes());
        context.update(&[0]);
    };
    match selection {
        Selection::All(all) => ["all", all.nic.as_str()].into_iter().for_each(&mut part),
        Selection::Listed(change) => {
            part(change.change.action().name());
            part(change.nic.as_str());
            change.addresses.as_slice().iter().for_each(|address| part(&address.to_string()));
        }
    }
    // SHA-256 has 32 bytes, always.
    context.finish().as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests;
