//! The values that are recorded in the journal, and those that are read from it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{
    Call, Caller, ChangeIpv4, IdempotencyKey, OperationId, Outcome, Peer, Resource,
};

/// What is recorded of a write before it is sent, besides its permit.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The caller of the write.
    pub caller: Caller,
    /// The vNIC as ZEC showed it, if it was read.
    pub before: Option<Box<RawValue>>,
    /// Whether `before` may not show a write that ended shortly before. Then it proves nothing.
    pub stale: bool,
    /// The ZEC and the access key with which it is sent: a digest, not a secret.
    pub zec: Arc<str>,
    /// The gateway's id of the request.
    pub request_id: String,
    /// Where the request came from.
    pub peer: Option<Peer>,
    /// What the client said about itself: information for people.
    pub software: Option<String>,
    /// The caller's `Idempotency-Key`, if there was one.
    pub key: Option<KeyClaim>,
}

/// A caller's `Idempotency-Key`, and the request for which it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// The key.
    pub key: IdempotencyKey,
    /// SHA-256 of the request as decoded: the same key with another request is refused.
    pub fingerprint: [u8; 32],
}

/// What the journal keeps under a caller's `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct HeldKey {
    /// SHA-256 of the request as decoded.
    pub fingerprint: [u8; 32],
    /// The operation or the answer of the first request.
    pub by: Holder,
}

/// What holds an idempotency key.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A write.
    Operation(Box<View>),
    /// An answer, because there was nothing to write.
    Answer(String),
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its outcome. [`Outcome::Pending`] is not an ending and is not accepted.
    pub outcome: Outcome,
    /// ZEC's id of the request, if ZEC answered.
    pub zec_request_id: Option<String>,
    /// ZEC's code, or the gateway's, if the write failed.
    pub code: Option<String>,
    /// The HTTP status that belongs to the code.
    pub status: Option<u16>,
    /// Details for people; never a secret.
    pub detail: Option<String>,
    /// The problem in the caller's answer, if the write failed.
    pub told: Option<ToldProblem>,
    /// Whether the same request may be made again under the same idempotency key.
    pub frees_key: bool,
    /// Whether the gateway has given up finding the outcome: it is unknown for good.
    pub given_up: bool,
    /// If a call was done in part: the part that was not done, as JSON.
    pub failed: Option<String>,
    /// Whether ZEC only accepted the call and works on it afterwards.
    pub accepted: bool,
    /// What ZEC answered to a call, as JSON, if it is short and holds no secret.
    pub response: Option<String>,
}

/// The problem in a caller's answer: enough to repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldProblem {
    /// The problem's `detail`.
    pub detail: String,
    /// The problem's slug.
    pub problem: String,
}

impl Ending {
    /// An ending with this outcome and no details.
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
            failed: None,
            accepted: false,
            response: None,
        }
    }
}

/// What the journal knows of one write: its intent and its last outcome.
#[derive(Clone, Debug)]
pub struct View {
    /// The operation's id.
    pub id: OperationId,
    /// The last outcome.
    pub outcome: Outcome,
    /// The call to ZEC.
    pub call: Call,
    /// The same call as a change; `None` if this program does not know the action or its version.
    pub change: Option<ChangeIpv4>,
    /// The caller's id, such as `corp/alice`.
    pub caller: String,
    /// The ids of the policies that allowed it.
    pub policies: Vec<String>,
    /// The version of the policy that allowed it.
    pub policy_version: String,
    /// The vNIC as ZEC showed it before the write, if it was read.
    pub before: Option<Box<RawValue>>,
    /// Whether `before` may not show a write that ended shortly before.
    pub stale: bool,
    /// The ZEC and the access key with which it was sent: a digest.
    pub zec: Option<String>,
    /// The time of ZEC's clock when the write was requested; `None` if ZEC had not answered yet.
    pub zec_time: Option<SystemTime>,
    /// Whether the gateway has given up finding the outcome: it is unknown for good.
    pub given_up: bool,
    /// The gateway's id of the request.
    pub request_id: String,
    /// What the client said about itself.
    pub software: Option<String>,
    /// ZEC's id of the request, if ZEC answered.
    pub zec_request_id: Option<String>,
    /// ZEC's code, or the gateway's, if the write failed.
    pub code: Option<String>,
    /// The HTTP status that belongs to the code.
    pub status: Option<u16>,
    /// Details for people.
    pub detail: Option<String>,
    /// The problem in the caller's answer, if the write failed.
    pub told: Option<ToldProblem>,
    /// If a call was done in part: the part that was not done, as JSON.
    pub failed: Option<Box<RawValue>>,
    /// Whether ZEC only accepted the call and works on it afterwards.
    pub accepted: bool,
    /// What ZEC answered to a call, if it was short and held no secret.
    pub response: Option<Box<RawValue>>,
    /// When the write was requested. What is sent is signed within `SIGNED_WITHIN` after that.
    pub started_at: SystemTime,
    /// When the outcome was learned; `None` while it is pending.
    pub finished_at: Option<SystemTime>,
}

/// Which writes a list shows. A field that is `None` does not filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The caller's id, such as `corp/alice`.
    pub caller: Option<String>,
    /// A resource that the call names.
    pub resource: Option<Resource>,
    /// The last outcome.
    pub outcome: Option<Outcome>,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// The most writes in the list.
    pub limit: usize,
    /// Only writes older than this one.
    pub before: Option<OperationId>,
}

impl Filter {
    /// The newest writes, at most this many.
    #[must_use]
    pub const fn newest(limit: usize) -> Self {
        Self { caller: None, resource: None, outcome: None, request_id: None, limit, before: None }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The operations, newest first.
    pub views: Vec<View>,
    /// The oldest operation that was searched, if the search ended before all of them were. It need not be one of
    /// `views`.
    pub searched_to: Option<OperationId>,
}

/// Milliseconds since 1970, as the journal stores them.
pub(super) fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The last millisecond of the year 9999, after which a time has no text.
const LAST_MOMENT: u64 = 253_402_300_799_999;

/// The time of this many milliseconds since 1970. A number before 1970 becomes 1970, and one after the year 9999 the
/// end of that year.
pub(super) fn moment(millis: i64) -> SystemTime {
    let millis = u64::try_from(millis).unwrap_or_default().min(LAST_MOMENT);
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}
