//! The state that a connection and its listener share.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{
    crowd::Crowd,
    phase::{running, since},
};
use crate::domain::Peer;
use crate::mutex::lock;

/// A bit of the number by which connections are ordered: a request on this connection had a good token.
const KNOWN: u64 = 1 << 63;

/// The state of a connection that its stream, its requests, its timer and the listener share.
///
/// The atomics through which the listener and the connection signal each other use the strictest ordering. If both read
/// the other's flag at the same time, at least one of them sees it.
#[derive(Debug)]
pub(super) struct Shared {
    /// What the connection is doing and since when: see `phase.rs`.
    pub(super) packed: AtomicU64,
    pub(super) drains: AtomicBool,
    /// Whether something is still to be written.
    unsent: AtomicBool,
    /// Since when each unread answer waits, over HTTP/2, and that a long one is overdue. The one that has waited longest is the first.
    unread: Mutex<VecDeque<u64>>,
    /// Whether a request on it passed authentication.
    known: AtomicBool,
    /// Whether the listener must be notified when the connection rests.
    aside: AtomicBool,
    /// Whether the listener has asked it to end.
    asked: AtomicBool,
    /// Its key in the listener's order, written under the listener's lock.
    stands_as: AtomicU64,
    /// Where it came from, once that is known.
    peer: OnceLock<Peer>,
    /// The task to wake when the connection is asked to end.
    waker: Mutex<Option<Waker>>,
    /// The listener, and the connection's number there; `None` in tests of a single connection.
    seat: Option<(Arc<Crowd>, u64)>,
}

impl Shared {
    pub(super) fn new(packed: u64, seat: Option<(Arc<Crowd>, u64)>) -> Self {
        Self {
            packed: AtomicU64::new(packed),
            drains: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
            unread: Mutex::default(),
            known: AtomicBool::new(false),
            aside: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            stands_as: AtomicU64::new(since(packed)),
            peer: OnceLock::new(),
            waker: Mutex::default(),
            seat,
        }
    }

    pub(super) fn came_from(&self, peer: Peer) {
        let _ = self.peer.set(peer);
    }

    pub(super) fn peer(&self) -> Option<Peer> {
        self.peer.get().copied()
    }

    pub(super) fn seat(&self) -> Option<(&Arc<Crowd>, u64)> {
        self.seat.as_ref().map(|(crowd, id)| (crowd, *id))
    }

    /// Its key in the listener's order: the connection with the smallest key is closed first. `None` while a request is
    /// in flight. After a good token, also `None` while an answer is not completely sent.
    pub(super) fn rests_as(&self) -> Option<u64> {
        let packed = self.packed.load(Ordering::SeqCst);
        // Otherwise a caller without a token who reads no answer would keep a place for as long as they like.
        let out = |known: bool| !known || (!self.is_unsent() && self.unread().is_empty());
        let known = self.is_known();
        let rests = running(packed) == 0 && out(known);
        rests.then(|| since(packed) | if known { KNOWN } else { 0 })
    }

    pub(super) fn unread(&self) -> MutexGuard<'_, VecDeque<u64>> {
        lock(&self.unread)
    }

    pub(super) fn stands_as(&self) -> u64 {
        self.stands_as.load(Ordering::Relaxed)
    }

    pub(super) fn stand_as(&self, number: u64) {
        self.stands_as.store(number, Ordering::Relaxed);
    }

    pub(super) fn set_aside(&self, aside: bool) {
        self.aside.store(aside, Ordering::SeqCst);
    }

    /// Notifies the listener, if it waits for that, that a request or an answer has ended and the connection rests.
    pub(super) fn may_rest(&self) {
        if self.aside.load(Ordering::SeqCst)
            && self.rests_as().is_some()
            && let Some((crowd, id)) = &self.seat
        {
            crowd.comes_back(*id);
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    pub(super) fn know(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unsent(&self) -> bool {
        self.unsent.load(Ordering::SeqCst)
    }

    pub(super) fn set_unsent(&self, unsent: bool) {
        if self.unsent.load(Ordering::Relaxed) != unsent {
            self.unsent.store(unsent, Ordering::SeqCst);
            if !unsent {
                self.may_rest();
            }
        }
    }

    /// Asks the connection to end.
    pub(super) fn ask_to_end(&self) {
        self.asked.store(true, Ordering::SeqCst);
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready if the listener has asked the connection to end and it rests. If the connection has begun something since,
    /// it declines and goes on.
    pub(super) fn poll_asked(&self, cx: &Context<'_>) -> Poll<()> {
        let Some((crowd, id)) = &self.seat else { return Poll::Pending };
        let mut waker = lock(&self.waker);
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        if !self.asked.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        if self.rests_as().is_some() {
            return Poll::Ready(());
        }
        self.asked.store(false, Ordering::SeqCst);
        crowd.declines(*id);
        Poll::Pending
    }
}
