//! The layer that gives a request its deadlines.

use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use super::request_state::RequestState;
use crate::error::Error;

/// How long an answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Any answer.
    pub request: Duration,
    /// The answer to a read, and everything that is read before a write. It counts only if it is the shorter one.
    pub read: Duration,
}

/// Sets the request's deadlines. The request is not dropped when a deadline passes: the inner layers wait until then
/// at most, and know best what to answer after it.
pub(super) fn stamp<B>(timeouts: Timeouts, request: &mut Request<B>) -> Result<(), Error> {
    let now = Instant::now();
    let Timeouts { request: whole, read } = timeouts;
    RequestState::of(request)?.deadlines = Some((now + whole, now + read.min(whole)));
    Ok(())
}
