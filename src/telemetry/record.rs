//! The record of one request, filled on its way and logged at its end.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime},
};

use super::TraceParent;
use crate::domain::{Action, Peer};
use crate::mutex::lock;

/// What becomes of one request, filled in as it travels and logged once, at its end.
#[derive(Debug)]
pub struct Record {
    request_id: String,
    trace: Option<TraceParent>,
    peer: Option<Peer>,
    started: Instant,
    started_at: SystemTime,
    facts: Mutex<Facts>,
}

/// A time that ZEC was asked during a request: one read, tried again or not, or one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZecCall {
    /// For what.
    pub action: Action,
    /// How long the request had been running by then.
    pub after: Duration,
    /// How long it took.
    pub took: Duration,
    /// What came of it, as the metrics say it: `ok`, `rejected` and so on.
    pub outcome: &'static str,
    /// ZEC's id of the request, where it said yes.
    pub request_id: Option<String>,
}

/// What a caller asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// ZEC's action.
    pub action: Action,
    /// The vNIC's id.
    pub nic: String,
    /// How many addresses are named.
    pub addresses: usize,
}

/// What there is to say of a request; never a token, a signature or a body.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The route's pattern, out of the table.
    pub route: Option<&'static str>,
    /// Who called, as `corp/alice`.
    pub caller: Option<String>,
    /// What the caller asked for.
    pub asked: Option<Asked>,
    /// What the policy said.
    pub decision: Option<&'static str>,
    /// The policies that allowed it, or forbade it.
    pub policies: Vec<String>,
    /// Whether it was logged that the shadow policy decides otherwise.
    pub shadow_told: bool,
    /// ZEC's request id.
    pub zec_request_id: Option<String>,
    /// Each time that ZEC was asked, in order.
    pub zec_calls: Vec<ZecCall>,
    /// The problem's slug and the cause that the caller is not told.
    pub problem: Option<(&'static str, Option<String>)>,
}

impl Facts {
    /// How long ZEC took, reads and write together.
    #[must_use]
    pub fn zec_took(&self) -> Duration {
        self.zec_calls.iter().map(|call| call.took).sum()
    }

    /// What was asked, as the fields of a log event: action, vNIC and number of addresses.
    #[must_use]
    pub fn asked_fields(&self) -> (Option<&'static str>, Option<&str>, Option<usize>) {
        match &self.asked {
            Some(Asked { action, nic, addresses }) => {
                (Some(action.name()), Some(nic), Some(*addresses))
            }
            None => (None, None, None),
        }
    }
}

impl Record {
    /// The record of a request that starts now, as a part of that trace, from that peer.
    #[must_use]
    pub fn start(request_id: &str, trace: Option<TraceParent>, peer: Option<Peer>) -> Self {
        Self {
            request_id: request_id.to_owned(),
            trace,
            peer,
            started: Instant::now(),
            started_at: SystemTime::now(),
            facts: Mutex::default(),
        }
    }

    /// The trace that the caller says it is a part of.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceParent> {
        self.trace.as_ref()
    }

    /// Where the request came from.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.peer
    }

    /// The gateway's id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Adds to what is known.
    pub fn note(&self, add: impl FnOnce(&mut Facts)) {
        // A panic elsewhere leaves whole facts behind: each note is one assignment or two.
        add(&mut self.facts());
    }

    /// What is known so far; nothing can be added while it is held.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }

    /// When the request began, by the clock on the wall.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// How long the request has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
