//! What goes wrong on request: the kinds of faults, and the queue they wait in.

#[cfg(test)]
mod tests;
mod text;

use std::{collections::VecDeque, time::Duration};

pub use text::ParseFaultError;

/// A fault: what goes wrong, for which action, how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The action, by ZEC's name; none: any.
    pub action: Option<String>,
    /// How many requests it meets; none: every one, until it is cleared.
    pub times: Option<u32>,
}

/// What goes wrong. Where the text says nothing else, the request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Everything as usual, so much later.
    Delay(Duration),
    /// No answer, the connection stays open.
    Hang,
    /// The request is carried out; no answer, the connection stays open.
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
    /// That status with that code.
    UnknownStatus(u16, String),
    /// 401 `AUTHFAILURE_SIGNATURE_FAILURE`, whatever the credentials.
    RefuseCredentials,
    /// 502 with an HTML page, as of a proxy on the way.
    Html,
    /// 403 with an HTML page and `cf-mitigated: challenge`, as of the network in front of ZEC.
    Challenge,
    /// 302 to another path.
    Redirect,
    /// The request is carried out; 200 with a text that is no JSON.
    NotJson200,
    /// The request is carried out; 200 `{}`.
    NoEnvelope,
    /// The request is carried out; half of the answer that was announced, then the end.
    Truncated,
    /// The request is carried out; an answer of more than 1 MiB, right otherwise.
    Huge,
    /// The request is carried out at once; the answer comes so much later.
    LateAfter(Duration),
    /// The request is carried out; the answer comes in slow pieces, and behind it on the same
    /// connection the whole of it once more.
    Twice,
    /// The request, a change, is carried out; for so long `DescribeNetworkInterfaces` shows the
    /// vNIC as it was before.
    Stale(Duration),
    /// `DescribeNetworkInterfaces` answers a vNIC that was not asked for.
    WrongNic,
    /// ZEC's clock is so many seconds ahead, or behind if negative, in its `Date` header and in
    /// the check of timestamps. At once and until cleared, for every action.
    ClockSkew(i64),
}

/// Where on a request's way a fault strikes; at each place at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// When the request is there.
    Arrival,
    /// In front of everything ZEC does.
    Front,
    /// Once credentials and action are known to be right.
    Admission,
    /// When a change has been made.
    Change,
    /// When the answer goes out.
    Answer,
    /// Not on the way of a request.
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

    /// The fault for the next so many requests.
    #[must_use]
    pub fn times(kind: FaultKind, times: u32) -> Self {
        Self { kind, action: None, times: Some(times) }
    }

    /// The fault for the next request.
    #[must_use]
    pub fn once(kind: FaultKind) -> Self {
        Self::times(kind, 1)
    }

    /// The same for requests of that action alone.
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

    /// The oldest fault that meets a request of the action at that stage; one turn of it is used.
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
