//! The layer that applies the limits of the caller.

use http::Request;

use super::request_state::RequestState;
use crate::{
    api::Context,
    error::Error,
    limit::{Callers, Live},
};

/// Refuses a request if its caller sends requests too often or has too many in flight; other callers are served
/// meanwhile. A public route has no caller, and so no such limit. A route whose requests wait for their turn is only
/// refused here if too many are in flight.
pub(super) fn limit<B>(callers: &Callers, request: &mut Request<B>) -> Result<(), Error> {
    let found = RequestState::of(request)?;
    let waits = found.matched.as_ref().is_some_and(|matched| matched.route.waits_for_its_turn());
    if let Some(caller) = &found.caller {
        let slot = if waits { callers.begin(caller.id())? } else { callers.admit(caller.id())? };
        found.places.hold_of_caller(slot);
    }
    Ok(())
}

/// Waits for the turn of a request on a route whose requests wait.
pub(super) async fn wait(limits: &Live, context: &Context) -> Result<(), Error> {
    match &context.caller {
        Some(caller) if context.matched.route.waits_for_its_turn() => {
            limits.wait_for_turn(caller.id(), context.reads_until).await
        }
        _ => Ok(()),
    }
}
