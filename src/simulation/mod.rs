//! Runs the whole write path on virtual time: against a ZEC that misbehaves, through crashes, drains and
//! clocks that jump. Everything except the network, the disk and the clock is the gateway's own code.
//!
//! A seed decides everything in a run, so a run replays exactly. `truth` holds what really happened, out of
//! the gateway's sight. Everything that the gateway records or answers is compared with it, at once or at the
//! end.

mod callers;
mod gateway;
mod truth;
mod zec;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use truth::Truth;

use crate::journal::simulated::Place;

/// How many seeds run by default; `scripts/test --full` runs 100,000.
const SEEDS: u64 = 2000;

/// How many runs of the gateway follow each other; the last one has no faults.
const RUNS: u32 = 4;

/// The properties of a seed's world; chosen once for all its runs.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is chosen by itself")]
struct Plan {
    /// Whether the vNIC is read before a write. Most worlds have this on, like the default.
    preflight: bool,
    /// Whether reads may show an earlier state of a vNIC.
    stale_reads: bool,
    /// Whether ZEC's answers carry a `Date`.
    dates: bool,
    /// Whether the gateway's clock jumps.
    jumps: bool,
    /// How many addresses a caller may remove within an hour.
    budget: u32,
}

impl Plan {
    fn of(random: &mut fastrand::Rng) -> Self {
        let mut one_in = |n: u32| random.u32(0..n) == 0;
        Self {
            preflight: !one_in(5),
            stale_reads: one_in(2),
            dates: !one_in(3),
            jumps: one_in(2),
            budget: if one_in(4) { 12 } else { 500 },
        }
    }
}

/// Runs a seed.
///
/// # Errors
/// Anything that the gateway recorded or answered and that was not true.
fn run(seed: u64, directory: &Path) -> Result<Truth, String> {
    let mut random = fastrand::Rng::with_seed(seed);
    // Seeds the gateway's own jitter.
    fastrand::seed(random.u64(..));
    let plan = Plan::of(&mut random);
    let files = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
    // Both stores must work.
    let place = match seed % 2 {
        0 => Place::file(&files.path().join("journal.db")),
        _ => Place::memory(),
    };
    let truth = Arc::new(std::sync::Mutex::new(Truth::new(random, plan)));
    for number in 0..RUNS {
        let last = number + 1 == RUNS;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(gateway::run(&truth, &place, last));
        // Tasks that were still running end with their runtime, as in a process that was killed.
        drop(runtime);
        crate::clock::simulated::clear();
        truth::lock(&truth).rest();
    }
    let mut truth = Arc::try_unwrap(truth)
        .map_err(|_| "something outlived its runtime".to_owned())?
        .into_inner()
        .map_err(|error| error.to_string())?;
    truth.check();
    match truth.violations.first() {
        None => Ok(truth),
        Some(first) => Err(first.clone()),
    }
}

/// The directory for journals: in memory, if the machine has such a place.
fn directory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| text.parse().expect(variable))
}

/// `ZEC_GATEWAY_TEST_SEED` replays one seed; `ZEC_GATEWAY_TEST_SEEDS` sets how many run.
#[test]
fn whatever_happens_at_any_step_what_is_recorded_and_told_is_true() {
    let one = std::env::var("ZEC_GATEWAY_TEST_SEED").ok().map(|text| text.parse().unwrap());
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None => 0..number("ZEC_GATEWAY_TEST_SEEDS", SEEDS),
    };
    let count = seeds.end - seeds.start;
    // One thread each: the clock of a run belongs to its thread, and seeds do not depend on each other.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let directory = &directory();
    let results: Vec<(Totals, Vec<(u64, String)>)> = std::thread::scope(|scope| {
        let threads = (0..threads).map(|thread| {
            let seeds = seeds.clone();
            scope.spawn(move || {
                let (mut totals, mut failed) = (Totals::default(), Vec::new());
                for seed in seeds.filter(|seed| seed % threads == thread) {
                    match run(seed, directory) {
                        Ok(truth) => totals.add(&truth),
                        Err(violation) => failed.push((seed, violation)),
                    }
                }
                (totals, failed)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut totals = Totals::default();
    let mut failed: Vec<(u64, String)> = Vec::new();
    for (one, mut more) in results {
        totals.merge(&one);
        failed.append(&mut more);
    }
    failed.sort();
    let shown: Vec<String> =
        failed.iter().take(20).map(|(seed, text)| format!("seed {seed}: {text}")).collect();
    assert!(
        failed.is_empty(),
        "{} of {count} seeds failed; ZEC_GATEWAY_TEST_SEED=N replays one:\n{}",
        failed.len(),
        shown.join("\n")
    );
    // A simulation in which nothing happens would find nothing.
    if one.is_none() && count >= 1000 {
        totals.expect_of_everything(count);
    }
}

/// How often each thing happened, over all seeds.
#[derive(Debug, Default)]
struct Totals {
    sent: usize,
    done: usize,
    unknown: usize,
    not_done: usize,
    resolved_done: usize,
    given_up: usize,
    replayed: usize,
    in_progress: usize,
}

impl Totals {
    fn add(&mut self, truth: &Truth) {
        use crate::domain::Outcome;
        for write in &truth.writes {
            self.sent += usize::from(write.sent);
            self.done += usize::from(write.outcome == Outcome::Done);
            self.not_done += usize::from(write.outcome == Outcome::NotDone);
            self.unknown += usize::from(write.was_unknown);
            self.resolved_done += usize::from(write.was_unknown && write.outcome == Outcome::Done);
            self.given_up += usize::from(write.given_up);
        }
        self.replayed += truth.replayed;
        self.in_progress += truth.in_progress;
    }

    fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.done += other.done;
        self.unknown += other.unknown;
        self.not_done += other.not_done;
        self.resolved_done += other.resolved_done;
        self.given_up += other.given_up;
        self.replayed += other.replayed;
        self.in_progress += other.in_progress;
    }

    #[track_caller]
    fn expect_of_everything(&self, seeds: u64) {
        let seeds = usize::try_from(seeds).unwrap();
        for (what, count, least) in [
            ("sent", self.sent, 5 * seeds),
            ("done", self.done, 3 * seeds),
            ("unknown", self.unknown, seeds / 2),
            ("found not done", self.not_done, seeds / 20),
            ("found done", self.resolved_done, seeds / 20),
            ("given up", self.given_up, seeds / 50),
            ("answered again", self.replayed, seeds / 4),
            ("in progress", self.in_progress, seeds / 4),
        ] {
            assert!(count >= least, "only {count} were {what}: {self:?}");
        }
    }
}
