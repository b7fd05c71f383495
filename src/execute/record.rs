//! A write's way into the journal: its intent before it is sent, its outcome after.

use serde_json::{Value, value::RawValue};

use super::{Asking, failure};
use crate::{
    domain::{ChangeIpv4, Nic, OperationId, Outcome},
    error::{Error, Problem},
    journal::{BeginError, Ending, Intent, Journal, Ticket},
    policy::Permit,
    zec::{Failure, Sent},
};

/// Makes the intent durable.
pub(super) async fn begin(
    journal: &Journal,
    permit: Permit<ChangeIpv4>,
    nic: Option<&Nic>,
    asking: Asking<'_>,
) -> Result<Ticket, Error> {
    let intent = Intent {
        caller: asking.caller.clone(),
        before: nic.and_then(|nic| RawValue::from_string(nic.as_json().to_owned()).ok()),
        request_id: asking.record.request_id().to_owned(),
        key: None,
    };
    journal.begin(permit, intent).await.map_err(|error| {
        let (problem, detail) = match error {
            BeginError::Unavailable(_) => (
                Problem::JournalUnavailable,
                "the write could not be recorded, so nothing was sent; try again, and tell the gateway's operators if it goes on",
            ),
            BeginError::KeyTaken(_) => (
                Problem::IdempotencyInProgress,
                "a request with the same `Idempotency-Key` came before this one; nothing was sent, ask again",
            ),
        };
        Error::new(problem, detail).with_cause(error)
    })
}

/// Makes the outcome durable, or leaves that to the journal's writer.
pub(super) async fn end(
    journal: &Journal,
    operation: Option<OperationId>,
    sent: &Result<Sent, Failure>,
) -> Outcome {
    let ending = ending(sent.as_ref());
    let outcome = ending.outcome;
    if let Some(id) = operation
        && let Err(error) = journal.end(id, ending).await
    {
        let outcome = outcome.label();
        tracing::error!(operation = %id, outcome, %error, "an outcome is recorded late");
    }
    outcome
}

/// What became of a write, as it is recorded.
fn ending(sent: Result<&Sent, &Failure>) -> Ending {
    let failure = match sent {
        Ok(Sent { request_id, .. }) => {
            let zec_request_id = Some(request_id.clone());
            return Ending { zec_request_id, ..Ending::new(Outcome::Done) };
        }
        Err(failure) => failure,
    };
    let (outcome, code, status, zec_request_id) = match failure {
        Failure::NotSent(_) => (Outcome::NotSent, None, None, None),
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
    Ending { outcome, zec_request_id, code, status, detail: Some(failure.to_string()) }
}

/// The problem of a write that failed; where nobody knows what came of it, it says where to look.
pub(super) fn named(failure: Failure, operation: Option<OperationId>) -> Error {
    let outcome = ending(Err(&failure)).outcome;
    let error = failure::of_a_write(failure);
    match (outcome, operation) {
        (Outcome::Unknown, Some(id)) => {
            error.with_member("operationId", Value::String(id.to_string()))
        }
        _ => error,
    }
}
