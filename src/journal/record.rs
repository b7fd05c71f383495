//! What goes into the journal and what comes out of it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{
    Call, Caller, Change, ChangeIpv4, IdempotencyKey, OperationId, Outcome, Peer, Resource,
};

/// What is recorded of a write beside its permit, before it is sent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Who asks.
    pub caller: Caller,
    /// The vNIC as ZEC showed it, where it was read.
    pub before: Option<Box<RawValue>>,
    /// Whether a write that ended shortly before may be missing in `before`: it then proves nothing.
    pub stale: bool,
    /// At which ZEC and with which access key it is sent: a digest, no secret.
    pub zec: Arc<str>,
    /// The gateway's id of the request.
    pub request_id: String,
    /// Where the request came from.
    pub peer: Option<Peer>,
    /// The caller's `Idempotency-Key`, if there was one.
    pub key: Option<KeyClaim>,
}

/// A caller's `Idempotency-Key` and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// The key.
    pub key: IdempotencyKey,
    /// SHA-256 of the request as decoded: the same key with another one is refused.
    pub fingerprint: [u8; 32],
}

/// What a caller's `Idempotency-Key` holds.
#[derive(Clone, Debug)]
pub struct HeldKey {
    /// SHA-256 of the request as decoded.
    pub fingerprint: [u8; 32],
    /// What came of it.
    pub by: Holder,
}

/// Who holds an idempotency key.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A write.
    Operation(Box<View>),
    /// An answer: there was nothing to write.
    Answer(String),
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What became of it; [`Outcome::Pending`] is none and is not taken.
    pub outcome: Outcome,
    /// ZEC's id of the request, where ZEC answered.
    pub zec_request_id: Option<String>,
    /// ZEC's code, or the gateway's, where it went wrong.
    pub code: Option<String>,
    /// The HTTP status that belongs to the code.
    pub status: Option<u16>,
    /// More, for people; never a secret.
    pub detail: Option<String>,
    /// What the caller was told, where it went wrong.
    pub told: Option<ToldProblem>,
    /// Whether the same may be asked for again under the same idempotency key.
    pub frees_key: bool,
    /// Whether nothing more will be known of it: an unknown outcome that is final.
    pub given_up: bool,
}

/// The problem that a caller was told: enough to tell it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldProblem {
    /// The problem's `detail`.
    pub detail: String,
    /// The problem's slug.
    pub problem: String,
}

impl Ending {
    /// This outcome, with nothing to add.
    #[must_use]
    pub const fn new(outcome: Outcome) -> Self {
        let frees_key = outcome.never_happened();
        Self {
            outcome,
            zec_request_id: None,
            code: None,
            status: None,
            detail: None,
            told: None,
            frees_key,
            given_up: false,
        }
    }
}

/// What the journal knows of one write: its intent, and its last outcome.
#[derive(Clone, Debug)]
pub struct View {
    /// Its id.
    pub id: OperationId,
    /// What became of it.
    pub outcome: Outcome,
    /// What was asked for.
    pub call: Call,
    /// The same as a change; none where this program does not know the action or its version.
    pub change: Option<ChangeIpv4>,
    /// Who asked, as `corp/alice`.
    pub caller: String,
    /// The ids of the policies that allowed it.
    pub policies: Vec<String>,
    /// The version of the policy that allowed it.
    pub policy_version: String,
    /// The vNIC as ZEC showed it before, where it was read.
    pub before: Option<Box<RawValue>>,
    /// Whether a write that ended shortly before may be missing in `before`.
    pub stale: bool,
    /// At which ZEC and with which access key it was sent: a digest.
    pub zec: Option<String>,
    /// What ZEC's clock said when the write was asked for; none where it had not answered yet.
    pub zec_time: Option<SystemTime>,
    /// Whether nothing more will be known of it: its outcome is unknown, and final.
    pub given_up: bool,
    /// The gateway's id of the request.
    pub request_id: String,
    /// ZEC's id of the request, where ZEC answered.
    pub zec_request_id: Option<String>,
    /// ZEC's code, or the gateway's, where it went wrong.
    pub code: Option<String>,
    /// The HTTP status that belongs to the code.
    pub status: Option<u16>,
    /// More, for people.
    pub detail: Option<String>,
    /// What the caller was told, where it went wrong.
    pub told: Option<ToldProblem>,
    /// Where a call was done in part, what was not, as JSON.
    pub failed: Option<Box<RawValue>>,
    /// When the write was asked for; what is sent is signed within [`SIGNED_WITHIN`] after that.
    ///
    /// [`SIGNED_WITHIN`]: super::SIGNED_WITHIN
    pub started_at: SystemTime,
    /// When the outcome was learned; none while it is pending.
    pub finished_at: Option<SystemTime>,
}

/// Which writes a list shows; what is none does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Of whom, as `corp/alice`.
    pub caller: Option<String>,
    /// On which resource.
    pub resource: Option<Resource>,
    /// With which outcome.
    pub outcome: Option<Outcome>,
    /// With which of the gateway's request ids.
    pub request_id: Option<String>,
    /// How many at most.
    pub limit: usize,
    /// Only those older than this one.
    pub before: Option<OperationId>,
}

impl Filter {
    /// The newest writes, so many at most.
    #[must_use]
    pub const fn newest(limit: usize) -> Self {
        Self { caller: None, resource: None, outcome: None, request_id: None, limit, before: None }
    }
}

/// Addresses that a caller took off a vNIC, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unassigned {
    /// By which write.
    pub operation: OperationId,
    /// Who, as `corp/alice`.
    pub caller: String,
    /// When it was asked for.
    pub at: SystemTime,
    /// How many addresses.
    pub addresses: usize,
}

impl Unassigned {
    /// What a write took off, if it is one that takes addresses off.
    pub(super) fn of(view: View) -> Option<Self> {
        let change = view.change.filter(|change| change.change == Change::Unassign)?;
        Some(Self {
            operation: view.id,
            addresses: change.addresses.as_slice().len(),
            caller: view.caller,
            at: view.started_at,
        })
    }
}

/// Milliseconds since 1970, as they are stored.
pub(super) fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The moment of so many milliseconds since 1970; 1970 for what cannot be one.
pub(super) fn moment(millis: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}
