//! Faults on request: their kinds, and the queue in which they wait.

#[cfg(test)]
mod tests;
mod text;

use std::{collections::VecDeque, time::Duration};

pub use text::ParseFaultError;

/// A fault: its kind, its action, and how often it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The action by ZEC's name; `None` for any action.
    pub action: Option<String>,
    /// The number of requests that it strikes; `None` for every request until it is cleared.
    pub times: Option<u32>,
}

/// The kind of fault. Unless the text says otherwise, the request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Everything is as usual, but this much later.
    Delay(Duration),
    /// There is no answer, and the connection stays open.
    Hang,
    /// The request is carried out, there is no answer, and the connection stays open.
    HangAfter,
    /// The connection is closed without an answer.
    Cut,
    /// The request is carried out; the connection is closed without an answer.
    CutAfter,
    /// 429 `REQUEST_LIMIT_EXCEEDED`, to requests with the right credentials.
    Throttle,
    /// 503 `SERVICE_TEMPORARY_UNAVAILABLE`.
    Unavailable,
    /// 500 `INTERNAL_SERVER_ERROR`.
    Status500,
    /// This status with this code.
    UnknownStatus(u16, String),
    /// 401 `AUTHFAILURE_SIGNATURE_FAILURE`, whatever the credentials.
    RefuseCredentials,
    /// 502 with an HTML page, as from a proxy on the way.
    Html,
    /// 403 with an HTML page and `cf-mitigated: challenge`, as from the network in front of ZEC.
    Challenge,
    /// 302 to another path.
    Redirect,
    /// The request is carried out; 200 with a text that is not JSON.
    NotJson200,
    /// The request is carried out; 200 `{}`.
    NoEnvelope,
    /// The request is carried out; half of the announced answer is sent, then the connection closes.
    Truncated,
    /// The request is carried out; the answer has more than 1 MiB, but is correct otherwise.
    Huge,
    /// The request is carried out at once; the answer comes this much later.
    LateAfter(Duration),
    /// The request is carried out; the answer comes in slow pieces, followed by the whole answer again on the same
    /// connection.
    Twice,
    /// The request, a change, is carried out; for this long, `DescribeNetworkInterfaces` shows the vNIC's previous
    /// state.
    Stale(Duration),
    /// `DescribeNetworkInterfaces` answers with a vNIC that the request did not name.
    WrongNic,
    /// ZEC's clock is this many seconds ahead, or behind if negative, in its `Date` header and in the check of
    /// timestamps. Applies at once and until cleared, for every action.
    ClockSkew(i64),
}

/// The stage of a request at which a fault strikes; at most one strikes at each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The request has arrived.
    Arrival,
    /// In front of all of ZEC's own checks.
    Front,
    /// Credentials and action have been accepted.
    Admission,
    /// A change has been made.
    Change,
    /// The answer is about to be sent.
    Answer,
    /// No stage of a request.
    Clock,
}

impl FaultKind {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Delay(_) => Stage::Arrival,
            Self::Hang
            | Self::Cut
            | Self::Unavailable
            | Self::Status500
            | Self::UnknownStatus(..)
            | Self::RefuseCredentials
            | Self::Html
            | Self::Challenge
            | Self::Redirect => Stage::Front,
            Self::Throttle => Stage::Admission,
            Self::Stale(_) => Stage::Change,
            Self::HangAfter
            | Self::CutAfter
            | Self::LateAfter(_)
            | Self::Twice
            | Self::NotJson200
            | Self::NoEnvelope
            | Self::Truncated
            | Self::Huge
            | Self::WrongNic => Stage::Answer,
            Self::ClockSkew(_) => Stage::Clock,
        }
    }
}

impl Fault {
    /// The fault for every request until it is cleared.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, action: None, times: None }
    }

    /// The fault for this many following requests.
    #[must_use]
    pub fn times(kind: FaultKind, times: u32) -> Self {
        Self { kind, action: None, times: Some(times) }
    }

    /// The fault for the next request.
    #[must_use]
    pub fn once(kind: FaultKind) -> Self {
        Self::times(kind, 1)
    }

    /// Limits the fault to requests of that action.
    #[must_use]
    pub fn on(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    fn meets(&self, stage: Stage, action: &str) -> bool {
        let only = match &self.kind {
            FaultKind::WrongNic => Some("DescribeNetworkInterfaces"),
            _ => None,
        };
        self.kind.stage() == stage
            && self.action.as_deref().is_none_or(|wanted| wanted == action)
            && only.is_none_or(|wanted| wanted == action)
    }
}

/// The faults that wait for requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queue: VecDeque<Fault>,
    /// How many seconds the clock is ahead.
    skew: i64,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        match fault.kind {
            FaultKind::ClockSkew(seconds) => self.skew = seconds,
            _ if fault.times == Some(0) => {}
            _ => self.queue.push_back(fault),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn skew(&self) -> i64 {
        self.skew
    }

    /// The oldest fault for a request of this action at this stage; one use of it is consumed.
    pub(super) fn take(&mut self, stage: Stage, action: &str) -> Option<FaultKind> {
        let at = self.queue.iter().position(|fault| fault.meets(stage, action))?;
        let fault = self.queue.get_mut(at)?;
        match &mut fault.times {
            Some(left) if *left > 1 => *left -= 1,
            Some(_) => return self.queue.remove(at).map(|fault| fault.kind),
            None => {}
        }
        Some(fault.kind.clone())
    }
}
