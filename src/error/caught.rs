//! Runs a future and turns its panic into a value.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// Runs a future to its end; `None` if it panics, after the panic hook has run. Values that a panic leaves half done
/// are dropped with the future, so nothing else sees them. The future is borrowed because it may be large, and an async
/// function would hold it twice.
pub async fn caught<T>(mut inner: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}
