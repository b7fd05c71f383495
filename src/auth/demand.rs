//! How requests ask for fresh keys of an issuer, within a cooldown.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

/// A key that nobody knows makes us ask its issuer at most this often, whether the issuer answers
/// or not: whoever invents keys must not make us flood a provider (docs/threats.md, row 16).
pub(super) const COOLDOWN: Duration = Duration::from_secs(10);

/// How long callers wait for the answer, counted from when it was asked for.
const WAIT: Duration = Duration::from_secs(1);

/// How many callers wait at once. Each one holds a place among `limits.max_concurrent_requests`,
/// and nobody has verified who they are.
const MAX_WAITING: usize = 64;

/// How callers tell whoever refreshes an issuer's keys that they need them now.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    state: watch::Sender<State>,
    places: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How many refreshes were asked for.
    asked: u64,
    /// How many of them have been answered.
    answered: u64,
    /// When the last one was asked for.
    at: Option<Instant>,
    /// Whether the last refresh, asked for or not, brought keys.
    reached: bool,
    /// Whether there has been one.
    ended: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            places: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}

impl Demand {
    /// Asks for a refresh, unless one was asked for less than a cooldown ago.
    pub(super) fn raise(&self) {
        let now = Instant::now();
        self.state.send_if_modified(|state| {
            let ask = state.at.is_none_or(|at| now.duration_since(at) >= COOLDOWN);
            if ask {
                state.asked += 1;
                state.at = Some(now);
            }
            ask
        });
    }

    /// Asks for a refresh as [`Self::raise`] does and waits for it. Returns whether the keys at
    /// hand are what the issuer publishes, as far as we may ask it.
    pub(super) async fn fresh_keys(&self) -> bool {
        self.raise();
        let State { asked, at, .. } = *self.state.borrow();
        let until = at.unwrap_or_else(Instant::now) + WAIT;
        let mut state = self.state.subscribe();
        if state.borrow().answered < asked {
            let Ok(_place) = self.places.try_acquire() else { return false };
            let answered = state.wait_for(|state| state.answered >= asked);
            if !matches!(tokio::time::timeout_at(until, answered).await, Ok(Ok(_))) {
                return false;
            }
        }
        self.state.borrow().reached
    }

    /// Resolves when a refresh is asked for that nobody has begun.
    pub(super) async fn raised(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as this borrow of it.
        let _ = state.wait_for(|state| state.asked > state.answered).await;
    }

    /// Resolves once a refresh has ended, well or not.
    pub(super) async fn asked_once(&self) {
        // The sender lives as long as this borrow of it.
        let _ = self.state.subscribe().wait_for(|state| state.ended).await;
    }

    /// Whether the last refresh brought keys; not before the first one.
    pub(super) fn was_reached(&self) -> bool {
        self.state.borrow().reached
    }

    /// A refresh begins: it answers everybody who has asked until now.
    pub(super) fn begin(&self) -> Refresh<'_> {
        Refresh { demand: self, asked: self.state.borrow().asked }
    }
}

/// A refresh that runs.
#[derive(Debug)]
pub(super) struct Refresh<'a> {
    demand: &'a Demand,
    asked: u64,
}

impl Refresh<'_> {
    /// It has ended; whether it brought keys.
    pub(super) fn end(self, reached: bool) {
        self.demand.state.send_modify(|state| {
            state.answered = state.answered.max(self.asked);
            state.reached = reached;
            state.ended = true;
        });
    }
}
