//! A finished request, and the trait of what receives it.

use std::{
    fmt::Debug,
    time::{Duration, SystemTime},
};

use http::StatusCode;

use super::{Facts, TraceParent};

/// A request that is over, for whoever keeps spans.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The gateway's id of it.
    pub request_id: String,
    /// The trace that the caller says it is a part of.
    pub trace: Option<TraceParent>,
    /// When it began.
    pub started: SystemTime,
    /// How long it ran.
    pub took: Duration,
    /// Its method, out of a closed set.
    pub method: &'static str,
    /// How it was answered; none if the caller hung up before.
    pub status: Option<StatusCode>,
    /// What there is to say of it.
    pub facts: Facts,
}

/// Where requests go when they are over. It must never block or fail: the caller waits.
pub trait Sink: Debug + Send + Sync {
    /// Whether a request of that trace, or of none, is to be handed over. Asked once for each.
    fn wants(&self, trace: Option<&TraceParent>) -> bool;

    /// Takes one that it wants, if there is room.
    fn finished(&self, request: Finished);
}
