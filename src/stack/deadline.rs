//! The layer that gives a request its deadline.

use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use super::request_state::RequestState;
use crate::error::Error;

/// Gives the request its deadline. Nothing is dropped when it passes: whoever waits inside does
/// so until then at most, and knows best what to say after it.
pub(super) fn stamp<B>(timeout: Duration, request: &mut Request<B>) -> Result<(), Error> {
    RequestState::of(request)?.deadline = Some(Instant::now() + timeout);
    Ok(())
}
