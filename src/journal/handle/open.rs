//! Opens a journal: its store, its readers, and the thread that writes.

use std::{
    io,
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{Inner, Journal};
use crate::{
    error::Fault,
    journal::{
        Settings, View,
        clock::SecondClock,
        queue::Queue,
        reads::Reads,
        store::{KeyTerms, Opened, Store},
        ticket::PATIENCE,
        writer::{LedgerWriter, Pace},
    },
    metrics::Metrics,
};

/// The journal's timeouts, and how it divides its work.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Tuning {
    /// How long a caller waits for a record to be durable.
    pub(in crate::journal) patience: Duration,
    /// How long SQLite waits for another connection's transaction.
    pub(in crate::journal) busy: Duration,
    /// How long an idempotency key is kept.
    pub(in crate::journal) key_lifetime: Duration,
    /// The most intents in the queue.
    pub(in crate::journal) max_waiting: usize,
    /// Whether reads run on the calling thread, as a simulation needs it.
    pub(in crate::journal) reads_at_once: bool,
    pub(in crate::journal) pace: Pace,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            patience: PATIENCE,
            busy: Duration::from_millis(250),
            key_lifetime: Duration::from_hours(24),
            max_waiting: 1024,
            reads_at_once: false,
            pace: Pace {
                max_batch: 256,
                gather: Duration::from_micros(100),
                retry: Duration::from_millis(200),
                look: Duration::from_secs(1),
                settle: Duration::from_hours(1),
                keep_months: 0,
            },
        }
    }
}

impl Journal {
    pub(in crate::journal) fn open_in(
        store: &dyn Store,
        settings: &Settings,
        metrics: Arc<Metrics>,
        tuning: Tuning,
    ) -> Result<(Self, Vec<View>), Fault> {
        Self::open_by(store, settings, metrics, tuning, start)
    }

    /// `run` starts the writer, and returns a receiver that resolves when the writer has ended.
    pub(in crate::journal) fn open_by(
        store: &dyn Store,
        settings: &Settings,
        metrics: Arc<Metrics>,
        tuning: Tuning,
        run: impl FnOnce(LedgerWriter) -> io::Result<oneshot::Receiver<()>>,
    ) -> Result<(Self, Vec<View>), Fault> {
        if !settings.enabled {
            return Ok((Self::off(), Vec::new()));
        }
        let second_clock = SecondClock::default();
        let keys = KeyTerms { lifetime: tuning.key_lifetime, clock: second_clock.clone() };
        let Opened { ledger, archive, keyed } = store.open(keys)?;
        let start = archive.start().map_err(|error| store.fault(&error))?;
        if let (Some((start, _)), 0) = (start, settings.keep_months) {
            let entries = start.length;
            tracing::warn!(
                entries,
                "old entries were deleted, but `journal.keep_months` is 0 now: was it set before?"
            );
        }
        let unfinished = archive.unfinished().map_err(|error| store.fault(&error))?;
        let queue = Arc::new(Queue::new(tuning.max_waiting));
        let healthy = Arc::new(AtomicBool::new(true));
        let writer = LedgerWriter {
            ledger,
            queue: Arc::clone(&queue),
            metrics,
            healthy: Arc::clone(&healthy),
            pace: Pace { keep_months: settings.keep_months, ..tuning.pace },
            second_clock: second_clock.clone(),
        };
        writer.show_head();
        writer.show_space();
        let left = run(writer).map_err(|error| store.fault(&error))?;
        let inner = Inner {
            queue,
            reads: Reads::new(archive, tuning.reads_at_once),
            keyed: Reads::new(keyed, tuning.reads_at_once),
            healthy,
            tuning,
            second_clock,
            left: Mutex::new(Some(left)),
        };
        Ok((Self(Some(Arc::new(inner))), unfinished))
    }
}

/// Starts the writer's thread; the returned receiver resolves when it has ended.
fn start(writer: LedgerWriter) -> io::Result<oneshot::Receiver<()>> {
    let (leaves, left) = oneshot::channel();
    let run = move || {
        writer.run();
        let _ = leaves.send(());
    };
    thread::Builder::new().name("journal".to_owned()).spawn(run)?;
    Ok(left)
}
