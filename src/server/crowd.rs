//! The connections of a listener: how many there are and what they do. If the listener is full, a new connection closes
//! the one that has rested longest. Connections that never showed a good token are closed before others.
//!
//! No request causes any sorting. A connection's key in the order is the time that was read last. The search for the
//! first connection reads its time again, and moves the connection back if that time has changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{phase::Phase, seat::Shared};

use crate::{mutex::lock, seldom::Seldom};

/// How long a connection that was asked to end may take before another one is asked.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often the log says that the listener is full.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// Every connection of a listener.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    began: Instant,
    inner: Mutex<Inner>,
    said_to_be_full: Seldom,
    /// Notified when there may be room for the connection that waits.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next_id: u64,
    /// Connections that rested when they were last checked, by [`Shared::rests_as`] at that time and by id.
    resting: BTreeMap<(u64, u64), Arc<Shared>>,
    /// Connections that were found active, and the one that was asked to end. Each is moved back once it rests.
    active: BTreeMap<u64, Arc<Shared>>,
    /// The id of the connection that was asked to end.
    asked: Option<u64>,
    /// Whether a new connection waits for room.
    wanted: bool,
}

/// How many connections there are, by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionCounts {
    /// With a request in flight. After a good token, also with an answer that is not completely sent.
    pub(super) active: usize,
    /// At rest after a request with a good token.
    pub(super) idle: usize,
    /// At rest, and no request had a good token.
    pub(super) anonymous: usize,
}

impl Crowd {
    /// Makes room for at most `most` connections.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            began: Instant::now(),
            inner: Mutex::default(),
            said_to_be_full: Seldom::new(SAY_AGAIN),
            changed: Notify::new(),
        })
    }

    /// Admits a connection. If there is no room, a connection that rests is closed first; if all are active, this
    /// waits. Only one task may call this at a time.
    pub(super) async fn enter(self: &Arc<Self>) -> Seated {
        loop {
            if let Some(seated) = self.try_enter() {
                return seated;
            }
            self.say_that_it_is_full();
            self.ask_one();
            if tokio::time::timeout(PATIENCE, self.changed.notified()).await.is_err() {
                // The connection has begun something on its way out. It will still end; meanwhile another one is asked.
                self.inner().asked = None;
            }
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Seated> {
        let mut inner = self.inner();
        inner.wanted = inner.len() >= self.most;
        if inner.wanted {
            return None;
        }
        let id = inner.next_id;
        inner.next_id += 1;
        let phase = Phase::of(Arc::clone(self), id, self.began);
        let shared = Arc::clone(phase.shared());
        inner.resting.insert((shared.stands_as(), id), shared);
        Some(Seated(phase))
    }

    /// Asks the connection that has rested longest to end, unless one was asked already.
    fn ask_one(&self) {
        let mut inner = self.inner();
        if inner.asked.is_some() {
            return;
        }
        while let Some(((stood, id), shared)) = inner.resting.pop_first() {
            match shared.rests_as() {
                Some(now) if now == stood => {
                    inner.asked = Some(id);
                    inner.active.insert(id, Arc::clone(&shared));
                    drop(inner);
                    return shared.ask_to_end();
                }
                _ => inner.put(id, shared),
            }
        }
    }

    /// A connection that was found active rests now.
    pub(super) fn comes_back(&self, id: u64) {
        let mut inner = self.inner();
        if let Some(shared) = inner.active.remove(&id) {
            inner.put(id, shared);
            self.tell(&inner);
        }
    }

    /// The connection that was asked to end is active again, and does not end.
    pub(super) fn declines(&self, id: u64) {
        self.inner().asked = None;
        self.comes_back(id);
    }

    fn leave(&self, shared: &Shared, id: u64) {
        let mut inner = self.inner();
        if inner.resting.remove(&(shared.stands_as(), id)).is_none() {
            inner.active.remove(&id);
        }
        if inner.asked == Some(id) {
            inner.asked = None;
        }
        self.tell(&inner);
    }

    fn tell(&self, inner: &Inner) {
        if inner.wanted {
            self.changed.notify_one();
        }
    }

    /// The largest number of connections.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Counts the connections by what they do now. Checks each of them.
    pub(super) fn counts(&self) -> ConnectionCounts {
        self.inner().counts()
    }

    fn say_that_it_is_full(&self) {
        if !self.said_to_be_full.is_due() {
            return;
        }
        let ConnectionCounts { active, idle, anonymous } = self.counts();
        tracing::warn!(
            max_connections = self.most,
            active,
            idle,
            anonymous,
            "the listener is full: each new connection ends the one that has been idle longest"
        );
    }

    /// The lock is held only briefly, and every change under it is complete.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Inner {
    fn len(&self) -> usize {
        self.resting.len() + self.active.len()
    }

    /// Puts a connection where it belongs now.
    fn put(&mut self, id: u64, shared: Arc<Shared>) {
        // Set before the check: a connection that begins to rest in between either sees this or is seen at rest.
        shared.set_aside(true);
        match shared.rests_as() {
            Some(now) => {
                shared.set_aside(false);
                shared.stand_as(now);
                self.resting.insert((now, id), shared);
            }
            None => {
                self.active.insert(id, shared);
            }
        }
    }

    fn counts(&self) -> ConnectionCounts {
        let mut counts = ConnectionCounts::default();
        for shared in self.resting.values().chain(self.active.values()) {
            match (shared.rests_as(), shared.is_known()) {
                (None, _) => counts.active += 1,
                (Some(_), true) => counts.idle += 1,
                (Some(_), false) => counts.anonymous += 1,
            }
        }
        counts
    }
}

/// A connection's place in the listener; dropping it makes room.
#[derive(Debug)]
pub(super) struct Seated(Phase);

impl Seated {
    /// What the connection is doing.
    pub(super) fn phase(&self) -> &Phase {
        &self.0
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let shared = self.0.shared();
        if let Some((crowd, id)) = shared.seat() {
            crowd.leave(shared, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn is_asked(seated: &Seated) -> bool {
        let asked = pin!(seated.phase().asked_to_end());
        asked.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    async fn full(count: usize) -> (Arc<Crowd>, Vec<Seated>) {
        let crowd = Crowd::new(count);
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(crowd.enter().await);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(crowd.try_enter().is_none(), "there is room for one more");
        (crowd, all)
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_rested_longest_ends_first_and_strangers_before_others() {
        let (crowd, mut all) = full(4).await;
        all[0].phase().know();
        drop(all[1].phase().run());
        all[3].phase().know();
        let mut left = vec![0, 1, 2, 3];
        for first in [2, 1, 0, 3] {
            crowd.ask_one();
            let asked: Vec<usize> =
                left.iter().zip(&all).filter(|(_, one)| is_asked(one)).map(|(id, _)| *id).collect();
            assert_eq!(asked, [first]);
            let at = left.iter().position(|id| *id == first).unwrap();
            left.remove(at);
            drop(all.remove(at));
        }
        assert_eq!(crowd.counts(), ConnectionCounts::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_runs_is_never_asked_and_looked_at_once_only() {
        let (crowd, all) = full(100).await;
        let mut running: Vec<_> = all.iter().map(|one| one.phase().run()).collect();
        crowd.ask_one();
        assert_eq!(crowd.inner().active.len(), 100);
        assert!(!all.iter().any(is_asked));
        drop(running.remove(70));
        assert_eq!(crowd.inner().resting.len(), 1, "who comes to rest says so");
        crowd.ask_one();
        assert!(is_asked(&all[70]));
        all[3].phase().know();
        all[3].phase().writes(true);
        drop(running.remove(3));
        assert_eq!(crowd.inner().active.len(), 100, "an answer is under way");
        all[3].phase().writes(false);
        assert_eq!(crowd.inner().resting.len(), 1);
        assert_eq!(crowd.counts(), ConnectionCounts { active: 98, idle: 1, anonymous: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_who_reads_no_answer_is_asked_all_the_same() {
        let (crowd, all) = full(2).await;
        for one in &all {
            one.phase().writes(true);
        }
        crowd.ask_one();
        assert!(is_asked(&all[0]));
    }

    /// Over HTTP/2, requests may arrive until the peer has received the GOAWAY.
    #[tokio::test(start_paused = true)]
    async fn one_that_was_asked_and_does_not_end_keeps_nobody_out() {
        let (crowd, mut all) = full(2).await;
        let waiting = tokio::spawn({
            let crowd = Arc::clone(&crowd);
            async move { crowd.enter().await }
        });
        tokio::task::yield_now().await;
        // It has been asked, and begins something before it has ended.
        assert!(is_asked(&all[0]));
        let _running = all[0].phase().run();
        tokio::time::sleep(PATIENCE * 2).await;
        assert!(is_asked(&all[1]), "nobody else was asked");
        drop(all.remove(1));
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_something_after_it_was_asked_goes_on_and_another_one_ends() {
        let (crowd, all) = full(2).await;
        crowd.ask_one();
        let running = all[0].phase().run();
        assert!(!is_asked(&all[0]) && !is_asked(&all[1]));
        crowd.ask_one();
        assert!(!is_asked(&all[0]) && is_asked(&all[1]));
        drop(running);
        assert!(!is_asked(&all[0]), "one makes room at a time");
    }
}
