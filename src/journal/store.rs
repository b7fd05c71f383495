//! The traits of what keeps a journal. A [`Store`] is opened for writing or for reading. Another database can
//! replace SQLite behind these traits, and in tests memory does.

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
    record::{Filter, HeldKey, KeyClaim, Page, View},
};
use crate::{
    domain::{OperationId, Outcome, Resource},
    error::Fault,
};

/// A place that keeps a journal. Both ways of opening may block.
pub(super) trait Store: Send + Sync {
    /// Opens or creates the journal, for one gateway at a time: no other can open it until the ledger is
    /// closed or dropped.
    ///
    /// # Errors
    /// When another gateway has it open, it is not a journal or one of another version, its last entries are
    /// broken, or it cannot be written.
    fn open(&self, keys: KeyTerms) -> Result<Opened, Fault>;

    /// Opens the journal for reading, whether a gateway has it open or not.
    ///
    /// # Errors
    /// When it cannot be read or is not a journal.
    fn read(&self) -> Result<Box<dyn Archive>, Fault>;

    /// Makes a fault of this journal, for people.
    fn fault(&self, error: &dyn std::fmt::Display) -> Fault;
}

/// A journal that is open for writing.
pub(super) struct Opened {
    pub(super) ledger: Box<dyn Ledger>,
    /// For reads of lists and single operations.
    pub(super) archive: Arc<dyn Archive>,
    /// For reads of idempotency keys, which never wait for lists.
    pub(super) keyed: Arc<dyn Archive>,
}

/// How long idempotency keys are kept, and the second clock that must agree.
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

    /// Notes that the caller has stopped waiting.
    pub(super) fn say(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why the store could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(pub(super) String);

/// One thing to be written.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The first entry of an operation.
    Begin(Arc<Opening>),
    /// Not an entry: the answer of an idempotency key, if there was nothing to write.
    Remember(Arc<KeptAnswer>),
    /// A further entry of an operation.
    End(Arc<Closing>),
}

/// An intent, ready to be written: its content, and the values by which lists find it.
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

/// An answer that is repeated under a key, ready to be written.
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
    /// Whether the gateway has given up finding the outcome.
    pub(super) given_up: bool,
    pub(super) frees_key: bool,
    pub(super) content: String,
}

/// The result of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It is an entry now.
    Appended,
    /// The answer is kept.
    Remembered,
    /// The idempotency key is held already; nothing was written.
    KeyTaken,
    /// The limit of kept answers is reached; nothing was written. There is room for another after this wait.
    TooManyAnswers(Duration),
    /// The operation already had this outcome, a final one or the same; nothing was appended.
    Ended(Outcome),
    /// There is no such operation; nothing was appended.
    NoSuchOperation,
}

/// How much space a store takes and has left, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// The part of `bytes` that the log takes.
    pub(super) log: u64,
    pub(super) bytes: u64,
    pub(super) free: u64,
}

/// Why a batch was not appended.
#[derive(Debug)]
pub(super) struct Failed {
    /// The cause, for the log.
    pub(super) error: StoreError,
    /// Whether it may have been appended all the same, because the commit itself failed.
    pub(super) perhaps_done: bool,
}

/// Appends, one batch at a time, on the writer's thread; may block.
pub(super) trait Ledger: Send {
    /// Appends a whole batch durably, or nothing. Returns one result for each step, in the same order.
    fn append(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed>;

    /// Checks whether the opened files are still there, without writing. Quick.
    fn look(&mut self) -> Result<(), StoreError>;

    /// Writes something and removes it, to find out whether an entry could be appended.
    fn try_out(&mut self) -> Result<(), StoreError>;

    /// Deletes at most `most` entries, the oldest first. All of them are from before that moment, and of
    /// operations that had ended by then. Returns how many were deleted.
    fn prune(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError>;

    /// The end of the chain, as this ledger last wrote or read it.
    fn head(&self) -> Head;

    /// How much space it takes and has left; `None` if that is unknown.
    fn space(&self) -> Option<Space> {
        None
    }

    /// Cleans up; everything is durable already. Another gateway may open the journal afterwards.
    fn close(self: Box<Self>);
}

/// Reads, on any thread, without blocking the ledger; may block itself.
pub(super) trait Archive: Send + Sync {
    /// One operation.
    fn find(&self, id: OperationId) -> Result<Option<View>, StoreError>;

    /// Operations, newest first. Stops with an error if its caller stops waiting.
    fn list(&self, filter: &Filter, unheard: &Unheard) -> Result<Page, StoreError>;

    /// Operations without a final outcome that the gateway has not given up, oldest first.
    fn unfinished(&self) -> Result<Vec<View>, StoreError>;

    /// What holds a caller's key. A key claimed at or before `expired` is free.
    fn by_key(
        &self,
        caller: &str,
        key: &str,
        expired: SystemTime,
    ) -> Result<Option<HeldKey>, StoreError>;

    /// Writes of these actions that were requested since then and took place or may have, oldest first.
    fn writes_since(&self, actions: &[String], since: SystemTime) -> Result<Vec<View>, StoreError>;

    /// Where the chain begins and since when; `None` if no entry was ever deleted.
    fn start(&self) -> Result<Option<(Head, SystemTime)>, StoreError>;

    /// Passes each entry in order to `each`, until `each` returns false. Each call also gets the beginning of
    /// the chain, which is returned too. However long `each` takes, it does not block the ledger.
    fn entries(&self, each: &mut dyn FnMut(Head, Entry) -> bool) -> Result<Head, StoreError>;

    /// The first entry whose operation lists would omit, or show differently from the entries.
    fn misfiled(&self) -> Result<Option<i64>, StoreError>;

    /// A warning about this journal, for people.
    fn note(&self) -> Option<&str> {
        None
    }

    /// Closes the connections that are kept for later reads.
    fn close_idle(&self);
}
