//! The layer that finds the route of a request.

use http::Request;

use super::request_state::RequestState;
use crate::{api::Router, error::Error};

/// Finds the request's route in the table. No later layer reads the path.
pub(super) fn route<B>(router: &Router, request: &mut Request<B>) -> Result<(), Error> {
    let matched = router.route(request.method(), request.uri().path());
    let route = match &matched {
        Ok(matched) => Some(matched.route.path()),
        Err((route, _)) => *route,
    };
    let found = RequestState::of(request)?;
    found.record.note(|facts| facts.route = route);
    found.matched = Some(matched.map_err(|(_, error)| error)?);
    Ok(())
}
