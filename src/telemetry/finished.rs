//! A finished request, and the trait for the part that receives it.

use std::{
    fmt::Debug,
    time::{Duration, SystemTime},
};

use http::StatusCode;

use super::{Facts, TraceParent};

/// A finished request, from which spans are made.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The request's id.
    pub request_id: String,
    /// The trace that the caller names, if any.
    pub trace: Option<TraceParent>,
    /// When the request began, by the system's clock.
    pub started: SystemTime,
    /// How long the request took.
    pub took: Duration,
    /// The method, from a closed set.
    pub method: &'static str,
    /// The status of the answer; `None` if the caller hung up before.
    pub status: Option<StatusCode>,
    /// What the gateway learned about the request.
    pub facts: Facts,
}

/// Receives finished requests. It must never block or fail, because the caller waits.
pub trait Sink: Debug + Send + Sync {
    /// Whether to pass on a request of this trace, or of no trace. Called once for each request.
    fn wants(&self, trace: Option<&TraceParent>) -> bool;

    /// Takes a request that it wants, if there is room.
    fn finished(&self, request: Finished);
}
