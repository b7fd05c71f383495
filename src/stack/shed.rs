//! The layer that refuses requests over the limit, and during a drain.

use http::Request;
use tokio_util::sync::CancellationToken;

use super::request_state::RequestState;
use crate::{
    error::{Error, Problem},
    limit::{AtOnce, Live},
};

/// Refuses a request at once if too many are in flight, because a queue would only delay all of them. Also refuses it
/// if the gateway is about to stop, because the request might not finish in time.
pub(super) fn shed<B>(
    running: &AtOnce,
    limits: &Live,
    draining: &CancellationToken,
    request: &mut Request<B>,
) -> Result<(), Error> {
    if draining.is_cancelled() {
        return Err(Error::new(
            Problem::Draining,
            "this instance is stopping; nothing was sent, try again",
        ));
    }
    let most = limits.now().settings.max_concurrent_requests;
    let Some(place) = running.begin(most) else {
        return Err(Error::new(
            Problem::Overloaded,
            "more requests run at once than the gateway accepts; nothing was sent, try again",
        ));
    };
    RequestState::of(request)?.places.hold_among_all(place);
    Ok(())
}
