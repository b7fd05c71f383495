//! The one thread that appends. In each round it writes everything that is queued in one transaction, so that
//! many writes share one wait for the disk.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Ending,
    chain::Head,
    clock::SecondClock,
    months,
    queue::{Begin, BeginError, End, Queue, Receipt, What},
    store::{Applied, Closing, Failed, Ledger, Space, Step, StoreError},
};
use crate::{clock, domain::Outcome, metrics::Metrics};

/// How often the chain's head is logged, if it has moved. Logs are kept elsewhere, so the file can later be
/// compared with the logged head.
const ANCHOR_EVERY: Duration = Duration::from_mins(10);

/// From this many writes in a transaction on, more are likely to be on their way. A short wait then saves
/// most of the transactions. When writes come alone again, this wait soon stops.
const BATCHING_FROM: usize = 4;

/// How often the writer checks for more writes, at most.
const MAX_POLLS: usize = 8;

/// How long until the next sweep if there was nothing to delete.
const SWEEP_PAUSE: Duration = Duration::from_mins(1);

/// The most entries that are deleted at once: a matter of milliseconds.
const SWEPT_AT_ONCE: usize = 500;

/// How long outcomes are tried after the journal is closed: less than closing waits for.
const LAST_TRIES: Duration = Duration::from_secs(8);

/// Everything that the writer's thread needs.
pub(super) struct LedgerWriter {
    pub(super) ledger: Box<dyn Ledger>,
    pub(super) queue: Arc<Queue>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) healthy: Arc<AtomicBool>,
    pub(super) pace: Pace,
    /// Must agree before anything is deleted.
    pub(super) second_clock: SecondClock,
}

/// How the writer divides its work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The most intents in one transaction.
    pub(super) max_batch: usize,
    /// The interval at which the writer checks for more writes to share a transaction.
    pub(super) gather: Duration,
    /// After a failure, outcomes are tried again after this time.
    pub(super) retry: Duration,
    /// Without work, the file is checked at this interval.
    pub(super) look: Duration,
    /// For this long after opening, nothing is deleted: the gateway first looks for the outcomes that earlier
    /// runs left open.
    pub(super) settle: Duration,
    /// How many months entries are kept; 0 keeps them for ever.
    pub(super) keep_months: u32,
}

pub(super) struct WriterState {
    pub(super) writer: LedgerWriter,
    /// Outcomes that are not durable yet, in order.
    owed: VecDeque<End>,
    fault: Option<StoreError>,
    anchored: (Head, Instant),
    /// When the space was last measured.
    measured: Instant,
    /// How many writes have shared a transaction lately.
    crowd: usize,
    /// When expired entries are searched for next.
    sweep_at: Instant,
    /// Why the last sweep failed.
    unswept: Option<StoreError>,
    /// Since when the thread has been running only for outcomes that could not be written.
    closing: Option<Instant>,
}

impl LedgerWriter {
    /// Sets the metrics to the end of the chain.
    pub(super) fn show_head(&self) {
        let head = self.ledger.head();
        self.metrics.journal.head(head.length, &head.hash.short());
    }

    /// Sets the metrics to the space that the journal takes and has left.
    pub(super) fn show_space(&self) {
        if let Some(Space { log, bytes, free }) = self.ledger.space() {
            self.metrics.journal.space(log, bytes, free);
        }
    }

    /// Appends until the queue is closed and empty.
    pub(super) fn run(self) {
        let mut state = self.begin();
        loop {
            if state.round() && state.writer.queue.leave() {
                break;
            }
        }
        state.finish();
    }

    pub(super) fn begin(self) -> WriterState {
        let (anchored, settle) = ((self.ledger.head(), Instant::now()), self.pace.settle);
        log_head("a journal is open", anchored.0);
        WriterState {
            writer: self,
            owed: VecDeque::new(),
            fault: None,
            anchored,
            measured: anchored.1,
            crowd: 0,
            sweep_at: anchored.1 + settle,
            unswept: None,
            closing: None,
        }
    }
}

impl WriterState {
    /// Runs one round. Returns whether it was the last.
    fn round(&mut self) -> bool {
        let pace = self.writer.pace;
        let wait = if self.owed.is_empty() { pace.look } else { pace.retry };
        if self.crowd >= BATCHING_FROM {
            self.gather();
        }
        self.turn(wait)
    }

    /// Takes what is queued, or arrives within `wait`, and writes it. Returns whether it was the last time.
    pub(super) fn turn(&mut self, wait: Duration) -> bool {
        let pace = self.writer.pace;
        let taken = self.writer.queue.take(pace.max_batch, wait);
        // A crowd may arrive in two halves once, so its size decays only slowly.
        self.crowd = (taken.begins.len() + taken.ends.len()).max(self.crowd * 3 / 4);
        self.owed.extend(taken.ends);
        // Their callers have stopped waiting, and nothing of them is written yet.
        let begins: Vec<Begin> =
            taken.begins.into_iter().filter(|begin| !begin.reply.is_closed()).collect();
        if begins.is_empty() && self.owed.is_empty() {
            if !taken.finished {
                self.look();
            }
        } else {
            self.commit(begins);
        }
        self.prune();
        self.anchor();
        self.measure();
        taken.finished && self.may_leave()
    }

    /// Waits while more writes arrive, until as many are there as before.
    fn gather(&self) {
        let queue = &self.writer.queue;
        let mut there = queue.len();
        for _ in 0..MAX_POLLS {
            if there >= self.crowd {
                return;
            }
            std::thread::sleep(self.writer.pace.gather);
            let before = std::mem::replace(&mut there, queue.len());
            if there == before {
                return;
            }
        }
    }

    /// Whether no outcome is left, or they have been tried for long enough since the closing.
    fn may_leave(&mut self) -> bool {
        if self.owed.is_empty() {
            return true;
        }
        let since = *self.closing.get_or_insert_with(Instant::now);
        if since.elapsed() >= LAST_TRIES {
            return true;
        }
        // A closed queue does not wait any more, so this does.
        std::thread::sleep(self.writer.pace.retry);
        false
    }

    fn commit(&mut self, begins: Vec<Begin>) {
        let ends = self.owed.iter().map(|end| Step::End(Arc::clone(&end.closing)));
        let intents = begins.iter().map(|begin| match &begin.what {
            What::Intent(opening) => Step::Begin(Arc::clone(opening)),
            What::Answer(memory) => Step::Remember(Arc::clone(memory)),
        });
        let steps: Vec<Step> = ends.chain(intents).collect();
        let started = Instant::now();
        let result = self.writer.ledger.append(&steps);
        self.writer.metrics.journal.committed(result.is_ok(), started.elapsed());
        self.writer.show_head();
        match result {
            Ok(applied) => {
                self.set_health(Ok(()));
                let mut applied = applied.into_iter();
                let ended: Vec<_> = self.owed.drain(..).zip(&mut applied).collect();
                for (end, applied) in ended {
                    self.ended(end, applied);
                }
                for (begin, applied) in begins.into_iter().zip(applied) {
                    self.begun(begin, applied);
                }
            }
            Err(failed) => self.failed(begins, &failed),
        }
    }

    fn ended(&self, end: End, applied: Applied) {
        let End { closing, reply, if_there } = end;
        let (id, outcome) = (closing.id, closing.outcome);
        match applied {
            Applied::Appended => self.writer.metrics.journal.recorded(outcome),
            Applied::Ended(before) if before == outcome => {}
            Applied::NoSuchOperation if if_there => {}
            other => {
                tracing::error!(operation = %id, outcome = outcome.label(), found = ?other, "an outcome does not fit the journal and is not recorded");
            }
        }
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    /// If the caller has stopped waiting, dropping the receipt queues "not sent" ahead of every intent, so
    /// that it is in the very next transaction.
    fn begun(&self, begin: Begin, applied: Applied) {
        let Begin { what, reply } = begin;
        let answer = match (applied, what) {
            (Applied::Appended, What::Intent(opening)) => {
                self.writer.metrics.journal.recorded(Outcome::Pending);
                Ok(Some(Receipt::new(opening.id, Arc::clone(&self.writer.queue))))
            }
            (Applied::Remembered, What::Answer(_)) => Ok(None),
            (Applied::KeyTaken, _) => Err(BeginError::KeyTaken),
            (Applied::TooManyAnswers(wait), _) => Err(BeginError::TooManyAnswers(wait)),
            (
                Applied::Appended
                | Applied::Remembered
                | Applied::Ended(_)
                | Applied::NoSuchOperation,
                _,
            ) => Err(BeginError::Unavailable(
                "the store gave an unexpected result for an intent".to_owned(),
            )),
        };
        let _ = reply.send(answer);
    }

    /// Intents are given up; outcomes stay in line.
    fn failed(&mut self, begins: Vec<Begin>, failed: &Failed) {
        // Set before any caller gets the error, because that caller may ask for the journal's health.
        self.set_health(Err(failed.error.clone()));
        for begin in begins {
            if let (true, What::Intent(opening)) = (failed.perhaps_done, &begin.what) {
                let ending = Ending::new(Outcome::NotSent);
                let closing = Arc::new(Closing::of(opening.id, &ending));
                self.owed.push_back(End { closing, reply: None, if_there: true });
            }
            let _ = begin.reply.send(Err(BeginError::Unavailable(failed.error.to_string())));
        }
    }

    /// Runs between writes. If the journal could not be written, it is tried out here. While it is not ready,
    /// there may be no write that would show it is usable again.
    fn look(&mut self) {
        let mut found = self.writer.ledger.look();
        if found.is_ok() && self.fault.is_some() {
            found = self.writer.ledger.try_out();
        }
        self.set_health(found);
    }

    /// Sets the health, and logs a change once.
    fn set_health(&mut self, found: Result<(), StoreError>) {
        self.writer.healthy.store(found.is_ok(), Ordering::Relaxed);
        let fault = found.err();
        match (&self.fault, &fault) {
            (Some(_), None) => tracing::info!("the journal can be written again"),
            (before, Some(now)) if before.as_ref() != Some(now) => {
                tracing::error!(cause = %now, "the journal cannot be written: writes are refused until it can");
            }
            _ => {}
        }
        self.fault = fault;
    }

    /// Deletes expired entries, a few at a time, because writes wait for it.
    fn prune(&mut self) {
        let Pace { look, keep_months, .. } = self.writer.pace;
        if keep_months == 0 || self.fault.is_some() || Instant::now() < self.sweep_at {
            return;
        }
        // The gateway's own clock alone may be years ahead.
        let now = self.writer.second_clock.agrees(clock::now());
        let Some(before) = now.and_then(|now| months::begun_before(now, keep_months)) else {
            return;
        };
        let swept = self.writer.ledger.prune(before, SWEPT_AT_ONCE);
        let pause = if matches!(swept, Ok(1..)) { look } else { SWEEP_PAUSE };
        self.sweep_at = Instant::now() + pause;
        let failed = swept.err();
        if failed != self.unswept
            && let Some(cause) = &failed
        {
            tracing::warn!(%cause, "expired entries could not be deleted");
        }
        self.unswept = failed;
    }

    fn anchor(&mut self) {
        let (head, at) = self.anchored;
        let now = self.writer.ledger.head();
        if head != now && at.elapsed() >= ANCHOR_EVERY {
            log_head("the journal has grown", now);
            self.anchored = (now, Instant::now());
        }
    }

    /// Measures the space now and then, however much is written.
    fn measure(&mut self) {
        if self.measured.elapsed() >= self.writer.pace.look {
            self.measured = Instant::now();
            self.writer.show_space();
        }
    }

    #[cfg(test)]
    pub(super) fn owes_nothing(&self) -> bool {
        self.owed.is_empty()
    }

    pub(super) fn finish(self) {
        let Self { writer, owed, .. } = self;
        let LedgerWriter { ledger, healthy, .. } = writer;
        healthy.store(false, Ordering::Relaxed);
        for End { closing, .. } in owed {
            tracing::error!(operation = %closing.id, outcome = closing.outcome.label(), "the journal was closed before this outcome could be recorded");
        }
        log_head("the journal is closed", ledger.head());
        ledger.close();
    }
}

fn log_head(what: &'static str, head: Head) {
    tracing::info!(entries = head.length, head = %head.hash, "{what}");
}
