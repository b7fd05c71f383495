//! The log record of one request, filled in on its way and logged at its end.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime},
};

use super::TraceParent;
use crate::domain::Peer;
use crate::mutex::lock;

/// The log record of one request, filled in as the request travels and logged once, at its end.
#[derive(Debug)]
pub struct Record {
    request_id: String,
    trace: Option<TraceParent>,
    peer: Option<Peer>,
    started: Instant,
    started_at: SystemTime,
    facts: Mutex<Facts>,
}

/// A call to ZEC during a request: one read with its retries, or one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZecCall {
    /// The action that was called.
    pub action: &'static str,
    /// How long the request had been running when the call began.
    pub after: Duration,
    /// How long the call took, with its retries.
    pub took: Duration,
    /// The result as the metrics name it: `ok`, `rejected` and so on.
    pub outcome: &'static str,
    /// ZEC's request id, if ZEC accepted the call.
    pub request_id: Option<String>,
}

/// The action, the resource and the number of addresses in a caller's request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// ZEC's action.
    pub action: &'static str,
    /// The vNIC's id, or the resources of another action, as `vpc/1612…`; empty if it names none.
    pub nic: String,
    /// How many addresses the request names.
    pub addresses: usize,
}

/// What the gateway learned about a request; never a token, a signature or a body.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The route's pattern, from the route table.
    pub route: Option<&'static str>,
    /// The caller, for example `corp/alice`.
    pub caller: Option<String>,
    /// What the client says about itself, in a call in ZEC's own form.
    pub software: Option<String>,
    /// The action, vNIC and number of addresses, if the request has them.
    pub asked: Option<Asked>,
    /// The policy's decision as the metrics name it, or `replayed` for an earlier answer under the same idempotency
    /// key.
    pub decision: Option<&'static str>,
    /// The ids of the policies that allowed or forbade the request.
    pub policies: Vec<String>,
    /// Whether the log already says that the shadow policy decides differently.
    pub shadow_told: bool,
    /// ZEC's request id, if it returned one.
    pub zec_request_id: Option<String>,
    /// Each call to ZEC, in order.
    pub zec_calls: Vec<ZecCall>,
    /// The problem's slug, and the cause, which the caller does not get.
    pub problem: Option<(&'static str, Option<String>)>,
}

impl Facts {
    /// How long ZEC took, reads and write together.
    #[must_use]
    pub fn zec_took(&self) -> Duration {
        self.zec_calls.iter().map(|call| call.took).sum()
    }

    /// The request's action, vNIC and number of addresses, as fields of a log event.
    #[must_use]
    pub fn asked_fields(&self) -> (Option<&'static str>, Option<&str>, Option<usize>) {
        match &self.asked {
            Some(Asked { action, nic, addresses }) => (Some(action), Some(nic), Some(*addresses)),
            None => (None, None, None),
        }
    }
}

impl Record {
    /// Starts the record of a request that begins now, with its trace and its peer.
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

    /// The trace that the caller names, if any.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceParent> {
        self.trace.as_ref()
    }

    /// Where the request came from.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.peer
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Adds facts to the record.
    pub fn note(&self, add: impl FnOnce(&mut Facts)) {
        // A panic elsewhere leaves complete facts behind: each note is one or two assignments.
        add(&mut self.facts());
    }

    /// The facts so far. No facts can be added while the guard is held.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }

    /// When the request began, by the system's clock.
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
