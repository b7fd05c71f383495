use std::sync::Arc;

use http::Request;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::{
    api::Answer,
    error::{Error, Problem},
    limit::Places,
};

/// How many requests may run at once.
#[derive(Clone, Debug)]
pub(super) struct Limit(Arc<Semaphore>);

impl Limit {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }
}

/// Refuses a request at once where too many run already, for a queue would only make all of them
/// late; and where the gateway is about to stop, for it might not be finished in time.
pub(super) async fn shed<B, S>(
    limit: Limit,
    draining: CancellationToken,
    mut request: Request<B>,
    next: S,
) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    if draining.is_cancelled() {
        return Err(Error::new(
            Problem::Draining,
            "this instance is stopping; nothing was sent, try again",
        ));
    }
    let Ok(place) = limit.0.try_acquire_owned() else {
        return Err(Error::new(
            Problem::Overloaded,
            "more requests run than the gateway takes; nothing was sent, try again",
        ));
    };
    request.extensions_mut().get_or_insert_default::<Places>().hold(place);
    next.oneshot(request).await
}
