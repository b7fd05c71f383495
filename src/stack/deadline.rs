use std::time::Duration;

use http::Request;
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use crate::{api::Answer, error::Error};

/// Until when an answer to this request is worth having.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Instant);

/// Gives the request its deadline. Nothing is dropped when it passes: whoever waits inside does
/// so until then at most, and knows best what to say after it.
pub(super) async fn stamp<B, S>(
    timeout: Duration,
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    request.extensions_mut().insert(Deadline(Instant::now() + timeout));
    next.ready().await?.call(request).await
}
