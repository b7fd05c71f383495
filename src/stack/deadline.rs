//! The layer that gives a request its deadline.

use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use super::request_state::RequestState;
use crate::error::Error;

/// Sets the request's deadline. The request is not dropped when the deadline passes: the inner layers wait until then
/// at most, and know best what to answer after it.
pub(super) fn stamp<B>(timeout: Duration, request: &mut Request<B>) -> Result<(), Error> {
    RequestState::of(request)?.deadline = Some(Instant::now() + timeout);
    Ok(())
}
