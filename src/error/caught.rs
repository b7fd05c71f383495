//! Runs a future and turns its panic into a value.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// Drives a future to its end; none where it panics, once the panic hook has had its say. What a panic
/// leaves half done is dropped with the future, and seen by nobody. It is lent, for it may be large, and
/// an async function would hold it twice.
pub async fn caught<T>(mut inner: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}
