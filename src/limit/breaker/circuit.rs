//! One circuit of the breaker: closed, open, and the probe after its pause.

use std::time::Duration;

use tokio::time::Instant;

use super::{Asker, turns::ProbeTurns, window::Window};

/// This many failures within ten seconds open a circuit, if no more requests succeeded than failed.
pub(super) const FAILURES: u32 = 20;
/// How long it is open at first, and at most.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(5);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The wait to suggest while a probe is in flight, whose outcome may come at any moment.
pub(super) const SOON: Duration = Duration::from_secs(1);
/// For this long after a pause, an asker whose probe failed lets others go first, because those were asked to
/// retry by then. Afterwards any asker may probe.
pub(super) const PRECEDENCE: Duration = Duration::from_secs(5);

/// The breaker of one kind of requests. Its methods take the current time.
#[derive(Debug)]
pub(super) struct Circuit {
    /// Counts openings and closings. A request that was let through before the last of them says nothing
    /// about the present state.
    turn: u64,
    state: CircuitState,
    /// When it was last closed again, if it was ever open.
    closed: Option<Instant>,
}

/// How a failure counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum FailureCount {
    /// In this circuit; the number is how many failures counted elsewhere are added.
    Here(u32),
    /// Elsewhere: the number is how many there are, this one included.
    Elsewhere(u32),
}

#[derive(Debug)]
enum CircuitState {
    /// Lets every request through, and counts successes and failures.
    Closed(Window),
    OpenCircuit(OpenCircuit),
}

#[derive(Debug)]
struct OpenCircuit {
    since: Instant,
    pause: Duration,
    /// When the pause is over, or when the last read that failed ended.
    due: Instant,
    /// Whether the one request after the pause is in flight.
    probing: bool,
    /// Whether a read is in flight to find out whether the other kind succeeds.
    looking: bool,
    /// Whether the other kind has succeeded since the opening.
    encouraged: bool,
    turns: ProbeTurns,
}

/// How a request was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    turn: u64,
    probe: bool,
}

impl Passage {
    /// The way of a request that met no circuit.
    pub(super) const fn free(turn: u64) -> Self {
        Self { turn, probe: false }
    }
}

impl Circuit {
    /// Makes a closed circuit. The four thousand million turns after `turn` must belong to no other circuit
    /// whose requests may be reported to this one.
    pub(super) fn new(turn: u64) -> Self {
        Self { turn, state: CircuitState::Closed(Window::default()), closed: None }
    }

    /// Whether it is not closed. It stays open after the pause until a probe has succeeded.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, CircuitState::OpenCircuit(_))
    }

    /// Whether the outcome of a request still says something about the present state.
    pub(super) const fn is_current(&self, way: Passage) -> bool {
        way.turn == self.turn
    }

    /// Since when failures count: those before the last closing do not.
    pub(super) const fn counts_since(&self) -> Option<Instant> {
        self.closed
    }

    /// Whether the other kind has succeeded since this circuit opened.
    pub(super) const fn is_encouraged(&self) -> bool {
        matches!(&self.state, CircuitState::OpenCircuit(open) if open.encouraged)
    }

    /// Gives out the turn to read, to find out whether the other kind succeeds. It does so if the circuit is
    /// open, its pause is over, and nothing is known yet. One turn at a time; report its result with
    /// [`Self::looked`].
    pub(super) fn look(&mut self, who: Asker, now: Instant) -> Option<Passage> {
        let CircuitState::OpenCircuit(open) = &mut self.state else { return None };
        let busy = open.probing || open.looking || open.encouraged;
        if now < open.due || busy || !open.may(who, now) {
            return None;
        }
        open.looking = true;
        Some(Passage { turn: self.turn, probe: false })
    }

    /// Reports that a read is over, and whether it failed. One that succeeded has encouraged the circuit by
    /// now.
    pub(super) fn looked(&mut self, way: Passage, who: Asker, failed: bool, now: Instant) {
        if let CircuitState::OpenCircuit(open) = &mut self.state
            && way.turn == self.turn
        {
            open.looking = false;
            if failed && !open.encouraged {
                open.turns.failed(who);
                open.due = open.due.max(now);
            }
        }
    }

    /// Lets a request through, or returns how long to wait. After the pause it lets one through at a time,
    /// and only if `may_probe`.
    pub(super) fn admit(
        &mut self,
        who: Asker,
        now: Instant,
        may_probe: bool,
    ) -> Result<Passage, Duration> {
        let way = |probe| Passage { turn: self.turn, probe };
        match &mut self.state {
            CircuitState::Closed(_) => Ok(way(false)),
            CircuitState::OpenCircuit(open) => {
                let may = open.may(who, now);
                let left = open.due.saturating_duration_since(now);
                if !left.is_zero() {
                    return Err(left);
                }
                if open.probing || !may_probe || !may {
                    return Err(SOON);
                }
                open.probing = true;
                Ok(way(true))
            }
        }
    }

    /// A request succeeded. Returns whether it was the probe that closes the circuit.
    pub(super) fn success(&mut self, way: Passage, now: Instant) -> bool {
        if way.turn != self.turn {
            return false;
        }
        match &mut self.state {
            CircuitState::Closed(window) => window.well(now),
            CircuitState::OpenCircuit(_) if way.probe => self.close(now),
            CircuitState::OpenCircuit(_) => {}
        }
        way.probe
    }

    /// A request failed.
    pub(super) fn failure(
        &mut self,
        way: Passage,
        who: Asker,
        now: Instant,
        counted: FailureCount,
    ) {
        if !self.is_current(way) {
            return;
        }
        let (pause, mut turns) = match &mut self.state {
            CircuitState::Closed(window) => {
                let more = match counted {
                    FailureCount::Here(more) => {
                        window.badly(now);
                        more
                    }
                    FailureCount::Elsewhere(more) => more,
                };
                let sum = window.sum(now);
                let badly = sum.badly.saturating_add(more);
                if badly < FAILURES || badly < sum.well {
                    return;
                }
                (FIRST_PAUSE, ProbeTurns::new())
            }
            CircuitState::OpenCircuit(open) => {
                let turns = std::mem::replace(&mut open.turns, ProbeTurns::new());
                (open.pause.saturating_mul(2).min(LONGEST_PAUSE), turns)
            }
        };
        if way.probe {
            turns.failed(who);
        }
        self.turn += 1;
        self.state = CircuitState::OpenCircuit(OpenCircuit {
            since: now,
            pause,
            due: now + pause,
            probing: false,
            looking: false,
            encouraged: false,
            turns,
        });
    }

    /// The outcome of a request will never be reported.
    pub(super) fn abandon(&mut self, way: Passage) {
        if let CircuitState::OpenCircuit(open) = &mut self.state
            && way.probe
            && way.turn == self.turn
        {
            open.probing = false;
        }
    }

    /// A request of the other kind, let through at `admitted`, has succeeded. One from before the opening
    /// says nothing. If it was the other kind's own probe and this circuit's pause is over, this circuit
    /// closes too.
    pub(super) fn encourage(&mut self, admitted: Instant, now: Instant, was_probe: bool) {
        let CircuitState::OpenCircuit(open) = &mut self.state else { return };
        if admitted < open.since {
            return;
        }
        open.encouraged = true;
        if was_probe && now >= open.due {
            self.close(now);
        }
    }

    fn close(&mut self, now: Instant) {
        self.turn += 1;
        self.closed = Some(now);
        self.state = CircuitState::Closed(Window::default());
    }
}

impl OpenCircuit {
    /// Whether it is this asker's turn to try. The question is remembered either way.
    fn may(&mut self, who: Asker, now: Instant) -> bool {
        self.turns.ask(who) || now >= self.due + PRECEDENCE
    }
}
