//! What a failure means to the caller (docs/api.md, "Problems").

use std::time::Duration;

use crate::{
    catalogue::{CatalogueError, Proof},
    domain::{
        Caller, Denial, Denied, KEYS_ISSUER, NicId, Reason, Resource, WriteCall, text::plain,
    },
    error::{Error, Extra, Problem},
    limit::retry_after,
    zec::Failure,
};

/// The 403 `policy-denied`: what the policy denied, which policies did so, and the caller as the policy sees
/// them.
pub(super) fn denied(caller: &Caller, action: &str, denial: &Denial) -> Error {
    let extra = Extra::Denied { denied: denial.denied.clone(), caller: caller.clone() };
    Error::new(Problem::PolicyDenied, why(caller, action, denial)).with_extra(extra)
}

/// The most characters of a caller's id or of a group in a message, and the most groups.
const MAX_CALLER: usize = 64;
const MAX_GROUPS: usize = 8;

/// The first thing that was denied, and by which policy: users of an SDK see nothing else.
fn why(caller: &Caller, action: &str, denial: &Denial) -> String {
    let what = |denied: &Denied| match (denied.address, denied.resource.nic_id()) {
        (Some(address), _) => address.to_string(),
        (None, Some(nic)) => format!("the vNIC `{nic}`"),
        (None, None) if denied.resource == Resource::account() => "the account".to_owned(),
        (None, None) => format!("`{}`", denied.resource),
    };
    let failed = |denied: &&Denied| !denied.failed.is_empty();
    let forbidden = |denied: &&Denied| !denied.policies.is_empty();
    let denied = &denial.denied;
    let Some(first) =
        denied.iter().find(failed).or(denied.iter().find(forbidden)).or(denied.first())
    else {
        return "the policy does not allow this; nothing was sent".to_owned();
    };
    let what = what(first);
    let why = match (first.failed.first(), first.policies.first()) {
        (Some(policy), _) => format!(
            "the policy `{}` could not be evaluated, which denies the request: tell the policy's \
             authors",
            policy.id
        ),
        (None, Some(Reason { id, reason: Some(reason) })) => {
            format!("the policy `{id}` forbids this ({reason})")
        }
        (None, Some(Reason { id, reason: None })) => format!("the policy `{id}` forbids this"),
        (None, None) => format!(
            "no policy allows {} `{action}`{}: ask the policy's authors, or for a group that may do this; {}{}",
            plain(caller.id(), MAX_CALLER),
            if_account(first),
            groups(caller),
            if_wrong(first)
        ),
    };
    match denied.len() - 1 {
        0 => format!("{what}: {why}; nothing was sent"),
        more => format!("{what}: {why}; `denied` has {more} more; nothing was sent"),
    }
}

/// A list or a creation is often allowed with some arguments only.
fn if_account(denied: &Denied) -> &'static str {
    let is_account = denied.resource == Resource::account();
    if is_account { " with these arguments" } else { "" }
}

/// Where the caller sees their groups. A caller with an access key may not ask for them.
fn groups(caller: &Caller) -> String {
    if caller.issuer() != KEYS_ISSUER {
        return "`GET /whoami` shows yours".to_owned();
    }
    let named: Vec<_> =
        caller.group_ids().take(MAX_GROUPS).map(|id| plain(id, MAX_CALLER)).collect();
    if named.is_empty() {
        "you have none".to_owned()
    } else {
        format!("yours are {}", named.join(", "))
    }
}

/// A resource that ZEC does not show is denied too, so that nobody learns which ids there are.
fn if_wrong(denied: &Denied) -> &'static str {
    let is_account = denied.resource == Resource::account();
    if is_account { "" } else { "; a wrong id has this answer too" }
}

/// ZEC's code for a vNIC that does not exist.
pub(super) const NO_SUCH_NIC: &str = "INVALID_NIC_NOT_FOUND";

/// ZEC's code for a key that lacks a right, and for an action that ZEC does not have (docs/zec-api.md).
const NO_SUCH_RIGHT: &str = "AUTHFAILURE_UNAUTHORIZED_OPERATION";

/// The error for a vNIC that ZEC does not show: it has ZEC's own status and code.
pub(super) fn no_such_nic(nic: &NicId) -> Error {
    Error::new(
        Problem::ZecRejected,
        format!("ZEC has no vNIC `{nic}`: check the id; nothing was changed"),
    )
    .with_status(404)
    .with_code(NO_SUCH_NIC)
}

/// The error of a failed read. Whatever happened, nothing was changed.
pub(super) fn of_a_read(failure: &Failure) -> Error {
    let cause = failure.to_string();
    let error = match failure {
        Failure::NotSent(_) | Failure::Unavailable { .. } => Error::new(
            Problem::ZecUnavailable,
            "ZEC cannot be reached at the moment; nothing was changed, try again",
        ),
        Failure::Spared { wait } => spared(*wait),
        Failure::NoAnswer(_) => Error::new(
            Problem::ZecTimeout,
            "ZEC did not answer in time; nothing was changed, try again",
        ),
        Failure::BadAnswer { request_id, .. } => Error::new(
            Problem::ZecBadAnswer,
            "the gateway cannot use ZEC's answer; nothing was changed, try again",
        )
        .with_zec_request_id(request_id.clone()),
        other => refused(other),
    };
    error.with_cause(cause)
}

/// The error of a failed write: either nothing was done, or the outcome is unknown.
pub(crate) fn write_error(failure: &Failure) -> Error {
    unknown_or_not_done(failure, LOOK)
}

/// The error if the catalogue of this program cannot be used.
pub(super) fn broken_catalogue(error: CatalogueError) -> Error {
    Error::new(Problem::Internal, "the catalogue is broken").with_cause(error)
}

/// The error of a failed call whose outcome nothing proves.
fn call_error(failure: &Failure) -> Error {
    unknown_or_not_done(failure, LOOK_YOURSELF)
}

/// The error of a failed call whose outcome ZEC may prove.
fn provable_call_error(failure: &Failure) -> Error {
    unknown_or_not_done(failure, LOOK_AND_WAIT)
}

/// The function that makes the caller's error of a failed write.
pub(super) fn of_a_write(write: &WriteCall) -> fn(&Failure) -> Error {
    match (write.change(), &write.row().proof) {
        (Some(_), _) => write_error,
        (None, Proof::Nothing) => call_error,
        (None, Proof::Gone | Proof::Shows(_)) => provable_call_error,
    }
}

/// What to do after a change of addresses whose outcome is unknown. Reading the vNIC too early would mislead: ZEC may still
/// make the change.
const LOOK: &str = "do not repeat it before `GET /operations/{operationId}` says `done` or \
                        `not-done`, most often within seven minutes; if this answer has no \
                        `operationId`, check the vNIC after that time";

/// What to do after a call whose outcome nothing proves.
const LOOK_YOURSELF: &str = "the gateway cannot find out what became of it, so look at the resources yourself before you \
                             repeat it; ZEC may still do it for seven minutes; `GET /operations/{operationId}` keeps \
                             what was sent";

/// What to do after a call that ZEC may prove done.
const LOOK_AND_WAIT: &str = "the gateway looks at the resources for fifteen minutes: do not repeat it before \
                             `GET /operations/{operationId}` says `done`; if it says `unknown`, look at them yourself";

fn unknown_or_not_done(failure: &Failure, look: &str) -> Error {
    let cause = failure.to_string();
    let error = match failure {
        Failure::NotSent(_) => Error::new(
            Problem::ZecUnavailable,
            "ZEC cannot be reached at the moment; nothing was sent, try again",
        ),
        Failure::Spared { wait } => spared(*wait),
        Failure::NoAnswer(_) => Error::new(
            Problem::OutcomeUnknown,
            format!("the request was sent and no answer came, so it may have been done: {look}"),
        ),
        Failure::BadAnswer { request_id, .. } | Failure::Unavailable { request_id } => Error::new(
            Problem::ZecBadAnswer,
            format!("ZEC's answer does not say whether the request was done: {look}"),
        )
        .with_zec_request_id(request_id.clone()),
        other => refused(other),
    };
    error.with_cause(cause)
}

/// ZEC failed so often, in general or for this vNIC, that the gateway sends it nothing for a while.
fn spared(wait: Duration) -> Error {
    Error::new(
        Problem::ZecUnavailable,
        "ZEC has failed too often, so the gateway sends it nothing for a moment; nothing was sent, \
         try again as `Retry-After` says",
    )
    .with_retry_after(retry_after(wait))
}

/// ZEC refused and did nothing. These refusals mean the same for reads and writes.
fn refused(failure: &Failure) -> Error {
    match failure {
        Failure::Throttled { request_id } => {
            Error::new(Problem::RateLimited, "ZEC throttles the team's key; nothing was done, wait and try again")
                .with_zec_request_id(request_id.clone())
        }
        Failure::CredentialsRefused { request_id, code } if code == NO_SUCH_RIGHT => Error::new(
            Problem::ZecCredentialsRefused,
            "ZEC does not let the gateway's key do this, or has no such action; your token is fine: tell the \
             gateway's operators",
        )
        .with_zec_request_id(request_id.clone()),
        Failure::CredentialsRefused { request_id, .. } => Error::new(
            Problem::ZecCredentialsRefused,
            "ZEC does not accept the gateway's own key; your token is fine: tell the gateway's operators",
        )
        .with_zec_request_id(request_id.clone()),
        Failure::Rejected { status, code, message, request_id } => {
            let said = message.trim().trim_end_matches('.');
            let said = if said.is_empty() { code.as_str() } else { said };
            Error::new(Problem::ZecRejected, format!("ZEC refused, nothing was changed: {said}"))
                .with_status(*status)
                .with_code(code.clone())
                .with_zec_request_id(request_id.clone())
        }
        Failure::NotSent(_)
        | Failure::Spared { .. }
        | Failure::NoAnswer(_)
        | Failure::BadAnswer { .. }
        | Failure::Unavailable { .. } => Error::new(Problem::Internal, "a failure of another kind"),
    }
}
