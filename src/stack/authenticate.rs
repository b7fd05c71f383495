use std::{sync::Arc, time::SystemTime};

use http::{Request, header};
use tower::{Service, ServiceExt};

use crate::{
    api::{Access, Answer, Matched},
    auth::Authenticator,
    error::{Error, Problem},
    telemetry::Record,
};

/// Finds out who calls, where the route wants to know. From here on the token is gone.
pub(super) async fn authenticate<B, S>(
    authenticator: Arc<Authenticator>,
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    match request.extensions().get::<Matched>().map(|matched| matched.access) {
        Some(Access::Public) => {}
        Some(Access::Caller) => {
            let caller = authenticator.authenticate(request.headers(), SystemTime::now()).await?;
            if let Some(record) = request.extensions().get::<Arc<Record>>() {
                record.note(|facts| facts.caller = Some(caller.id().to_owned()));
            }
            request.extensions_mut().insert(caller);
        }
        None => return Err(Error::new(Problem::Internal, "a request without a route")),
    }
    request.headers_mut().remove(header::AUTHORIZATION);
    next.ready().await?.call(request).await
}
