//! The layer that authenticates the caller and removes the token.

use std::{sync::Arc, time::SystemTime};

use http::{Request, header};
use tower::{Service, ServiceExt};

use super::request_state::RequestState;
use crate::{
    api::{Access, Answer},
    auth::Authenticator,
    error::{Error, Problem},
};

/// Authenticates the caller if the route requires it. No later layer sees the token.
pub(super) async fn authenticate<B, S>(
    authenticator: Arc<Authenticator>,
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    match RequestState::of(&mut request)?.matched.as_ref().map(|matched| matched.route.access()) {
        Some(Access::Public) => {}
        Some(Access::Caller) => {
            let caller = authenticator.authenticate(request.headers(), SystemTime::now()).await?;
            let found = RequestState::of(&mut request)?;
            found.record.note(|facts| facts.caller = Some(caller.id().to_owned()));
            found.caller = Some(caller);
        }
        None => return Err(Error::new(Problem::Internal, "a request without a route")),
    }
    request.headers_mut().remove(header::AUTHORIZATION);
    next.ready().await?.call(request).await
}
