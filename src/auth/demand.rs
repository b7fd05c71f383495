//! Requests' demand for fresh keys of an issuer, limited by a cooldown.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

/// The shortest time between two refreshes for unknown keys of one issuer, whether the issuer answers or not. Made-up
/// key ids must not make the gateway flood a provider (docs/threats.md, row 16).
pub(super) const COOLDOWN: Duration = Duration::from_secs(10);

/// How long callers wait for a refresh, counted from the demand for it.
const WAIT: Duration = Duration::from_secs(1);

/// How many callers may wait at once. Each of them takes one of `limits.max_concurrent_requests`, and the gateway has
/// not verified any of them yet.
const MAX_WAITING: usize = 64;

/// Carries the callers' demand for keys to the task that refreshes an issuer's keys.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    state: watch::Sender<DemandState>,
    places: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, Default)]
struct DemandState {
    /// The number of refreshes demanded so far.
    asked: u64,
    /// The number of demanded refreshes that have ended.
    answered: u64,
    /// The time of the last demand.
    at: Option<Instant>,
    /// Whether the last refresh, demanded or regular, fetched keys.
    reached: bool,
    /// Whether any refresh has ended yet.
    ended: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(DemandState::default()),
            places: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}

impl Demand {
    /// Demands a refresh, unless the last demand is more recent than the cooldown.
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

    /// Demands a refresh as [`Self::raise`] does and waits for it. Returns whether the keys in memory are the ones that
    /// the issuer publishes, as far as the cooldown lets the gateway check.
    pub(super) async fn fresh_keys(&self) -> bool {
        self.raise();
        let DemandState { asked, at, .. } = *self.state.borrow();
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

    /// Resolves when there is a demand that no refresh has answered.
    pub(super) async fn raised(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as this borrow of it.
        let _ = state.wait_for(|state| state.asked > state.answered).await;
    }

    /// Resolves once a refresh has ended, successful or not.
    pub(super) async fn asked_once(&self) {
        // The sender lives as long as this borrow of it.
        let _ = self.state.subscribe().wait_for(|state| state.ended).await;
    }

    /// Whether the last refresh fetched keys; `false` before the first one.
    pub(super) fn was_reached(&self) -> bool {
        self.state.borrow().reached
    }

    /// Begins a refresh, which answers all demands so far.
    pub(super) fn begin(&self) -> Refresh<'_> {
        Refresh { demand: self, asked: self.state.borrow().asked }
    }
}

/// A refresh in progress.
#[derive(Debug)]
pub(super) struct Refresh<'a> {
    demand: &'a Demand,
    asked: u64,
}

impl Refresh<'_> {
    /// Ends the refresh; `reached` says whether it fetched keys.
    pub(super) fn end(self, reached: bool) {
        self.demand.state.send_modify(|state| {
            state.answered = state.answered.max(self.asked);
            state.reached = reached;
            state.ended = true;
        });
    }
}
