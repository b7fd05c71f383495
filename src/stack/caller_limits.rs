use std::sync::Arc;

use http::Request;
use tower::{Service, ServiceExt};

use crate::{
    api::Answer,
    domain::Caller,
    error::Error,
    limit::{Callers, Places},
};

/// Refuses a caller who asks too often or has too much running; others are served meanwhile. A
/// public route has no caller, and no such limit.
pub(super) async fn limit<B, S>(
    callers: Arc<Callers>,
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    if let Some(caller) = request.extensions().get::<Caller>() {
        let place = callers.admit(caller.id())?;
        request.extensions_mut().get_or_insert_default::<Places>().hold(place);
    }
    next.ready().await?.call(request).await
}
