//! A journal whose writer works in virtual time, on a disk that a simulation can let fail.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    Settings, View,
    chain::Head,
    handle::{Journal, Tuning},
    sqlite::SqliteLedger,
    store::{Applied, Failed, Ledger, Step, StoreError},
    writer::Writer,
};
use crate::{
    domain::{OperationId, Outcome},
    error::Fault,
    metrics::Metrics,
};

/// What a transaction is about to write, as far as a simulation wants to know.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// An intent: its id, its caller, its vNIC, its action, its body, and its key.
    Begun(Begun),
    /// An outcome, and whether the write was given up with it.
    Ended(OperationId, Outcome, bool),
}

/// An intent that is durable.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) id: OperationId,
    pub(crate) caller: String,
    pub(crate) nic: String,
    pub(crate) action: &'static str,
    pub(crate) body: String,
    pub(crate) key: Option<String>,
}

/// How a transaction fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable.
    Well,
    /// It fails, and nothing is written.
    Refused,
    /// It fails, and is durable all the same.
    Unheard,
}

/// The disk.
pub(crate) trait Disk: Send + Sync {
    /// Decides on a transaction that is about to be written.
    fn decide(&self) -> Fate;

    /// Hears what is durable now.
    fn wrote(&self, written: Vec<Written>);

    /// How long until the writer looks again whether anything waits.
    fn pause(&self) -> Duration;
}

struct OnDisk {
    inner: SqliteLedger,
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
                nic: opening.nic.clone(),
                action: opening.action,
                body: opening.body.clone(),
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

    fn let_go(&mut self, before: std::time::SystemTime, most: usize) -> Result<usize, StoreError> {
        self.inner.let_go(before, most)
    }

    fn head(&self) -> Head {
        self.inner.head()
    }

    fn close(self: Box<Self>) {
        Box::new(self.inner).close();
    }
}

/// Opens a journal on that disk; its writer is a task of the runtime that this is called on.
pub(crate) fn open(
    settings: &Settings,
    metrics: Arc<Metrics>,
    disk: Arc<dyn Disk>,
) -> Result<(Journal, Vec<View>), Fault> {
    let mut tuning = Tuning { reads_at_once: true, ..Tuning::default() };
    tuning.pace.retry = Duration::ZERO;
    let wrapped = Arc::clone(&disk);
    let wrap = move |inner| -> Box<dyn Ledger> { Box::new(OnDisk { inner, disk: wrapped }) };
    Journal::open_by(settings, metrics, tuning, wrap, |writer| {
        let (leaves, left) = oneshot::channel();
        tokio::spawn(async move {
            work(writer, &*disk).await;
            let _ = leaves.send(());
        });
        Ok(left)
    })
}

async fn work(writer: Writer, disk: &dyn Disk) {
    let mut state = writer.begin();
    loop {
        if state.owes_nothing() && state.writer.queue.len() == 0 {
            let came = state.writer.queue.came.notified();
            // As often as a real writer looks at the file, or nearly.
            let _ = tokio::time::timeout(Duration::from_secs(60), came).await;
        }
        tokio::time::sleep(disk.pause()).await;
        if state.turn(Duration::ZERO) && state.writer.queue.leave() {
            break;
        }
    }
    state.finish();
}
