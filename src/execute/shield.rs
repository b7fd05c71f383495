//! Work that goes on after its caller has stopped waiting.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Work that runs in the task that waits for it. If that task stops waiting, a new task takes the work over
/// and passes the result to `unheard`. Until then, no other task has to be woken.
pub(super) struct Shield<F, U>
where
    F: Future + Send + 'static,
    U: FnOnce(F::Output) + Send + 'static,
{
    work: Option<(Pin<Box<F>>, U)>,
    tasks: TaskTracker,
}

impl<F, U> Shield<F, U>
where
    F: Future + Send + 'static,
    U: FnOnce(F::Output) + Send + 'static,
{
    /// The tracker in `tasks` counts the tasks that take work over.
    pub(super) fn new(work: Pin<Box<F>>, unheard: U, tasks: TaskTracker) -> Self {
        Self { work: Some((work, unheard)), tasks }
    }
}

impl<F, U> Future for Shield<F, U>
where
    F: Future + Send + 'static,
    U: FnOnce(F::Output) + Send + Unpin + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out during the poll: work that panics is over, and no task takes it over.
        let Some((mut work, unheard)) = self.work.take() else { return Poll::Pending };
        let poll = work.as_mut().poll(cx);
        if poll.is_pending() {
            self.work = Some((work, unheard));
        }
        poll
    }
}

impl<F, U> Drop for Shield<F, U>
where
    F: Future + Send + 'static,
    U: FnOnce(F::Output) + Send + 'static,
{
    fn drop(&mut self) {
        // Without a runtime this thread is ending, and the work cannot go on.
        if let (Some((work, unheard)), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            self.tasks.spawn_on(async move { unheard(work.await) }, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tokio::sync::oneshot;

    use super::*;

    fn unheard(tell: oneshot::Sender<u8>) -> impl FnOnce(u8) + Send + Unpin {
        |output| tell.send(output).unwrap()
    }

    #[tokio::test]
    async fn a_waiting_caller_gets_the_result_and_the_log_does_not() {
        let (tell, told) = oneshot::channel();
        let tasks = TaskTracker::new();
        let work = async {
            tokio::task::yield_now().await;
            7
        };
        assert_eq!(Shield::new(Box::pin(work), unheard(tell), tasks.clone()).await, 7);
        assert!(told.await.is_err());
        assert!(tasks.is_empty());
    }

    #[tokio::test]
    async fn work_without_a_waiting_caller_goes_on_and_a_drain_waits_for_it() {
        let (tell, told) = oneshot::channel();
        let (go_on, wait) = oneshot::channel::<()>();
        let tasks = TaskTracker::new();
        let work = async {
            wait.await.unwrap();
            7
        };
        let mut shield = Shield::new(Box::pin(work), unheard(tell), tasks.clone());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut shield).poll(&mut cx).is_pending());
        drop(shield);
        assert_eq!(tasks.len(), 1);
        go_on.send(()).unwrap();
        assert_eq!(told.await.unwrap(), 7);
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn what_has_not_begun_goes_on_too_and_what_panics_does_not() {
        let (tell, told) = oneshot::channel();
        drop(Shield::new(Box::pin(async { 7 }), unheard(tell), TaskTracker::new()));
        assert_eq!(told.await.unwrap(), 7);

        let (tell, told) = oneshot::channel();
        let tasks = TaskTracker::new();
        let mut broken =
            Shield::new(Box::pin(async { panic!("a bug") }), unheard(tell), tasks.clone());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let poll = || Pin::new(&mut broken).poll(&mut cx).is_ready();
        catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
        drop(broken);
        assert!(tasks.is_empty());
        assert!(told.await.is_err());
    }
}
