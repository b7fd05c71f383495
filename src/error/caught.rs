use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// Drives a future to its end; none where it panics, once the panic hook has had its say. What a panic
/// leaves half done is dropped with the future, and seen by nobody.
pub async fn caught<T>(inner: impl Future<Output = T>) -> Option<T> {
    let mut inner = pin!(inner);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}
