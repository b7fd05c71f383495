//! What a connection is doing, and since when.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};

use super::{crowd::Crowd, seat::Shared};
use crate::{domain::Peer, mutex::lock};

/// What a connection is doing and since when, shared by its stream, its requests and its timer.
///
/// One number holds the whole state. So requests of one connection that begin and end on several threads (HTTP/2) never
/// leave an inconsistent state.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    shared: Arc<Shared>,
    /// The moment from which the milliseconds are counted.
    began: Instant,
}

/// Set while the head of a request is arriving, or the first one is awaited. If it is not set and no request is in
/// flight, the connection is between requests.
const HEAD: u64 = 1;
/// One request in flight, which has its own timeouts. There is room for two million of them.
const ONE: u64 = 1 << 1;
/// The first bit of the milliseconds at which the phase began.
const SINCE: u32 = 22;

/// How many requests are in flight.
pub(super) const fn running(packed: u64) -> u64 {
    (packed & ((1 << SINCE) - 1)) >> 1
}

/// The milliseconds at which the phase began.
pub(super) const fn since(packed: u64) -> u64 {
    packed >> SINCE
}

/// The shortest wait of a timer.
pub(super) const TICK: Duration = Duration::from_millis(10);

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX) & (u64::MAX >> SINCE)
}

impl Phase {
    /// A connection that was just opened: its first request must arrive soon.
    #[cfg(any(test, fuzzing))]
    pub(super) fn new() -> Self {
        Self { shared: Arc::new(Shared::new(HEAD, None)), began: Instant::now() }
    }

    /// The same, for a connection with this number at a listener that began at `began`.
    pub(super) fn of(crowd: Arc<Crowd>, id: u64, began: Instant) -> Self {
        let packed = millis(began) << SINCE | HEAD;
        Self { shared: Arc::new(Shared::new(packed, Some((crowd, id)))), began }
    }

    /// The state that the listener reads.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Records where the connection came from, which is known only after its first bytes are read.
    pub(super) fn came_from(&self, peer: Peer) {
        self.shared.came_from(peer);
    }

    /// Where the connection came from, if that is known.
    pub(super) fn peer(&self) -> Option<Peer> {
        self.shared.peer()
    }

    /// Records that a request passed authentication.
    pub(super) fn know(&self) {
        self.shared.know();
    }

    /// Resolves when the listener needs the place and the connection rests.
    pub(super) async fn asked_to_end(&self) {
        poll_fn(|cx| self.shared.poll_asked(cx)).await;
    }

    /// Whether nothing has happened for this long, and nothing remains to be sent.
    pub(super) fn rests(&self, long: Duration) -> bool {
        let packed = self.packed();
        let nothing = running(packed) == 0 && packed & HEAD == 0;
        nothing && !self.shared.is_unsent() && self.at(packed).elapsed() >= long
    }

    /// Records whether something is still to be written.
    pub(super) fn writes(&self, unsent: bool) {
        self.shared.set_unsent(unsent);
    }

    /// Counts a request as in flight until the guard is dropped, with an answer or given up. `None` during a drain,
    /// when new requests do not count any more.
    pub(super) fn run(&self) -> Option<RunningRequest> {
        if self.shared.drains.load(Ordering::Relaxed) {
            return None;
        }
        self.shared.packed.fetch_add(ONE, Ordering::Relaxed);
        Some(RunningRequest(self.clone()))
    }

    /// Records that the gateway stops. Requests that begin from now on are refused at once, and neither they nor
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
        let _ = self.shared.packed.fetch_update(Ordering::SeqCst, Ordering::Relaxed, end);
        self.shared.may_rest();
    }

    /// Records that bytes of a head, or of a body that is being read, have arrived.
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
        millis(self.began)
    }

    /// The moment at which the phase began.
    fn at(&self, packed: u64) -> Instant {
        self.began + Duration::from_millis(since(packed))
    }

    /// Records that an answer waits to be read from now on, and returns that time for [`Phase::taken`].
    pub(super) fn waits(&self) -> u64 {
        let now = self.now();
        self.shared.unread().push_back(now);
        now
    }

    /// Records that an answer that waited since then is sent, or is not wanted any more.
    pub(super) fn taken(&self, since: u64) {
        let mut unread = self.shared.unread();
        if let Some(at) = unread.iter().position(|one| *one == since) {
            unread.remove(at);
        }
        let none = unread.is_empty();
        drop(unread);
        if none {
            self.shared.may_rest();
        }
    }

    /// When the answer that has waited longest must have been read.
    pub(super) fn unread_ends(&self, idle: Duration) -> Option<Instant> {
        let oldest = self.shared.unread().front().copied();
        oldest.map(|since| self.began + Duration::from_millis(since) + idle)
    }

    /// When the current phase must have ended; `None` while a request is in flight.
    pub(super) fn ends(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let packed = self.packed();
        if running(packed) > 0 {
            return None;
        }
        Some(self.at(packed) + if packed & HEAD == 0 { idle } else { head })
    }
}

/// A request in flight; dropping this ends it.
#[derive(Debug)]
pub(super) struct RunningRequest(Phase);

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// A request whose long answer is still coming from ZEC, and is in flight until this is dropped. It counts no longer if its
/// caller takes no piece for some time: a caller who reads nothing must keep neither the connection nor a drain.
#[derive(Debug)]
pub(super) struct LongRequest {
    request: Arc<Mutex<Option<RunningRequest>>>,
    /// Since when a piece waits for the caller, in milliseconds from the beginning of the connection; [`NO_PIECE`] if none does.
    waits_since: Arc<AtomicU64>,
    phase: Phase,
    timer: JoinHandle<()>,
}

/// The gateway waits for ZEC, which has a limit of its own.
const NO_PIECE: u64 = u64::MAX;

impl LongRequest {
    /// Lets a request go on while no piece waits for longer than `idle`, or than `farewell` during a drain.
    pub(super) fn new(request: RunningRequest, idle: Duration, farewell: Duration) -> Self {
        let phase = request.0.clone();
        let waits_since = Arc::new(AtomicU64::new(phase.now()));
        let request = Arc::new(Mutex::new(Some(request)));
        let (held, waits, of) = (Arc::clone(&request), Arc::clone(&waits_since), phase.clone());
        let timer = tokio::spawn(async move {
            let tick = idle.min(farewell);
            loop {
                let longest = if of.shared.drains.load(Ordering::Relaxed) { tick } else { idle };
                let since = waits.load(Ordering::Relaxed);
                let ends = of.began + Duration::from_millis(since.min(of.now())) + longest;
                let left = ends.saturating_duration_since(Instant::now());
                if since != NO_PIECE && left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.clamp(TICK, tick.max(TICK))).await;
            }
            let request = lock(&held).take();
            if let Some(request) = request {
                // It has waited since the connection began, so it is overdue now.
                of.shared.unread().push_front(0);
                drop(request);
            }
        });
        Self { request, waits_since, phase, timer }
    }

    /// Records that a piece is on its way to the caller.
    pub(super) fn has_a_piece(&self) {
        self.waits_since.store(self.phase.now(), Ordering::Relaxed);
    }

    /// Records that the gateway waits for ZEC.
    pub(super) fn waits_for_zec(&self) {
        self.waits_since.store(NO_PIECE, Ordering::Relaxed);
    }
}

impl Drop for LongRequest {
    fn drop(&mut self) {
        self.timer.abort();
        let request = lock(&self.request).take();
        drop(request);
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
        // A request that arrived together with the one before begins without a further byte.
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
