//! The queue of the writer's thread.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    content,
    record::Ending,
    store::{Closing, KeptAnswer, Opening},
};
use crate::{
    clock,
    domain::{OperationId, Outcome},
    mutex::lock,
};

/// Why a write gets no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// The intent is not durable, or not in time, so nothing may be sent. The text is for the log.
    #[error("the journal cannot be written: {0}")]
    Unavailable(String),
    /// The caller's idempotency key is held already.
    #[error("the idempotency key is held already")]
    KeyTaken,
    /// The limit of answers kept under keys is reached, for the caller or for all callers, so this answer was
    /// not kept. There is room for another after this wait.
    #[error("the limit of answers that are kept under idempotency keys is reached")]
    TooManyAnswers(Duration),
}

/// An intent, or an answer to be kept, that a caller waits for.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) what: What,
    /// The reply to an intent has a receipt.
    pub(super) reply: oneshot::Sender<Result<Option<Receipt>, BeginError>>,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub(super) enum What {
    Intent(Arc<Opening>),
    Answer(Arc<KeptAnswer>),
}

/// An outcome that must be written, whether a caller waits or not.
#[derive(Debug)]
pub(super) struct End {
    pub(super) closing: Arc<Closing>,
    pub(super) reply: Option<oneshot::Sender<()>>,
    /// Whether its operation may never have been written. Otherwise it is a fault if the operation is absent.
    pub(super) if_there: bool,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(super) struct QueueBatch {
    pub(super) begins: Vec<Begin>,
    pub(super) ends: Vec<End>,
    /// Nothing more will come.
    pub(super) finished: bool,
}

/// Holds intents up to a limit, and outcomes, which are never rejected: there are no more of them than there
/// were intents.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<QueueState>,
    arrived: Condvar,
    /// Wakes a writer that waits in virtual time.
    #[cfg(test)]
    pub(super) came: tokio::sync::Notify,
    max_begins: usize,
}

#[derive(Debug, Default)]
struct QueueState {
    begins: VecDeque<Begin>,
    ends: VecDeque<End>,
    closed: bool,
    /// The writer waits to be woken.
    idle: bool,
    /// The writer has ended and takes nothing more.
    left: bool,
}

impl Closing {
    /// An outcome that is learned now.
    pub(super) fn of(id: OperationId, ending: &Ending) -> Self {
        let at = clock::now();
        Self {
            id,
            at,
            outcome: ending.outcome,
            given_up: ending.given_up,
            frees_key: ending.frees_key,
            content: content::of_ending(id, ending, at),
        }
    }
}

impl Queue {
    pub(super) fn new(max_begins: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            #[cfg(test)]
            came: tokio::sync::Notify::new(),
            max_begins,
        }
    }

    /// Queues an intent.
    pub(super) fn begin(&self, begin: Begin) -> Result<(), BeginError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(BeginError::Unavailable("the journal is closed".to_owned()));
        }
        if waiting.begins.len() >= self.max_begins {
            return Err(BeginError::Unavailable("too many writes wait to be recorded".to_owned()));
        }
        waiting.begins.push_back(begin);
        self.wake(waiting);
        Ok(())
    }

    /// Queues an outcome, ahead of all intents. It counts as learned now, however late it is written.
    pub(super) fn end(&self, id: OperationId, ending: &Ending, reply: Option<oneshot::Sender<()>>) {
        let closing = Arc::new(Closing::of(id, ending));
        let mut waiting = self.lock();
        if waiting.left {
            let outcome = ending.outcome.label();
            tracing::error!(operation = %id, outcome, "an outcome came after the journal was closed and is not recorded");
            return;
        }
        waiting.ends.push_back(End { closing, reply, if_there: false });
        self.wake(waiting);
    }

    /// Waking costs a system call, and a writer that is working does not need it.
    fn wake(&self, mut waiting: MutexGuard<'_, QueueState>) {
        let idle = std::mem::take(&mut waiting.idle);
        drop(waiting);
        #[cfg(test)]
        self.came.notify_one();
        if idle {
            self.arrived.notify_one();
        }
    }

    /// Waits at most this long, then takes all outcomes and at most this many intents.
    pub(super) fn take(&self, max_begins: usize, wait: Duration) -> QueueBatch {
        let until = Instant::now() + wait;
        let mut waiting = self.lock();
        while waiting.begins.is_empty() && waiting.ends.is_empty() && !waiting.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting.idle = true;
            let woken = self.arrived.wait_timeout(waiting, left);
            (waiting, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let ends = waiting.ends.drain(..).collect();
        let many = max_begins.min(waiting.begins.len());
        let begins = waiting.begins.drain(..many).collect();
        QueueBatch { begins, ends, finished: waiting.closed && waiting.begins.is_empty() }
    }

    /// Accepts no intents from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        #[cfg(test)]
        self.came.notify_one();
        self.arrived.notify_all();
    }

    /// The writer ends, unless an outcome has come meanwhile. Returns whether it ends.
    pub(super) fn leave(&self) -> bool {
        let mut waiting = self.lock();
        waiting.left = waiting.ends.is_empty();
        waiting.left
    }

    /// How many intents and outcomes are queued.
    pub(super) fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.begins.len() + waiting.ends.len()
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // A panic elsewhere leaves whole commands behind: each is put in or taken out in one step.
        lock(&self.waiting)
    }
}

/// An intent is durable. If the receipt is dropped without being accepted, nothing will be sent, and the
/// writer records that. So no intent stays without an outcome because a caller went away.
#[derive(Debug)]
pub(super) struct Receipt {
    id: OperationId,
    queue: Arc<Queue>,
    accepted: bool,
}

impl Receipt {
    pub(super) fn new(id: OperationId, queue: Arc<Queue>) -> Self {
        Self { id, queue, accepted: false }
    }

    pub(super) fn id(&self) -> OperationId {
        self.id
    }

    /// The recorded write is going to be sent.
    pub(super) fn accept(mut self) {
        self.accepted = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.accepted {
            self.queue.end(self.id, &Ending::new(Outcome::NotSent), None);
        }
    }
}
