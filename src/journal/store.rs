//! What a journal is kept in. A [`Store`] is opened to be written or to be read; another database can take
//! SQLite's place behind these traits, and in tests memory does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::{
    chain::{Entry, Head},
    clock::SecondClock,
    record::{Filter, HeldKey, KeyClaim, Unassigned, View},
};
use crate::{
    domain::{OperationId, Outcome, Resource},
    error::Fault,
};

/// A place where a journal is kept. Both ways of opening may block.
pub(super) trait Store: Send + Sync {
    /// Opens or makes the journal, for one gateway at a time: until the ledger is closed or dropped, no
    /// other can.
    ///
    /// # Errors
    /// When another gateway has it open, it is no journal or one of another version, its last entries do
    /// not hold, or it cannot be written.
    fn open(&self, keys: KeyTerms) -> Result<Opened, Fault>;

    /// Opens the journal to be read, whether a gateway has it open or not.
    ///
    /// # Errors
    /// When it cannot be read or is no journal.
    fn read(&self) -> Result<Box<dyn Archive>, Fault>;

    /// A fault of this journal.
    fn fault(&self, error: &dyn std::fmt::Display) -> Fault;
}

/// A journal that is open to be written.
pub(super) struct Opened {
    pub(super) ledger: Box<dyn Ledger>,
    /// For lists and single operations.
    pub(super) archive: Arc<dyn Archive>,
    /// For idempotency keys, which never wait for lists.
    pub(super) keyed: Arc<dyn Archive>,
}

/// How long idempotency keys are kept, and by which clock beside our own.
#[derive(Clone, Debug)]
pub(super) struct KeyTerms {
    pub(super) lifetime: Duration,
    pub(super) clock: SecondClock,
}

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
    Remember(Arc<KeptAnswer>),
    /// A further one of an operation.
    End(Arc<Closing>),
}

/// An intent, ready to be written: its content, and what of it lists are searched by.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) id: OperationId,
    pub(super) at: SystemTime,
    pub(super) caller: String,
    pub(super) action: String,
    pub(super) resources: Vec<Resource>,
    pub(super) request_id: String,
    pub(super) content: String,
    pub(super) key: Option<KeyClaim>,
}

/// What a caller is answered again under a key, ready to be written.
#[derive(Debug)]
pub(super) struct KeptAnswer {
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
    pub(super) content: String,
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

    /// Deletes so many entries at most, the oldest, all from before that moment and of operations that were
    /// over by then. How many it were.
    fn prune(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError>;

    /// The end of the chain as this ledger wrote or found it last.
    fn head(&self) -> Head;

    /// How much room it takes and has left; none where that cannot be told.
    fn space(&self) -> Option<Space> {
        None
    }

    /// Tidies up; everything is durable before. Another gateway may then open the journal.
    fn close(self: Box<Self>);
}

/// Reads, on any thread, beside the ledger and never in its way; may block.
pub(super) trait Archive: Send + Sync {
    /// One operation.
    fn find(&self, id: OperationId) -> Result<Option<View>, StoreError>;

    /// Operations, newest first. Stops with an error when its caller stops waiting.
    fn list(&self, filter: &Filter, unheard: &Unheard) -> Result<Vec<View>, StoreError>;

    /// Operations whose outcome is not final and that were not given up, oldest first.
    fn unfinished(&self) -> Result<Vec<View>, StoreError>;

    /// What holds a caller's key; keys claimed at or before `expired` are held by nothing.
    fn by_key(
        &self,
        caller: &str,
        key: &str,
        expired: SystemTime,
    ) -> Result<Option<HeldKey>, StoreError>;

    /// Unassigns since then that took place or may have.
    fn unassigned_since(&self, since: SystemTime) -> Result<Vec<Unassigned>, StoreError>;

    /// Where the chain begins and since when; none where no entry was ever deleted.
    fn start(&self) -> Result<Option<(Head, SystemTime)>, StoreError>;

    /// Each entry in its order, until `each` says no; with each, where the chain begins, which comes back
    /// too. However long `each` takes, the ledger is not in its way.
    fn entries(&self, each: &mut dyn FnMut(Head, Entry) -> bool) -> Result<Head, StoreError>;

    /// The first entry whose operation lists would show otherwise than the entries say, or not at all.
    fn misfiled(&self) -> Result<Option<i64>, StoreError>;

    /// What should be known of what is read, for people.
    fn note(&self) -> Option<&str> {
        None
    }

    /// Closes what is kept for the next read.
    fn close_idle(&self);
}
