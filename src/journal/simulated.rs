//! A journal whose writer works in virtual time, on a simulated disk that can fail.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Settings, View,
    chain::Head,
    handle::{Journal, Tuning},
    memory::MemoryStore,
    sqlite::SqliteStore,
    store::{Applied, Archive, Failed, KeyTerms, Ledger, Opened, Step, Store, StoreError},
    writer::LedgerWriter,
};
use crate::{
    domain::{OperationId, Outcome, Resource},
    error::Fault,
    metrics::Metrics,
};

/// Where a journal is kept so that it outlives the gateways of a simulation.
#[derive(Clone)]
pub(crate) struct Place(Arc<dyn Store>);

impl Place {
    /// In a file.
    pub(crate) fn file(path: &Path) -> Self {
        Self(Arc::new(SqliteStore::new(path, Tuning::default().busy)))
    }

    /// In memory.
    pub(crate) fn memory() -> Self {
        Self(Arc::new(MemoryStore::default()))
    }
}

/// A store whose ledger is wrapped in another one.
pub(super) struct Wrapped<'a> {
    pub(super) inner: &'a dyn Store,
    pub(super) wrap: &'a (dyn Fn(Box<dyn Ledger>) -> Box<dyn Ledger> + Send + Sync),
}

impl Store for Wrapped<'_> {
    fn open(&self, keys: KeyTerms) -> Result<Opened, Fault> {
        let Opened { ledger, archive, keyed } = self.inner.open(keys)?;
        Ok(Opened { ledger: (self.wrap)(ledger), archive, keyed })
    }

    fn read(&self) -> Result<Box<dyn Archive>, Fault> {
        self.inner.read()
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> Fault {
        self.inner.fault(error)
    }
}

/// What a transaction is about to write, as far as a simulation needs it.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// An intent.
    Begun(Begun),
    /// An outcome, and whether the gateway gave up with it.
    Ended(OperationId, Outcome, bool),
}

/// An intent that is durable.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) id: OperationId,
    pub(crate) caller: String,
    pub(crate) action: String,
    pub(crate) resources: Vec<Resource>,
    /// The content of its entry.
    pub(crate) content: String,
    pub(crate) key: Option<String>,
}

/// The fate of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable.
    Well,
    /// It fails, and nothing is written.
    Refused,
    /// It fails, but is durable all the same.
    Unheard,
}

/// The disk.
pub(crate) trait Disk: Send + Sync {
    /// Decides on a transaction that is about to be written.
    fn decide(&self) -> Fate;

    /// Gets what has just become durable.
    fn wrote(&self, written: Vec<Written>);

    /// How long until the writer checks its queue again.
    fn pause(&self) -> Duration;
}

struct OnDisk {
    inner: Box<dyn Ledger>,
    disk: Arc<dyn Disk>,
}

impl Ledger for OnDisk {
    fn append(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed> {
        let failed =
            |perhaps_done| Failed { error: StoreError("simulated".to_owned()), perhaps_done };
        let fate = self.disk.decide();
        if fate == Fate::Refused {
            return Err(failed(false));
        }
        let applied = self.inner.append(steps)?;
        let durable =
            steps.iter().zip(&applied).filter(|(_, applied)| **applied == Applied::Appended);
        let written = durable.filter_map(|(step, _)| match step {
            Step::Begin(opening) => Some(Written::Begun(Begun {
                id: opening.id,
                caller: opening.caller.clone(),
                action: opening.action.clone(),
                resources: opening.resources.clone(),
                content: opening.content.clone(),
                key: opening.key.as_ref().map(|claim| claim.key.as_str().to_owned()),
            })),
            Step::End(closing) => {
                Some(Written::Ended(closing.id, closing.outcome, closing.given_up))
            }
            Step::Remember(_) => None,
        });
        self.disk.wrote(written.collect());
        if fate == Fate::Unheard { Err(failed(true)) } else { Ok(applied) }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        self.inner.look()
    }

    fn try_out(&mut self) -> Result<(), StoreError> {
        self.inner.try_out()
    }

    fn prune(&mut self, before: std::time::SystemTime, most: usize) -> Result<usize, StoreError> {
        self.inner.prune(before, most)
    }

    fn head(&self) -> Head {
        self.inner.head()
    }

    fn close(self: Box<Self>) {
        self.inner.close();
    }
}

/// Opens a journal on that disk; its writer is a task of the current runtime.
pub(crate) fn open(
    place: &Place,
    metrics: Arc<Metrics>,
    disk: &Arc<dyn Disk>,
) -> Result<(Journal, Vec<View>), Fault> {
    let mut tuning = Tuning { reads_at_once: true, ..Tuning::default() };
    tuning.pace.retry = Duration::ZERO;
    let wrap = |inner| -> Box<dyn Ledger> {
        let disk = Arc::clone(disk);
        Box::new(OnDisk { inner, disk })
    };
    let store = Wrapped { inner: &*place.0, wrap: &wrap };
    let settings = Settings { path: PathBuf::new(), enabled: true, keep_months: 0 };
    Journal::open_by(&store, &settings, metrics, tuning, |writer| {
        let ((leaves, left), disk) = (oneshot::channel(), Arc::clone(disk));
        tokio::spawn(async move {
            work(writer, &*disk).await;
            let _ = leaves.send(());
        });
        Ok(left)
    })
}

async fn work(writer: LedgerWriter, disk: &dyn Disk) {
    let mut state = writer.begin();
    loop {
        if state.owes_nothing() && state.writer.queue.len() == 0 {
            let came = state.writer.queue.came.notified();
            // About as often as a real writer checks the file.
            let _ = tokio::time::timeout(Duration::from_secs(60), came).await;
        }
        tokio::time::sleep(disk.pause()).await;
        if state.turn(Duration::ZERO) && state.writer.queue.leave() {
            break;
        }
    }
    state.finish();
}
