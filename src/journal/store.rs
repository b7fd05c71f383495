//! What a journal is kept in: two traits, so that another database can take SQLite's place.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::{
    chain::Head,
    record::{Filter, Held, KeyClaim, Unassigned, View},
};
use crate::domain::{OperationId, Outcome};

/// Whether the caller of a read has stopped waiting for it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unheard(Arc<AtomicBool>);

impl Unheard {
    pub(super) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The caller has stopped waiting.
    pub(super) fn say(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why the store did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(pub(super) String);

/// One thing that shall be written.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The first of an operation.
    Begin(Arc<Opening>),
    /// No entry: an idempotency key's answer, where there was nothing to write.
    Remember(Arc<Memory>),
    /// A further one of an operation.
    End(Arc<Closing>),
}

/// An intent, ready to be written.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) id: OperationId,
    pub(super) at: SystemTime,
    pub(super) caller: String,
    pub(super) nic: String,
    pub(super) action: &'static str,
    pub(super) request_id: String,
    pub(super) body: String,
    pub(super) key: Option<KeyClaim>,
}

/// What a caller is answered again under a key, ready to be written.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) caller: String,
    pub(super) claim: KeyClaim,
    pub(super) answer: String,
}

/// An outcome, ready to be written.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) id: OperationId,
    pub(super) at: SystemTime,
    pub(super) outcome: Outcome,
    /// Nothing more will be known of it.
    pub(super) given_up: bool,
    pub(super) frees_key: bool,
    pub(super) body: String,
}

/// What became of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It is an entry now.
    Appended,
    /// The answer is kept.
    Remembered,
    /// The idempotency key is held already; nothing was written.
    KeyTaken,
    /// As many answers are kept as may be; nothing was written. Another has room in so long.
    TooManyAnswers(Duration),
    /// The operation had this outcome already, a final one or the same; nothing was appended.
    Ended(Outcome),
    /// There is no such operation; nothing was appended.
    NoSuchOperation,
}

/// How much room a store takes and has left, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// What its log takes of that.
    pub(super) log: u64,
    pub(super) bytes: u64,
    pub(super) free: u64,
}

/// Why a batch was not appended.
#[derive(Debug)]
pub(super) struct Failed {
    /// The cause.
    pub(super) error: StoreError,
    /// Whether it may have been appended all the same: the commit itself failed.
    pub(super) perhaps_done: bool,
}

/// Appends, one batch at a time, driven by the writer's thread; may block.
pub(super) trait Ledger: Send {
    /// Appends all of a batch, or nothing, durably. One answer a step, in the same order.
    fn append(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed>;

    /// Looks whether what was opened is still there, without writing. Quick.
    fn look(&mut self) -> Result<(), StoreError>;

    /// Writes something and takes it away again: whether an entry could be appended.
    fn try_out(&mut self) -> Result<(), StoreError>;

    /// Lets go of so many entries at most, the oldest, all from before that moment and of operations
    /// that were over by then. How many it were.
    fn let_go(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError>;

    /// The end of the chain as this ledger wrote or found it last.
    fn head(&self) -> Head;

    /// How much room it takes and has left; none where that cannot be told.
    fn space(&self) -> Option<Space> {
        None
    }

    /// Tidies up; everything is durable before.
    fn close(self: Box<Self>);
}

/// Reads, on any thread, beside the ledger and never in its way; may block.
pub(super) trait Archive: Send + Sync {
    /// One operation.
    fn find(&self, id: OperationId) -> Result<Option<View>, StoreError>;

    /// Operations, newest first. Stops with an error when its caller stops waiting.
    fn list(&self, filter: &Filter, unheard: &Unheard) -> Result<Vec<View>, StoreError>;

    /// What holds a caller's key; keys claimed at or before `expired` are held by nothing.
    fn by_key(
        &self,
        caller: &str,
        key: &str,
        expired: SystemTime,
    ) -> Result<Option<Held>, StoreError>;

    /// Lets go of what is kept for the next read.
    fn rest(&self);

    /// Unassigns since then that took place or may have.
    fn unassigned_since(&self, since: SystemTime) -> Result<Vec<Unassigned>, StoreError>;
}
