use std::sync::Arc;

use http::Request;

use crate::{api::Router, error::Error, telemetry::Record};

/// Finds the request's route in the table; the path is read here and nowhere after.
pub(super) fn route<B>(router: &Router, request: &mut Request<B>) -> Result<(), Error> {
    let found = router.route(request.method(), request.uri().path());
    let route = match &found {
        Ok(matched) => Some(matched.route),
        Err((route, _)) => *route,
    };
    if let Some(record) = request.extensions().get::<Arc<Record>>() {
        record.note(|facts| facts.route = route);
    }
    request.extensions_mut().insert(found.map_err(|(_, error)| error)?);
    Ok(())
}
