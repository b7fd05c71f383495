//! Records a write in the journal: its intent before it is sent, its outcome afterwards. Also notes each call
//! to ZEC in the request's log record.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{RequestContext, failure};
use crate::{
    catalogue::Certainty,
    domain::{Nic, OperationId, Outcome, WriteCall},
    error::{Error, Extra, Problem},
    journal::{BeginError, Ending, Intent, Journal, KeyClaim, Ticket, ToldProblem},
    limit::retry_after,
    metrics,
    policy::Permit,
    telemetry::{Record, ZecCall},
    zec::{Failure, Sent},
};

/// Notes a call to ZEC that began at `after` and ends now. A request that the breaker stopped was never a
/// call.
pub(super) fn called(
    record: &Record,
    action: &'static str,
    after: Duration,
    request_id: Option<&String>,
    failure: Option<&Failure>,
) {
    if matches!(failure, Some(Failure::Spared { .. })) {
        return;
    }
    let outcome = failure.map_or(metrics::ZecResult::Ok, Failure::outcome).label();
    let took = record.elapsed().saturating_sub(after);
    let call = ZecCall { action, after, took, outcome, request_id: request_id.cloned() };
    record.note(|facts| facts.zec_calls.push(call));
}

/// What is known of the vNIC and of ZEC before a write.
pub(super) struct Before<'a> {
    /// The vNIC, if it was read.
    pub(super) nic: Option<&'a Nic>,
    /// Whether the vNIC may not show a write that ended shortly before.
    pub(super) stale: bool,
    /// Identifies the ZEC and the key with which the write is sent.
    pub(super) zec: Arc<str>,
}

/// Makes the intent durable.
pub(super) async fn begin(
    journal: &Journal,
    permit: Permit<WriteCall>,
    before: Before<'_>,
    key: Option<KeyClaim>,
    context: RequestContext<'_>,
) -> Result<Ticket, Error> {
    let intent = Intent {
        caller: context.caller.clone(),
        before: before.nic.map(|nic| nic.raw().to_owned()),
        stale: before.stale,
        zec: before.zec,
        request_id: context.record.request_id().to_owned(),
        peer: context.record.peer(),
        software: context.record.facts().software.clone(),
        key,
    };
    // If the caller gives up here and the intent becomes durable all the same, the journal closes it as not
    // sent.
    in_time(context.deadline, journal.begin(permit, intent)).await
}

/// Waits for a record in the journal, until the deadline at most.
///
/// # Errors
/// If the record is not durable by then.
pub(super) async fn in_time<T>(
    deadline: Instant,
    recording: impl Future<Output = Result<T, BeginError>>,
) -> Result<T, Error> {
    match timeout_at(deadline, recording).await {
        Ok(recorded) => recorded.map_err(unrecorded),
        Err(_) => Err(unrecorded(BeginError::Unavailable("the request's time was up".to_owned()))),
    }
}

/// The error if a write cannot be recorded: nothing is sent.
fn unrecorded(error: BeginError) -> Error {
    let (problem, detail) = match error {
        BeginError::Unavailable(_) => (
            Problem::JournalUnavailable,
            "the write could not be recorded, so nothing was sent; try again, and tell the gateway's operators if the problem persists",
        ),
        BeginError::KeyTaken => (
            Problem::IdempotencyInProgress,
            "a request with the same `Idempotency-Key` came before this one; nothing was sent, try again",
        ),
        BeginError::TooManyAnswers(wait) => return too_many_answers(wait),
    };
    Error::new(problem, detail).with_cause(error)
}

/// A key is never ignored: if it cannot be remembered, the request is refused.
fn too_many_answers(wait: Duration) -> Error {
    let seconds = retry_after(wait);
    Error::new(
        Problem::RateLimited,
        format!(
            "there is nothing to take off, and no room to remember that with your \
             `Idempotency-Key`: the gateway remembers 1,000 keys of requests that found nothing to \
             do for one caller within 24 hours, and 100,000 for all callers; nothing was sent: \
             send the request without a key, or try again in {seconds} s"
        ),
    )
    .with_retry_after(seconds)
    .with_cause(BeginError::TooManyAnswers(wait))
}

/// Makes the outcome durable. If that takes too long, the journal's writer does it later.
pub(super) async fn end(
    journal: &Journal,
    (operation, write): (Option<OperationId>, &WriteCall),
    sent: &Result<Sent, Failure>,
    deadline: Instant,
) -> Outcome {
    let ending = ending(sent.as_ref(), failure::of_a_write(write));
    let outcome = ending.outcome;
    let Some(id) = operation else { return outcome };
    let ended = timeout_at(deadline, journal.end(id, ending)).await;
    if !matches!(ended, Ok(Ok(()))) {
        let outcome = outcome.label();
        tracing::error!(operation = %id, outcome, "an outcome is recorded late");
    }
    outcome
}

/// The outcome of a write that ZEC reports as done.
fn done(sent: &Sent) -> Ending {
    Ending {
        zec_request_id: Some(sent.request_id.clone()),
        failed: sent.failed.clone(),
        accepted: sent.write.row().asynchronous == Certainty::Yes,
        response: sent.kept.clone(),
        ..Ending::new(Outcome::Done)
    }
}

/// The outcome of a write, in the form that the journal keeps.
fn ending(sent: Result<&Sent, &Failure>, tell: fn(&Failure) -> Error) -> Ending {
    let failure = match sent {
        Ok(sent) => return done(sent),
        Err(failure) => failure,
    };
    let (outcome, code, status, zec_request_id) = match failure {
        Failure::NotSent(_) | Failure::Spared { .. } => (Outcome::NotSent, None, None, None),
        Failure::NoAnswer(_) => (Outcome::Unknown, None, None, None),
        Failure::BadAnswer { request_id, .. } | Failure::Unavailable { request_id } => {
            (Outcome::Unknown, None, None, request_id.clone())
        }
        Failure::Throttled { request_id } => {
            let code = Problem::RateLimited.code().to_owned();
            (Outcome::Rejected, Some(code), Some(429), request_id.clone())
        }
        Failure::CredentialsRefused { code, request_id } => {
            (Outcome::Rejected, Some(code.clone()), None, request_id.clone())
        }
        Failure::Rejected { status, code, request_id, .. } => {
            (Outcome::Rejected, Some(code.clone()), Some(*status), request_id.clone())
        }
    };
    let error = tell(failure);
    let told = ToldProblem {
        problem: error.problem().slug().to_owned(),
        detail: error.detail().to_owned(),
    };
    let detail = Some(failure.to_string());
    // ZEC did nothing, and may succeed when asked again.
    let passing = matches!(failure, Failure::Throttled { .. } | Failure::CredentialsRefused { .. });
    let frees_key = passing || outcome.never_happened();
    Ending {
        outcome,
        zec_request_id,
        code,
        status,
        detail,
        told: Some(told),
        frees_key,
        given_up: false,
        failed: None,
        accepted: false,
        response: None,
    }
}

/// The error of a failed write. If the outcome is unknown, it names the operation to look up.
pub(super) fn named(
    failure: &Failure,
    operation: Option<OperationId>,
    tell: fn(&Failure) -> Error,
) -> Error {
    let outcome = ending(Err(failure), tell).outcome;
    let error = tell(failure);
    match (outcome, operation) {
        (Outcome::Unknown, Some(id)) => error.with_extra(Extra::Operation(id)),
        _ => error,
    }
}
