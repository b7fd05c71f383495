//! The journal as the rest of the gateway uses it: begin, end, find, list.

mod open;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

pub(super) use open::Tuning;
use tokio::sync::oneshot;

use super::{
    Settings,
    clock::SecondClock,
    content,
    queue::{Begin, Queue, Receipt, What},
    reads::{Reads, Unreadable},
    record::{Ending, Filter, HeldKey, Intent, KeyClaim, Unassigned, View},
    sqlite,
    store::{Archive, KeptAnswer, Opening, StoreError, Unheard},
    ticket::{AskedAt, Ticket},
};
use crate::{
    domain::{ChangeIpv4, IdempotencyKey, OperationId, Outcome},
    error::Fault,
    metrics::Metrics,
    mutex::lock,
    policy::Permit,
};

/// How long closing may take.
const CLOSING: Duration = Duration::from_secs(10);

/// The record of writes; a clone is the same one. Dropping the last one closes it in its own time.
#[derive(Clone, Debug)]
pub struct Journal(Option<Arc<Inner>>);

struct Inner {
    queue: Arc<Queue>,
    reads: Reads,
    /// What keyed writes ask: they never wait for lists.
    keyed: Reads,
    healthy: Arc<AtomicBool>,
    tuning: Tuning,
    second_clock: SecondClock,
    /// Resolves when the writer has left.
    left: Mutex<Option<oneshot::Receiver<()>>>,
}

/// Why there is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// The intent is not durable, or not in time: nothing may be sent. The text is for the log.
    #[error("the journal cannot be written: {0}")]
    Unavailable(String),
    /// The caller's idempotency key is held already.
    #[error("the idempotency key is held already")]
    KeyTaken,
    /// Of the caller, or of all, as many answers are kept under keys as may be, and this one is not.
    /// Another has room in so long.
    #[error("the most answers that may be kept under idempotency keys are kept")]
    TooManyAnswers(Duration),
}

/// An outcome is not durable yet; the writer goes on trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outcome is not on disk yet")]
pub struct NotYet;

impl Journal {
    /// Opens or makes the journal; no other gateway can until it is closed. Gives back every
    /// operation, oldest first, whose outcome is pending or unknown. [`Journal::off`] where the
    /// settings say so. Blocks.
    ///
    /// # Errors
    /// When another gateway has it open, it is no journal, its last entries do not hold, or it
    /// cannot be written.
    pub fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<(Self, Vec<View>), Fault> {
        let tuning = Tuning::default();
        let store = sqlite::SqliteStore::new(&settings.path, tuning.busy);
        Self::open_in(&store, settings, metrics, tuning)
    }

    /// Without a journal: permits become tickets that leave no record.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Whether writes are recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sets a second clock, which must agree before old entries are deleted and before idempotency keys
    /// end. Until it tells the time, neither happens. The first clock that is set stays.
    pub fn set_second_clock(&self, clock: impl Fn() -> Option<SystemTime> + Send + Sync + 'static) {
        if let Some(inner) = &self.0 {
            inner.second_clock.set(Box::new(clock));
        }
    }

    /// Makes the intent durable; only then there is a ticket. Waits for 2 s at most. An intent that
    /// gets on disk after this was given up, or dropped, is recorded as not sent at once.
    ///
    /// # Errors
    /// [`BeginError::Unavailable`] where it is not durable in time, [`BeginError::KeyTaken`] where
    /// the caller used the idempotency key in the last 24 h by both clocks, and not for a write that
    /// never happened.
    pub async fn begin(
        &self,
        permit: Permit<ChangeIpv4>,
        intent: Intent,
    ) -> Result<Ticket, BeginError> {
        let asked = AskedAt::now();
        let Some(inner) = &self.0 else { return Ok(Ticket::new(permit, None, asked)) };
        let opening = opening(&permit, intent, (asked.at, inner.second_clock.theirs()));
        let receipt = inner.write(What::Intent(Arc::new(opening))).await?;
        Ok(Ticket::new(permit, receipt, asked))
    }

    /// Makes an answer durable that a caller is to be given again under a key, where there was
    /// nothing to write. Waits for 2 s at most. Does nothing without a journal.
    ///
    /// # Errors
    /// As [`Journal::begin`], and [`BeginError::TooManyAnswers`] where 1,000 answers are kept for the
    /// caller, or 100,000 for all.
    pub async fn remember(
        &self,
        caller: &str,
        claim: KeyClaim,
        answer: String,
    ) -> Result<(), BeginError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let memory = KeptAnswer { caller: caller.to_owned(), claim, answer };
        inner.write(What::Answer(Arc::new(memory))).await.map(drop)
    }

    /// Makes an outcome durable. Waits for 2 s at most, and goes on trying for as long as the
    /// journal is open. An outcome after a final one changes nothing; neither does `Pending`.
    ///
    /// # Errors
    /// [`NotYet`] where it takes longer.
    pub async fn end(&self, id: OperationId, ending: Ending) -> Result<(), NotYet> {
        let Some(inner) = &self.0 else { return Ok(()) };
        if ending.outcome == Outcome::Pending {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        inner.queue.end(id, &ending, Some(reply));
        let waited = tokio::time::timeout(inner.tuning.patience, answer).await;
        if waited.is_err() {
            inner.is_slow();
        }
        waited.map_err(|_| NotYet)?.map_err(|_| NotYet)
    }

    /// One operation; none where there is no such one, or no journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn find(&self, id: OperationId) -> Result<Option<View>, Unreadable> {
        self.read(move |archive, _| archive.find(id)).await
    }

    /// Operations, newest first; none without a journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn list(&self, filter: Filter) -> Result<Vec<View>, Unreadable> {
        self.read(move |archive, unheard| archive.list(&filter, unheard)).await
    }

    /// What holds a caller's idempotency key.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn by_key(
        &self,
        caller: &str,
        key: &IdempotencyKey,
    ) -> Result<Option<HeldKey>, Unreadable> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let (caller, key) = (caller.to_owned(), key.as_str().to_owned());
        let expired = inner.second_clock.expired(inner.tuning.key_lifetime);
        inner.keyed.run(move |archive, _| archive.by_key(&caller, &key, expired)).await
    }

    /// The unassigns asked for since then that took place or may have, oldest first: what a budget
    /// must remember over a restart.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn recent_unassigned(
        &self,
        since: SystemTime,
    ) -> Result<Vec<Unassigned>, Unreadable> {
        self.read(move |archive, _| archive.unassigned_since(since)).await
    }

    /// Whether writes can be recorded, as far as is known; true where none are.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.healthy.load(Ordering::Relaxed))
    }

    /// Writes what waits, tidies up, and lets another gateway have the journal. What is begun
    /// afterwards is unavailable. Waits for 10 s at most: a disk that hangs must not keep the process.
    pub async fn close(&self) {
        let Some(inner) = &self.0 else { return };
        inner.queue.close();
        // The writer's connection shall be the last one: SQLite then takes its log away.
        inner.reads.close_idle();
        inner.keyed.close_idle();
        let left = lock(&inner.left).take();
        let Some(left) = left else { return };
        if tokio::time::timeout(CLOSING, left).await.is_err() {
            tracing::error!(
                "the journal's disk does not respond: stopping without closing the journal"
            );
        }
    }

    /// Reads off the runtime's own threads.
    async fn read<T: Default + Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Archive, &Unheard) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Unreadable> {
        match &self.0 {
            Some(inner) => inner.reads.run(read).await,
            None => Ok(T::default()),
        }
    }

    /// The same journal with lists read elsewhere.
    #[cfg(test)]
    pub(super) fn reading(self, archive: Arc<dyn Archive>) -> Self {
        let mut inner = Arc::into_inner(self.0.unwrap()).unwrap();
        inner.reads = Reads::new(archive, false);
        Self(Some(Arc::new(inner)))
    }

    /// How many intents wait for the writer.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.queue.len())
    }
}

impl Inner {
    /// Has the writer begin something, and waits for it.
    async fn write(&self, what: What) -> Result<Option<Receipt>, BeginError> {
        let (reply, answer) = oneshot::channel();
        self.queue.begin(Begin { what, reply })?;
        let unavailable = |why: &str| BeginError::Unavailable(why.to_owned());
        match tokio::time::timeout(self.tuning.patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unavailable("its writer has stopped")),
            Err(_) => {
                self.is_slow();
                Err(unavailable("it took too long"))
            }
        }
    }

    /// The disk may hang, and the writer with it: it cannot say so itself, and takes it back when it
    /// can.
    fn is_slow(&self) {
        self.healthy.store(false, Ordering::Relaxed);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Inner");
        shown.field("healthy", &self.healthy).field("second_clock", &self.second_clock);
        shown.finish_non_exhaustive()
    }
}

/// An intent to be written, with the time by both clocks.
fn opening(
    permit: &Permit<ChangeIpv4>,
    intent: Intent,
    (at, theirs): (SystemTime, Option<SystemTime>),
) -> Opening {
    let (id, call) = (OperationId::new(), permit.operation().call());
    let content = content::of_intent((id, &call), permit, &intent, (at, theirs));
    Opening {
        id,
        at,
        caller: intent.caller.id().to_owned(),
        action: call.action,
        resources: call.resources,
        request_id: intent.request_id,
        content,
        key: intent.key,
    }
}
