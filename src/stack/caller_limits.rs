//! The layer that applies the limits of the caller.

use http::Request;

use super::request_state::RequestState;
use crate::{error::Error, limit::Callers};

/// Refuses a request if its caller sends requests too often or has too many in flight; other callers are served
/// meanwhile. A public route has no caller, and so no such limit.
pub(super) fn limit<B>(callers: &Callers, request: &mut Request<B>) -> Result<(), Error> {
    let found = RequestState::of(request)?;
    if let Some(caller) = &found.caller {
        found.places.hold_of_caller(callers.admit(caller.id())?);
    }
    Ok(())
}
