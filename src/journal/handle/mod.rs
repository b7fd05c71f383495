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
    queue::{Begin, BeginError, Queue, Receipt, What},
    reads::{Reads, Unreadable},
    record::{Ending, Filter, HeldKey, Intent, KeyClaim, Page, View},
    secrets, sqlite,
    store::{Archive, KeptAnswer, Opening, StoreError, Unheard},
    ticket::{AskedAt, Ticket},
};
use crate::{
    domain::{IdempotencyKey, OperationId, Outcome, WriteCall},
    error::Fault,
    metrics::Metrics,
    mutex::lock,
    policy::Permit,
};

/// The timeout of closing.
const CLOSING: Duration = Duration::from_secs(10);

/// The record of writes; a clone is the same one. Dropping the last clone closes the journal in the
/// background.
#[derive(Clone, Debug)]
pub struct Journal(Option<Arc<Inner>>);

struct Inner {
    queue: Arc<Queue>,
    reads: Reads,
    /// Reads of idempotency keys for writes: they never wait for lists.
    keyed: Reads,
    healthy: Arc<AtomicBool>,
    tuning: Tuning,
    second_clock: SecondClock,
    /// Resolves when the writer has ended.
    left: Mutex<Option<oneshot::Receiver<()>>>,
}

/// An outcome is not durable yet; the writer keeps trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outcome is not on disk yet")]
pub struct NotYet;

impl Journal {
    /// Opens or creates the journal; no other gateway can open it until it is closed. Returns every operation
    /// whose outcome is pending or unknown, oldest first. If the settings disable the journal, this returns
    /// [`Journal::off`]. Blocks.
    ///
    /// # Errors
    /// When another gateway has it open, it is not a journal, its last entries are broken, or it cannot be
    /// written.
    pub fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<(Self, Vec<View>), Fault> {
        let tuning = Tuning::default();
        let store = sqlite::SqliteStore::new(&settings.path, tuning.busy);
        Self::open_in(&store, settings, metrics, tuning)
    }

    /// No journal: permits become tickets that leave no record.
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
    /// expire. Until it shows a time, neither happens. The first clock that is set stays.
    pub fn set_second_clock(&self, clock: impl Fn() -> Option<SystemTime> + Send + Sync + 'static) {
        if let Some(inner) = &self.0 {
            inner.second_clock.set(Box::new(clock));
        }
    }

    /// Makes the intent durable; only then is there a ticket. Waits for 2 s at most. If this call gives up or
    /// is dropped and the intent becomes durable all the same, it is recorded as not sent at once.
    ///
    /// # Errors
    /// [`BeginError::Unavailable`] if it is not durable in time. [`BeginError::KeyTaken`] if the caller used
    /// the idempotency key in the last 24 h by both clocks, unless that write never happened.
    pub async fn begin(
        &self,
        permit: Permit<WriteCall>,
        intent: Intent,
    ) -> Result<Ticket, BeginError> {
        let asked = AskedAt::now();
        let Some(inner) = &self.0 else { return Ok(Ticket::new(permit, None, asked)) };
        let opening = opening(&permit, intent, (asked.at, inner.second_clock.theirs()));
        let receipt = inner.write(What::Intent(Arc::new(opening))).await?;
        Ok(Ticket::new(permit, receipt, asked))
    }

    /// Makes an answer durable that the caller must get again under a key, because there was nothing to
    /// write. Waits for 2 s at most. Does nothing without a journal.
    ///
    /// # Errors
    /// As [`Journal::begin`], and [`BeginError::TooManyAnswers`] if 1,000 answers are kept for the caller, or
    /// 100,000 for all.
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

    /// Makes an outcome durable. Waits for 2 s at most, and keeps trying in the background while the journal
    /// is open. An outcome after a final one changes nothing; neither does `Pending`.
    ///
    /// # Errors
    /// [`NotYet`] if it takes longer.
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

    /// One operation; `None` if there is no such operation, or no journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn find(&self, id: OperationId) -> Result<Option<View>, Unreadable> {
        self.read(move |archive, _| archive.find(id)).await
    }

    /// Operations, newest first; an empty page without a journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn list(&self, filter: Filter) -> Result<Page, Unreadable> {
        self.read(move |archive, unheard| archive.list(&filter, unheard)).await
    }

    /// The operation or the answer that holds a caller's idempotency key.
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

    /// The writes of these actions that were requested since then and took place or may have, oldest first. A
    /// budget must count them after a restart.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn recent_writes(
        &self,
        actions: Vec<String>,
        since: SystemTime,
    ) -> Result<Vec<View>, Unreadable> {
        self.read(move |archive, _| archive.writes_since(&actions, since)).await
    }

    /// Whether writes can be recorded, as far as is known; true without a journal.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.healthy.load(Ordering::Relaxed))
    }

    /// Writes what is queued, cleans up, and lets another gateway open the journal. Writes that begin
    /// afterwards get [`BeginError::Unavailable`]. Waits for 10 s at most: a hanging disk must not keep the
    /// process alive.
    pub async fn close(&self) {
        let Some(inner) = &self.0 else { return };
        inner.queue.close();
        // The writer's connection must be the last one to close, because then SQLite removes its log.
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

    /// Reads outside the runtime's own threads.
    async fn read<T: Default + Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Archive, &Unheard) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Unreadable> {
        match &self.0 {
            Some(inner) => inner.reads.run(read).await,
            None => Ok(T::default()),
        }
    }

    /// The same journal, with lists read from another archive.
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
    /// Queues something for the writer, and waits until it is written.
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

    /// The disk may hang, and the writer with it, so it cannot report that itself. It sets the flag back when
    /// it can.
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
    permit: &Permit<WriteCall>,
    intent: Intent,
    (at, theirs): (SystemTime, Option<SystemTime>),
) -> Opening {
    let (id, call) = (OperationId::new(), permit.operation().recorded(&secrets::digest));
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
