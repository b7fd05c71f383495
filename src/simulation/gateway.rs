//! One run of the gateway, from its start to its end, whether it is killed or drains.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    callers,
    truth::{Shared, lock},
    zec::Way,
};
use crate::{
    clock,
    execute::{EipCheck, Executor, ExecutorParts, Patience, Preflight},
    journal::{
        self, Journal,
        simulated::{Disk, Fate, Place, Written},
    },
    limit::{Budget, BudgetKind, Budgets, Freeze, Live},
    metrics::Metrics,
    policy::{Engine, Source},
    zec::{self, AccessKey, Settings},
};

/// How long the last run goes on without faults: until no write can be open.
const PEACE: Duration = Duration::from_mins(80);

/// A gateway that is serving.
pub(super) struct Gateway {
    pub(super) executor: Arc<Executor>,
    pub(super) budget: Budget,
    pub(super) truth: Shared,
}

struct OnTruth(Shared);

impl Disk for OnTruth {
    fn decide(&self) -> Fate {
        let mut truth = lock(&self.0);
        if truth.step() {
            return Fate::Refused;
        }
        match truth.one_in(60) {
            true if truth.one_in(2) => Fate::Unheard,
            true => Fate::Refused,
            false => Fate::Well,
        }
    }

    fn wrote(&self, written: Vec<Written>) {
        let mut truth = lock(&self.0);
        truth.wrote(written);
        // The write is durable, and the gateway may be killed before anyone hears of it.
        truth.step();
    }

    fn pause(&self) -> Duration {
        let mut truth = lock(&self.0);
        let most = if truth.one_in(60) { 4000 } else { 8 };
        Duration::from_millis(truth.random.u64(1..most))
    }
}

/// How a run ends.
enum End {
    /// It is killed after this time.
    Killed(Duration),
    /// It is killed during this step, counted from the start, or after a while.
    KilledAt(u32),
    /// It drains after this time.
    Drained(Duration),
}

/// Runs the gateway once.
pub(super) async fn run(truth: &Shared, place: &Place, last: bool) {
    let end = {
        let mut truth = lock(truth);
        truth.begin();
        clock::simulated::set(truth.time());
        let long = if truth.random.bool() { 20_000 } else { 400_000 };
        let long = Duration::from_millis(truth.random.u64(0..long));
        match truth.random.u32(0..5) {
            0 | 1 => End::Killed(long),
            2 | 3 => End::KilledAt(truth.random.u32(1..60)),
            _ => End::Drained(long),
        }
    };
    let (stop, fast_drain) = (CancellationToken::new(), CancellationToken::new());
    let Some((gateway, journal)) = start(truth, place, last, &stop, &fast_drain).await else {
        return;
    };
    let gateway = Arc::new(gateway);
    let callers = callers::begin(&gateway);
    let jumping = tokio::spawn(jump(Arc::clone(truth)));
    if last {
        tokio::time::sleep(Duration::from_mins(3)).await;
        lock(truth).peace = true;
        callers::end(callers).await;
        jumping.abort();
        clock::simulated::set(lock(truth).time());
        tokio::time::sleep(PEACE).await;
        callers::nothing_is_held(&gateway).await;
        callers::budgets_are_the_journals(&gateway);
    } else {
        until(end, truth, &journal, (&stop, &fast_drain)).await;
        callers::cut_off(&gateway, &callers);
    }
    lock(truth).stop();
}

/// Waits until a run has ended.
async fn until(
    end: End,
    truth: &Shared,
    journal: &Journal,
    (stop, fast_drain): (&CancellationToken, &CancellationToken),
) {
    match end {
        End::Killed(long) => tokio::time::sleep(long).await,
        End::KilledAt(step) => {
            lock(truth).killed_in = Some(step);
            let dead = async {
                while !lock(truth).dead {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_mins(5), dead).await;
        }
        End::Drained(long) => {
            tokio::time::sleep(long).await;
            stop.cancel();
            // Requests in flight continue, and some arrive late.
            let drain = lock(truth).random.u64(0..30_000);
            tokio::time::sleep(Duration::from_millis(drain)).await;
            fast_drain.cancel();
            journal.close().await;
        }
    }
}

async fn start(
    truth: &Shared,
    place: &Place,
    last: bool,
    stop: &CancellationToken,
    fast_drain: &CancellationToken,
) -> Option<(Gateway, Journal)> {
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let disk: Arc<dyn Disk> = Arc::new(OnTruth(Arc::clone(truth)));
    let opened = journal::simulated::open(place, Arc::clone(&metrics), &disk);
    let (journal, unfinished) = opened.unwrap();
    let (elsewhere, other_key, plan) = {
        let mut truth = lock(truth);
        (!last && truth.one_in(12), truth.one_in(12), truth.plan.clone())
    };
    let host = if elsewhere { "elsewhere.example.com" } else { "zec.example.com" };
    let way = Way { truth: Arc::clone(truth), zec: usize::from(elsewhere) };
    let id = if other_key { "another" } else { "key" };
    let key = AccessKey::new(id.to_owned(), &SecretString::from("password")).unwrap();
    let settings =
        Settings { request_timeout: Duration::from_secs(20), ..Settings::for_tests(host) };
    let client =
        zec::connect_over(Arc::new(way), &settings, key.into(), Arc::clone(&metrics)).unwrap();
    journal.set_second_clock(client.0.clock());
    let limits = Live::with(|limits| limits.addresses_per_hour = plan.budget);
    let budgets = Budgets::new(&limits);
    let budget = budgets.of(BudgetKind::Addresses).clone();
    let executor = Arc::new(Executor::new(ExecutorParts {
        policy: policy(),
        shadow: None,
        client,
        preflight: Preflight { on: plan.preflight, eip_check: EipCheck::Nic },
        freeze: Freeze::new(limits.clone()),
        limits,
        budgets,
        journal: journal.clone(),
        stop: stop.clone(),
        fast_drain: fast_drain.clone(),
        writes: TaskTracker::new(),
        metrics,
    }));
    executor.resume(unfinished, Patience::default()).await;
    Some((Gateway { executor, budget, truth: Arc::clone(truth) }, journal))
}

/// The policy. It is loaded once, because loading takes longer than the rest of a run.
fn policy() -> Arc<ArcSwap<Engine>> {
    static LOADED: OnceLock<Arc<ArcSwap<Engine>>> = OnceLock::new();
    let load = || {
        let text = "@id(\"any\") permit (principal, action, resource);".to_owned();
        let source = Source { path: "t.cedar".into(), text };
        Arc::new(ArcSwap::from_pointee(Engine::from_sources(&[source]).unwrap().0))
    };
    Arc::clone(LOADED.get_or_init(load))
}

/// Makes the gateway's clock wrong for a while, now and then.
async fn jump(truth: Shared) {
    loop {
        let (wait, wrong, by, ahead) = {
            let mut truth = lock(&truth);
            if !truth.plan.jumps {
                return;
            }
            let by = *truth.random.choice([20_u64, 400, 3000, 90_000].iter()).unwrap();
            let wait = truth.random.u64(1..90_000);
            let wrong = truth.random.u64(50..20_000);
            (wait, wrong, by, truth.random.bool())
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        {
            let mut truth = lock(&truth);
            truth.jumped = true;
            let (time, by) = (truth.time(), Duration::from_secs(by));
            clock::simulated::set(if ahead { time + by } else { time - by });
        }
        tokio::time::sleep(Duration::from_millis(wrong)).await;
        clock::simulated::set(lock(&truth).time());
    }
}
