use std::sync::Arc;

use http::Request;
use tower::{Service, ServiceExt};

use crate::{api::Answer, domain::Caller, error::Error, limit::Callers};

/// Refuses a caller who asks too often or has too much running; others are served meanwhile. A
/// public route has no caller, and no such limit.
pub(super) async fn limit<B, S>(
    callers: Arc<Callers>,
    request: Request<B>,
    next: S,
) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    let caller = request.extensions().get::<Caller>();
    let _running = caller.map(|caller| callers.admit(caller.id())).transpose()?;
    next.oneshot(request).await
}
