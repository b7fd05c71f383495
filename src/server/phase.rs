use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What a connection is doing, and since when; shared by its stream, its requests and its timer.
///
/// One number holds all of it, so that requests of one connection that begin and end on several
/// threads (HTTP/2) never leave it in a state that neither meant.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    shared: Arc<Shared>,
    opened: Instant,
}

#[derive(Debug)]
struct Shared {
    packed: AtomicU64,
    drains: AtomicBool,
    /// Whether something is still to be written.
    unsent: AtomicBool,
}

/// Set while the head of a request is arriving, or the first one is awaited; else, without a
/// request that runs, the connection is between requests.
const HEAD: u64 = 1;
/// One request that runs; its own limits hold. There is room for two million of them.
const ONE: u64 = 1 << 1;
/// Where the milliseconds begin that stand for the moment in which the phase began.
const SINCE: u32 = 22;

const fn running(packed: u64) -> u64 {
    (packed & ((1 << SINCE) - 1)) >> 1
}

impl Phase {
    /// A connection just opened: whoever connects must say something soon.
    pub(super) fn new() -> Self {
        let shared = Shared {
            packed: AtomicU64::new(HEAD),
            drains: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), opened: Instant::now() }
    }

    /// Whether nothing has happened, and nothing is left to happen, for so long.
    pub(super) fn rests(&self, long: Duration) -> bool {
        let packed = self.packed();
        let since = self.opened + Duration::from_millis(packed >> SINCE);
        let nothing = running(packed) == 0 && packed & HEAD == 0;
        nothing && !self.shared.unsent.load(Ordering::Relaxed) && since.elapsed() >= long
    }

    /// Something is to be written, or all of it was.
    pub(super) fn writes(&self, unsent: bool) {
        self.shared.unsent.store(unsent, Ordering::Relaxed);
    }

    /// A request's head is complete; the request runs until the guard is dropped, with an answer
    /// or given up. None where it does not count any more.
    pub(super) fn run(&self) -> Option<Running> {
        if self.shared.drains.load(Ordering::Relaxed) {
            return None;
        }
        self.shared.packed.fetch_add(ONE, Ordering::Relaxed);
        Some(Running(self.clone()))
    }

    /// The gateway stops. What begins from now on is sent away at once, and neither that nor
    /// further bytes make the connection last longer.
    pub(super) fn drain(&self) {
        self.shared.drains.store(true, Ordering::Relaxed);
    }

    fn ended(&self) {
        let now = self.now();
        let end = |packed: u64| {
            let left = packed.saturating_sub(ONE);
            Some(if running(left) == 0 { now << SINCE } else { left })
        };
        let _ = self.shared.packed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end);
    }

    /// Bytes of a head, or of a body that is read, have come.
    pub(super) fn bytes_came(&self) {
        let packed = self.packed();
        let drains = self.shared.drains.load(Ordering::Relaxed);
        if running(packed) == 0 && packed & HEAD == 0 && !drains {
            self.shared.packed.store(self.now() << SINCE | HEAD, Ordering::Relaxed);
        }
    }

    fn packed(&self) -> u64 {
        self.shared.packed.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX) & (u64::MAX >> SINCE)
    }

    /// When the phase that holds now must have ended; none while a request runs.
    pub(super) fn ends(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let packed = self.packed();
        if running(packed) > 0 {
            return None;
        }
        let since = self.opened + Duration::from_millis(packed >> SINCE);
        Some(since + if packed & HEAD == 0 { idle } else { head })
    }
}

/// A request that runs; dropping it ends it.
#[derive(Debug)]
pub(super) struct Running(Phase);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD_TIME: Duration = Duration::from_secs(10);
    const IDLE_TIME: Duration = Duration::from_secs(75);

    fn left(phase: &Phase) -> Option<Duration> {
        phase.ends(HEAD_TIME, IDLE_TIME).map(|end| end - Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_the_last_of_its_requests_has_ended() {
        let phase = Phase::new();
        assert_eq!(left(&phase), Some(HEAD_TIME));
        let (first, second) = (phase.run(), phase.run());
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(left(&phase), None);
        drop(first);
        phase.bytes_came();
        assert_eq!(left(&phase), None, "one still runs");
        drop(second);
        assert_eq!(left(&phase), Some(IDLE_TIME));
        tokio::time::advance(Duration::from_secs(5)).await;
        phase.bytes_came();
        assert_eq!(left(&phase), Some(HEAD_TIME));
        tokio::time::advance(Duration::from_secs(4)).await;
        phase.bytes_came();
        assert_eq!(left(&phase), Some(Duration::from_secs(6)), "each byte buys time");
        drop(phase.run());
        // One that had come behind the last one runs without a byte more.
        let _third = phase.run();
        phase.bytes_came();
        assert_eq!(left(&phase), None, "what comes behind a request ends it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_begins_during_the_drain_does_not_count() {
        let phase = Phase::new();
        let before = phase.run();
        phase.drain();
        assert!(phase.run().is_none());
        assert_eq!(left(&phase), None, "what had begun still runs");
        drop(before);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(phase.run().is_none());
        phase.bytes_came();
        assert_eq!(left(&phase), Some(Duration::from_secs(70)));
    }

    #[test]
    fn requests_that_begin_and_end_on_many_threads_are_all_counted() {
        let phase = Phase::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| drop(phase.run())));
            }
        });
        assert!(phase.ends(HEAD_TIME, IDLE_TIME).is_some(), "a request seems to run for ever");
        let _one = phase.run();
        assert!(phase.ends(HEAD_TIME, IDLE_TIME).is_none(), "a request that runs is not seen");
    }
}
