//! Tests of the breaker, and their shared helpers.

use super::{
    circuit::{FAILURES, FIRST_PAUSE, LONGEST_PAUSE, PRECEDENCE, SOON},
    nics::{EACH, FORGOTTEN, MOST},
    *,
};

mod model;
mod several;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// All circuits, with a clock of their own.
struct Bench {
    circuits: Circuits,
    now: Instant,
    /// How many requests were made so far.
    asked: u64,
}

/// A request that was let through.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Out {
    who: Asker,
    ways: Ways,
}

impl Bench {
    fn new() -> Self {
        let circuits = Circuits { all: CircuitPair::new(0), nics: Nics::default() };
        Self { circuits, now: Instant::now(), asked: 0 }
    }

    /// A request of another caller on another vNIC each time.
    fn admit(&mut self, kind: Kind) -> Result<Out, Duration> {
        self.asked += 1;
        self.admit_for(kind, Asker { caller: self.asked, nic: 1000 + self.asked })
    }

    fn admit_for(&mut self, kind: Kind, who: Asker) -> Result<Out, Duration> {
        let ways = self.circuits.admit(kind, who, self.now)?;
        Ok(Out { who, ways })
    }

    fn succeed(&mut self, kind: Kind, Out { who, ways }: Out) {
        self.circuits.success(kind, who, ways, self.now);
        self.circuits.abandon(kind, who, ways);
    }

    fn fail(&mut self, kind: Kind, Out { who, ways }: Out) {
        self.circuits.failure(kind, who, ways, self.now);
        self.circuits.abandon(kind, who, ways);
    }

    fn abandon(&mut self, kind: Kind, Out { who, ways }: Out) {
        self.circuits.abandon(kind, who, ways);
    }

    /// Makes this many requests fail at this moment.
    fn failures(&mut self, kind: Kind, count: u32) {
        for _ in 0..count {
            let way = self.admit(kind).unwrap();
            self.fail(kind, way);
        }
    }

    fn open(kinds: &[Kind]) -> Self {
        let mut bench = Self::new();
        for kind in kinds {
            bench.failures(*kind, FAILURES);
        }
        bench
    }

    /// Makes a read that succeeds.
    fn read(&mut self) {
        let way = self.admit(Kind::Read).unwrap();
        self.succeed(Kind::Read, way);
    }

    fn is_open(&self) -> (bool, bool) {
        self.circuits.all.is_open().into()
    }
}

#[test]
fn the_twentieth_failure_within_ten_seconds_opens_its_own_kind_only() {
    for (kind, open) in [(Kind::Read, (true, false)), (Kind::Write, (false, true))] {
        let mut bench = Bench::new();
        bench.failures(kind, 1);
        bench.now += seconds(10);
        bench.failures(kind, 19);
        assert_eq!(bench.is_open(), (false, false), "the first was ten seconds ago");
        // One success in between changes nothing: many failures and few successes mean trouble too.
        let way = bench.admit(kind).unwrap();
        bench.succeed(kind, way);
        bench.now += Duration::from_millis(9999);
        bench.failures(kind, 1);
        assert_eq!(bench.is_open(), open);
        assert_eq!(bench.admit(kind), Err(FIRST_PAUSE));
        let other = if kind == Kind::Read { Kind::Write } else { Kind::Read };
        assert!(bench.admit(other).is_ok());
    }
}

#[test]
fn while_it_is_open_the_rest_of_the_pause_is_said() {
    let mut bench = Bench::open(&[Kind::Read]);
    bench.now += Duration::from_millis(4999);
    assert_eq!(bench.admit(Kind::Read), Err(Duration::from_millis(1)));
    bench.now += Duration::from_millis(1);
    assert!(bench.admit(Kind::Read).is_ok());
}

#[test]
fn one_probe_is_let_through_at_a_time_and_its_success_closes() {
    let mut bench = Bench::open(&[Kind::Read]);
    bench.now += FIRST_PAUSE;
    let probe = bench.admit(Kind::Read).unwrap();
    assert_eq!(bench.admit(Kind::Read), Err(SOON));
    bench.abandon(Kind::Read, probe);
    let probe = bench.admit(Kind::Read).unwrap();
    assert_eq!(bench.admit(Kind::Read), Err(SOON));
    assert_eq!(bench.is_open(), (true, false), "half open is not closed");
    bench.succeed(Kind::Read, probe);
    assert_eq!(bench.is_open(), (false, false));
    bench.failures(Kind::Read, FAILURES - 1);
    assert_eq!(bench.is_open(), (false, false), "earlier failures are forgotten");
}

#[test]
fn each_probe_that_fails_doubles_the_pause_up_to_a_minute() {
    let mut bench = Bench::open(&[Kind::Read]);
    for pause in [5, 10, 20, 40, 60, 60] {
        assert_eq!(bench.admit(Kind::Read), Err(seconds(pause)));
        bench.now += seconds(pause);
        let probe = bench.admit(Kind::Read).unwrap();
        bench.fail(Kind::Read, probe);
    }
    bench.now += LONGEST_PAUSE;
    bench.read();
    bench.failures(Kind::Read, FAILURES);
    assert_eq!(
        bench.admit(Kind::Read),
        Err(FIRST_PAUSE),
        "new trouble starts with the first pause"
    );
}

#[test]
fn what_was_let_through_before_says_nothing_about_what_is_now() {
    let mut bench = Bench::new();
    let early: Vec<_> = (0..3).map(|_| bench.admit(Kind::Read).unwrap()).collect();
    bench.failures(Kind::Read, FAILURES);
    bench.now += seconds(4);
    bench.succeed(Kind::Read, early[0]);
    bench.fail(Kind::Read, early[1]);
    assert_eq!(bench.admit(Kind::Read), Err(seconds(1)));
    bench.now += seconds(1);
    let probe = bench.admit(Kind::Read).unwrap();
    bench.fail(Kind::Read, early[2]);
    assert_eq!(bench.admit(Kind::Read), Err(SOON), "the probe is still on its way");
    bench.succeed(Kind::Read, probe);
    assert_eq!(bench.is_open(), (false, false));
}

#[test]
fn a_write_is_tried_only_after_a_read_has_succeeded_since_writes_were_stopped() {
    let mut bench = Bench::new();
    let early = bench.admit(Kind::Read).unwrap();
    bench.now += Duration::from_millis(1);
    bench.failures(Kind::Write, FAILURES);
    bench.succeed(Kind::Read, early);
    bench.now += FIRST_PAUSE;
    assert_eq!(bench.admit(Kind::Write), Err(SOON), "that read began before");
    bench.read();
    assert_eq!(bench.is_open(), (false, true), "an ordinary read closes nothing");
    let probe = bench.admit(Kind::Write).unwrap();
    assert_eq!(bench.admit(Kind::Write), Err(SOON));
    bench.fail(Kind::Write, probe);
    assert_eq!(bench.admit(Kind::Write), Err(seconds(10)));
    bench.now += seconds(10);
    assert_eq!(bench.admit(Kind::Write), Err(SOON), "that read was before it was opened again");
    bench.read();
    let probe = bench.admit(Kind::Write).unwrap();
    bench.succeed(Kind::Write, probe);
    assert_eq!(bench.is_open(), (false, false));
}

#[test]
fn a_read_during_the_pause_lets_a_write_through_after_it() {
    let mut bench = Bench::open(&[Kind::Write]);
    bench.now += seconds(1);
    bench.read();
    assert_eq!(bench.admit(Kind::Write), Err(seconds(4)));
    bench.now += seconds(4);
    assert!(bench.admit(Kind::Write).is_ok());
}

#[test]
fn the_probe_of_reads_closes_writes_too_once_their_pause_is_over() {
    let mut bench = Bench::open(&[Kind::Read, Kind::Write]);
    bench.now += FIRST_PAUSE;
    bench.read();
    assert_eq!(bench.is_open(), (false, false));

    let mut bench = Bench::open(&[Kind::Read]);
    bench.now += seconds(1);
    bench.failures(Kind::Write, FAILURES);
    bench.now += seconds(4);
    bench.read();
    assert_eq!(bench.is_open(), (false, true), "writes have a second left");
    bench.now += seconds(1);
    assert!(bench.admit(Kind::Write).is_ok(), "and are tried after it");
}

#[test]
fn a_probe_of_an_earlier_turn_frees_no_place_of_a_later_one() {
    let mut bench = Bench::open(&[Kind::Write]);
    bench.read();
    bench.failures(Kind::Read, FAILURES);
    bench.now += FIRST_PAUSE;
    let early = bench.admit(Kind::Write).unwrap();
    bench.read();
    assert_eq!(bench.is_open(), (false, false), "closed while a write was being tried");
    bench.failures(Kind::Write, FAILURES);
    bench.now += FIRST_PAUSE;
    bench.read();
    let _probe = bench.admit(Kind::Write).unwrap();
    bench.abandon(Kind::Write, early);
    assert_eq!(bench.admit(Kind::Write), Err(SOON));
}

#[test]
fn a_write_that_succeeds_tells_nothing_about_reads() {
    let mut bench = Bench::open(&[Kind::Read]);
    bench.now += FIRST_PAUSE;
    let way = bench.admit(Kind::Write).unwrap();
    bench.succeed(Kind::Write, way);
    assert_eq!(bench.is_open(), (true, false));
}

#[tokio::test(start_paused = true)]
async fn a_pass_reports_once_frees_its_place_and_shows_in_the_metric() {
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let shown = |kind: &str, value: u8| {
        let line = format!("zec_gateway_zec_breaker_open{{kind=\"{kind}\"}} {value}\n");
        assert!(metrics.render().unwrap().contains(&line), "{line}");
    };
    let breaker = Breaker::new(Arc::clone(&metrics));
    let who = |number: u32| breaker.asker("corp/alice", &format!("nic-{number}"));
    shown("read", 0);
    for number in 0..FAILURES {
        breaker.clone().admit(Kind::Read, who(number)).unwrap().failure();
    }
    shown("read", 1);
    shown("write", 0);
    assert_eq!(breaker.admit(Kind::Read, who(1)).unwrap_err(), FIRST_PAUSE);
    tokio::time::advance(FIRST_PAUSE).await;
    let probe = breaker.admit(Kind::Read, who(1)).unwrap();
    assert_eq!(breaker.admit(Kind::Read, who(2)).unwrap_err(), SOON);
    drop(probe);
    breaker.admit(Kind::Read, who(2)).unwrap().success();
    shown("read", 0);
    let (_one, _other) =
        (breaker.admit(Kind::Read, who(1)).unwrap(), breaker.admit(Kind::Read, who(1)).unwrap());
}
