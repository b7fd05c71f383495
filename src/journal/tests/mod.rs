//! Tests of what the journal keeps, and of which faults it survives. The files are real; a gate replaces a
//! disk that may hang or fail.

mod files;
mod keys;
mod reading;
mod retention;
mod stores;
mod tampering;
mod tickets;
mod writing;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, SystemTime},
};

use rusqlite::Connection;
use serde_json::value::RawValue;
use tempfile::TempDir;

use super::{
    chain::Head,
    clock::SecondClock,
    handle::Tuning,
    simulated::Wrapped,
    sqlite::{SqliteLedger, SqliteStore},
    store::{Applied, Failed, KeyTerms, Ledger, Step, Store, StoreError},
    *,
};
use crate::{
    domain::{
        Addresses, Caller, Change, ChangeIpv4, IdempotencyKey, NicId, OperationId, Outcome,
        Resource, WriteCall,
    },
    metrics::Metrics,
    policy::{Engine, Permit, Source, Verdict},
};

/// Far more time than anything here takes; no test asserts it.
const LONG: Duration = Duration::from_secs(60);

/// A directory with a journal in it.
struct Desk {
    files: TempDir,
    metrics: Arc<Metrics>,
    tuning: Tuning,
}

impl Desk {
    fn new() -> Self {
        let tuning = Tuning { patience: LONG, busy: Duration::from_millis(1), ..Tuning::default() };
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        Self { files: tempfile::tempdir().unwrap(), metrics, tuning }
    }

    fn path(&self) -> PathBuf {
        self.files.path().join("journal.db")
    }

    fn settings(&self) -> Settings {
        Settings { path: self.path(), enabled: true, keep_months: 0 }
    }

    fn key_terms(&self) -> KeyTerms {
        KeyTerms { lifetime: self.tuning.key_lifetime, clock: SecondClock::default() }
    }

    fn open(&self) -> Journal {
        self.open_both().0
    }

    fn open_both(&self) -> (Journal, Vec<View>) {
        self.open_as(|ledger| ledger)
    }

    fn open_as(
        &self,
        wrap: impl FnOnce(Box<dyn Ledger>) -> Box<dyn Ledger> + Send,
    ) -> (Journal, Vec<View>) {
        self.open_kept(0, wrap)
    }

    /// A journal that keeps entries for this many months.
    fn open_kept(
        &self,
        keep_months: u32,
        wrap: impl FnOnce(Box<dyn Ledger>) -> Box<dyn Ledger> + Send,
    ) -> (Journal, Vec<View>) {
        let wrap = std::sync::Mutex::new(Some(wrap));
        let wrap = move |ledger| wrap.lock().unwrap().take().unwrap()(ledger);
        let store = Wrapped { inner: &self.store(), wrap: &wrap };
        let metrics = Arc::clone(&self.metrics);
        let settings = Settings { keep_months, ..self.settings() };
        Journal::open_in(&store, &settings, metrics, self.tuning).unwrap()
    }

    /// A journal whose SQLite ledger was changed first.
    fn open_sqlite(&self, change: impl Fn(&mut SqliteLedger) + Send + Sync) -> Journal {
        struct Changed<F>(SqliteStore, F);
        impl<F: Fn(&mut SqliteLedger) + Send + Sync> Store for Changed<F> {
            fn open(&self, keys: KeyTerms) -> Result<store::Opened, crate::error::Fault> {
                let mut ledger = self.0.ledger(keys)?;
                (self.1)(&mut ledger);
                self.0.opened(Box::new(ledger))
            }

            fn read(&self) -> Result<Box<dyn store::Archive>, crate::error::Fault> {
                self.0.read()
            }

            fn fault(&self, error: &dyn std::fmt::Display) -> crate::error::Fault {
                self.0.fault(error)
            }
        }
        let store = Changed(self.store(), change);
        let metrics = Arc::clone(&self.metrics);
        Journal::open_in(&store, &self.settings(), metrics, self.tuning).unwrap().0
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::new(&self.path(), self.tuning.busy)
    }

    /// The ledger alone; no journal may have the file open then.
    fn ledger(&self) -> SqliteLedger {
        self.store().ledger(self.key_terms()).unwrap()
    }

    /// A journal of which every transaction stops at a gate.
    fn open_gated(&self) -> (Journal, Gate) {
        let (say, entered) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let (journal, _) = self.open_as(|inner| Box::new(Gated { inner, entered: say, opened }));
        (journal, Gate { entered, open })
    }

    fn offline(&self) -> Offline {
        Offline::open(&self.path()).unwrap()
    }

    fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn verify(&self) -> Result<Head, Broken> {
        self.offline().verify(&Expected::default()).unwrap()
    }

    /// The kind of each entry, in order.
    fn story(&self) -> Vec<String> {
        let mut story = Vec::new();
        self.offline()
            .entries(|_, entry| {
                let content = content::Content::of(&entry).unwrap();
                story.push(content.outcome().to_owned());
                true
            })
            .unwrap();
        story
    }

    fn metric(&self, series: &str) -> String {
        let text = self.metrics.render().unwrap();
        let value = text.lines().find_map(|line| {
            line.strip_prefix("zec_gateway_")?.strip_prefix(series)?.strip_prefix(' ')
        });
        value.unwrap_or_else(|| panic!("no {series} in {text}")).to_owned()
    }
}

struct Gate {
    entered: Receiver<Vec<&'static str>>,
    open: Sender<Through>,
}

impl Gate {
    /// Waits for a transaction and returns what it holds. The wait is on a thread of its own, so that the
    /// test's runtime continues.
    async fn arrived(self) -> (Self, Vec<&'static str>) {
        let waiting = tokio::task::spawn_blocking(move || {
            let steps = self.entered.recv_timeout(LONG).unwrap();
            (self, steps)
        });
        waiting.await.unwrap()
    }

    fn let_through(&self, how: Through) {
        self.open.send(how).unwrap();
    }
}

/// The fate of a transaction at the gate.
#[derive(Clone, Copy)]
enum Through {
    Well,
    /// Nothing is written.
    Refused,
    /// It is written, but reported as failed.
    Unheard,
}

struct Gated {
    inner: Box<dyn Ledger>,
    entered: Sender<Vec<&'static str>>,
    opened: Receiver<Through>,
}

impl Ledger for Gated {
    fn append(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed> {
        let name = |step: &Step| match step {
            Step::Begin(_) => "begin",
            Step::Remember(_) => "remember",
            Step::End(closing) => closing.outcome.label(),
        };
        let _ = self.entered.send(steps.iter().map(name).collect());
        let failed = |perhaps_done| {
            Err(Failed { error: StoreError("the disk is on fire".to_owned()), perhaps_done })
        };
        // If no test holds the gate, it is open.
        match self.opened.recv().unwrap_or(Through::Well) {
            Through::Well => self.inner.append(steps),
            Through::Refused => failed(false),
            Through::Unheard => {
                self.inner.append(steps).unwrap();
                failed(true)
            }
        }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        self.inner.look()
    }

    fn try_out(&mut self) -> Result<(), StoreError> {
        self.inner.try_out()
    }

    fn prune(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError> {
        self.inner.prune(before, most)
    }

    fn head(&self) -> Head {
        self.inner.head()
    }

    fn close(self: Box<Self>) {
        self.inner.close();
    }
}

fn caller(name: &str) -> Caller {
    Caller::vouch("corp", name, [""; 0]).unwrap()
}

fn permit_of(change: ChangeIpv4) -> Permit<WriteCall> {
    let text = "@id(\"any\") permit (principal, action, resource);".to_owned();
    let (engine, _) =
        Engine::from_sources(&[Source { path: PathBuf::from("t.cedar"), text }]).unwrap();
    match engine.ask(&caller("alice"), change) {
        Verdict::Allowed(permit) => permit.into_write().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn unassign(nic: &str, addresses: &[&str]) -> ChangeIpv4 {
    ChangeIpv4 {
        change: Change::Unassign,
        nic: NicId::parse(nic).unwrap(),
        addresses: Addresses::parse(addresses.iter().copied(), 50).unwrap(),
    }
}

fn permit() -> Permit<WriteCall> {
    permit_of(unassign("nic-1", &["10.0.0.2", "10.0.0.3"]))
}

fn intent(name: &str) -> Intent {
    let before = RawValue::from_string(r#"{"nicId":"nic-1","zzz":1.50}"#.to_owned()).unwrap();
    Intent {
        caller: caller(name),
        before: Some(before),
        stale: false,
        zec: Arc::from("zec"),
        request_id: format!("request-of-{name}"),
        peer: None,
        software: None,
        key: None,
    }
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text.as_bytes()).unwrap()
}

fn keyed(name: &str, key: &str) -> Intent {
    let key = KeyClaim { key: self::key(key), fingerprint: [7; 32] };
    Intent { key: Some(key), ..intent(name) }
}

/// One write from its intent to this outcome.
async fn write(journal: &Journal, name: &str, outcome: Outcome) -> OperationId {
    let ticket = journal.begin(permit(), intent(name)).await.unwrap();
    let id = ticket.operation().unwrap();
    ticket.spend().unwrap();
    journal.end(id, Ending::new(outcome)).await.unwrap();
    id
}

/// Waits until an operation has an outcome.
async fn until(journal: &Journal, id: OperationId, outcome: Outcome) -> View {
    let wait = async {
        loop {
            let view = journal.find(id).await.unwrap().unwrap();
            if view.outcome == outcome {
                return view;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap()
}

fn unavailable(begun: Result<Ticket, BeginError>) -> String {
    match begun {
        Err(BeginError::Unavailable(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

/// The files that a power cut at this moment would leave.
fn copy_of(desk: &Desk) -> Desk {
    let copy = Desk::new();
    for ending in ["", "-wal"] {
        let from = sqlite::beside(&desk.path(), ending);
        if Path::exists(&from) {
            std::fs::copy(&from, sqlite::beside(&copy.path(), ending)).unwrap();
        }
    }
    copy
}
