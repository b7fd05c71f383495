use http::Request;

use crate::{
    domain::Caller,
    error::Error,
    limit::{Callers, Places},
};

/// Refuses a caller who asks too often or has too much running; others are served meanwhile. A
/// public route has no caller, and no such limit.
pub(super) fn limit<B>(callers: &Callers, request: &mut Request<B>) -> Result<(), Error> {
    if let Some(caller) = request.extensions().get::<Caller>() {
        let place = callers.admit(caller.id())?;
        request.extensions_mut().get_or_insert_default::<Places>().hold(place);
    }
    Ok(())
}
