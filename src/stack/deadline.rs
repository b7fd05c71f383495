use std::time::Duration;

use http::Request;
use tokio::time::Instant;

/// Until when an answer to this request is worth having.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Instant);

/// Gives the request its deadline. Nothing is dropped when it passes: whoever waits inside does
/// so until then at most, and knows best what to say after it.
pub(super) fn stamp<B>(timeout: Duration, request: &mut Request<B>) {
    request.extensions_mut().insert(Deadline(Instant::now() + timeout));
}
