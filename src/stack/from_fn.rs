//! Makes a layer from an async function of the request and the next service.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower::{Layer, Service};

/// Makes a layer of `function(request, next)`, which either calls `next.ready().await?.call(request)` or answers the
/// request itself.
pub(super) fn from_fn<F>(function: F) -> FromFn<F> {
    FromFn { function: Arc::new(function) }
}

pub(super) struct FromFn<F> {
    function: Arc<F>,
}

impl<F> Clone for FromFn<F> {
    fn clone(&self) -> Self {
        Self { function: Arc::clone(&self.function) }
    }
}

impl<F, S> Layer<S> for FromFn<F> {
    type Service = FromFnService<F, S>;

    fn layer(&self, next: S) -> Self::Service {
        FromFnService { function: Arc::clone(&self.function), next: Arc::new(next) }
    }
}

/// A clone is two pointers, however many layers follow. Each layer makes one per request.
pub(super) struct FromFnService<F, S> {
    function: Arc<F>,
    next: Arc<S>,
}

impl<F, S> Clone for FromFnService<F, S> {
    fn clone(&self) -> Self {
        Self { function: Arc::clone(&self.function), next: Arc::clone(&self.next) }
    }
}

impl<F, S, B, Fut, T, E> Service<Request<B>> for FromFnService<F, S>
where
    F: Fn(Request<B>, S) -> Fut,
    S: Clone,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    type Response = T;
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

    /// Always ready: any wait is inside the call, where it is counted and timed.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin((self.function)(request, S::clone(&self.next)))
    }
}
