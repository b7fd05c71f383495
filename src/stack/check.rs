//! Makes a layer from a function that checks a request, records its findings on it, and may refuse it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower::{Layer, Service};

/// Makes a layer of `function(&mut request)`. A request that it refuses goes no further. The function waits for
/// nothing, so the layer needs no boxed future.
pub(super) fn check<F>(function: F) -> CheckLayer<F> {
    CheckLayer { function: Arc::new(function) }
}

pub(super) struct CheckLayer<F> {
    function: Arc<F>,
}

impl<F, S> Layer<S> for CheckLayer<F> {
    type Service = CheckService<F, S>;

    fn layer(&self, next: S) -> Self::Service {
        CheckService { function: Arc::clone(&self.function), next }
    }
}

pub(super) struct CheckService<F, S> {
    function: Arc<F>,
    next: S,
}

impl<F, S: Clone> Clone for CheckService<F, S> {
    fn clone(&self) -> Self {
        Self { function: Arc::clone(&self.function), next: self.next.clone() }
    }
}

impl<F, S, B> Service<Request<B>> for CheckService<F, S>
where
    F: Fn(&mut Request<B>) -> Result<(), S::Error>,
    S: Service<Request<B>>,
    S::Future: Unpin,
    S::Error: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Checked<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match (self.function)(&mut request) {
            Ok(()) => Checked::Passed(self.next.call(request)),
            Err(error) => Checked::Refused(Some(error)),
        }
    }
}

/// The future of a request that was checked.
pub(super) enum Checked<F, E> {
    /// The request was passed on.
    Passed(F),
    /// The request was refused; `None` once the error was returned.
    Refused(Option<E>),
}

impl<F, T, E> Future for Checked<F, E>
where
    F: Future<Output = Result<T, E>> + Unpin,
    E: Unpin,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Passed(future) => Pin::new(future).poll(cx),
            Self::Refused(error) => {
                error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
            }
        }
    }
}
