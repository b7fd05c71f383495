use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// So many failures within such a time open a circuit.
pub(super) const FAILURES: usize = 20;
pub(super) const WITHIN: Duration = Duration::from_secs(10);
/// How long it is open at first, and at most.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(5);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long to wait for the outcome of a probe, which may come at any moment.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// The breaker of one kind of requests. Time is given to it.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// Counts openings and closings: what was let through before the last one says nothing about
    /// what is now.
    turn: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Lets everything through; the failures of the last while, oldest first.
    Closed(VecDeque<Instant>),
    Open(Open),
}

#[derive(Debug)]
struct Open {
    since: Instant,
    pause: Duration,
    /// Whether the one request after the pause is on its way.
    probing: bool,
    /// Whether the other kind has succeeded since.
    encouraged: bool,
}

/// How a request was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) admitted: Instant,
    turn: u64,
    probe: bool,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(VecDeque::new())
    }
}

impl Circuit {
    /// Whether it is not closed: after the pause too, until a probe has succeeded.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether the other kind has succeeded since this one was opened.
    pub(super) fn is_encouraged(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.encouraged)
    }

    /// Whether it is open, its pause over, and nothing known of how things are.
    pub(super) fn wants_proof(&self, now: Instant) -> bool {
        let State::Open(open) = &self.state else { return false };
        let over = now.saturating_duration_since(open.since) >= open.pause;
        over && !open.probing && !open.encouraged
    }

    /// Lets a request through, or says how long to wait; after the pause one at a time, and only
    /// if `may_probe`.
    pub(super) fn admit(&mut self, now: Instant, may_probe: bool) -> Result<Way, Duration> {
        let way = |probe| Way { admitted: now, turn: self.turn, probe };
        match &mut self.state {
            State::Closed(_) => Ok(way(false)),
            State::Open(open) => {
                let left = open.pause.saturating_sub(now.saturating_duration_since(open.since));
                if !left.is_zero() {
                    return Err(left);
                }
                if open.probing || !may_probe {
                    return Err(SOON);
                }
                open.probing = true;
                Ok(way(true))
            }
        }
    }

    /// A request succeeded; whether it was the probe that closes the circuit.
    pub(super) fn success(&mut self, way: Way) -> bool {
        let closes = way.probe && way.turn == self.turn;
        if closes {
            self.close();
        }
        closes
    }

    /// A request failed.
    pub(super) fn failure(&mut self, way: Way, now: Instant) {
        if way.turn != self.turn {
            return;
        }
        let pause = match &mut self.state {
            State::Closed(failures) => {
                failures.push_back(now);
                failures.retain(|at| now.saturating_duration_since(*at) < WITHIN);
                if failures.len() < FAILURES {
                    return;
                }
                FIRST_PAUSE
            }
            State::Open(open) => open.pause.saturating_mul(2).min(LONGEST_PAUSE),
        };
        self.turn += 1;
        self.state = State::Open(Open { since: now, pause, probing: false, encouraged: false });
    }

    /// Nobody will say what became of a request.
    pub(super) fn abandon(&mut self, way: Way) {
        if let State::Open(open) = &mut self.state
            && way.probe
            && way.turn == self.turn
        {
            open.probing = false;
        }
    }

    /// A request of the other kind, let through at `admitted`, has succeeded. One from before the
    /// opening says nothing; the other kind's own probe closes this one where its pause is over.
    pub(super) fn encourage(&mut self, admitted: Instant, now: Instant, was_probe: bool) {
        let State::Open(open) = &mut self.state else { return };
        if admitted < open.since {
            return;
        }
        open.encouraged = true;
        if was_probe && now.saturating_duration_since(open.since) >= open.pause {
            self.close();
        }
    }

    fn close(&mut self) {
        self.turn += 1;
        self.state = State::default();
    }
}
