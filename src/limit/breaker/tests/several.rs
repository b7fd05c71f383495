//! Several vNICs and several callers: the failures of one do not affect all.

use super::*;

const ALICE: u64 = 1;
const BOB: u64 = 2;

const fn who(caller: u64, nic: u64) -> Asker {
    Asker { caller, nic }
}

impl Bench {
    /// Asks this often; each request that is let through fails. Returns how many were let through.
    fn hammer(&mut self, kind: Kind, asker: Asker, times: u32) -> u32 {
        let mut sent = 0;
        for _ in 0..times {
            if let Ok(out) = self.admit_for(kind, asker) {
                self.fail(kind, out);
                sent += 1;
            }
        }
        sent
    }

    /// Makes this many requests that succeed, each on another vNIC.
    fn successes(&mut self, kind: Kind, count: u32) {
        for _ in 0..count {
            let out = self.admit(kind).unwrap();
            self.succeed(kind, out);
        }
    }

    /// Opens reads for ZEC as a whole and lets the first pause pass; then alice's probe on the vNIC 1 fails.
    fn with_a_failed_probe() -> Self {
        let mut bench = Self::open(&[Kind::Read]);
        bench.now += FIRST_PAUSE;
        let probe = bench.admit_for(Kind::Read, who(ALICE, 1)).unwrap();
        bench.fail(Kind::Read, probe);
        bench
    }
}

#[test]
fn a_circuit_opens_where_at_least_half_of_the_requests_failed() {
    for (well, open) in [(21, false), (20, true), (400, false)] {
        let mut bench = Bench::new();
        bench.successes(Kind::Read, well);
        bench.failures(Kind::Read, 20);
        assert_eq!(bench.is_open(), (open, false), "{well} successes");
        // Successes of more than ten seconds ago no longer count.
        bench.now += seconds(10);
        if !open {
            bench.failures(Kind::Read, 20);
        }
        assert_eq!(bench.is_open(), (true, false));
    }
}

#[test]
fn one_failure_in_twenty_opens_nothing_however_long_it_goes_on() {
    let mut bench = Bench::new();
    for _ in 0..1000 {
        bench.failures(Kind::Write, 1);
        bench.successes(Kind::Write, 19);
        bench.now += Duration::from_millis(50);
        assert_eq!(bench.is_open(), (false, false));
    }
}

#[test]
fn a_vnic_at_which_zec_fails_is_spared_alone() {
    for kind in Kind::ALL {
        let mut bench = Bench::new();
        let (alice, bob) = (who(ALICE, 1), who(BOB, 2));
        assert_eq!(bench.hammer(kind, alice, 1000), FAILURES, "more were sent");
        assert_eq!(bench.admit_for(kind, alice), Err(FIRST_PAUSE));
        assert_eq!(bench.admit_for(kind, who(BOB, 1)), Err(FIRST_PAUSE), "for any caller");
        let other = if kind == Kind::Read { Kind::Write } else { Kind::Read };
        assert!(bench.admit_for(other, alice).is_ok());
        // This goes on for minutes.
        for _ in 0..300 {
            bench.hammer(kind, alice, 10);
            let out = bench.admit_for(kind, bob).unwrap();
            bench.succeed(kind, out);
            bench.now += seconds(1);
        }
        assert_eq!(bench.is_open(), (false, false));
    }
}

#[test]
fn five_failures_of_each_vnic_count_within_ten_seconds_and_four_vnics_open_a_circuit() {
    let mut bench = Bench::new();
    for nic in 1..=3 {
        bench.hammer(Kind::Read, who(ALICE, nic), 15);
    }
    let few = u32::try_from(EACH).unwrap();
    bench.hammer(Kind::Read, who(ALICE, 4), few - 1);
    assert_eq!(bench.is_open(), (false, false));
    bench.hammer(Kind::Read, who(ALICE, 4), 1);
    assert_eq!(bench.is_open(), (true, false));

    // Ten seconds later the count starts again.
    let mut bench = Bench::new();
    for round in 0..4 {
        assert_eq!(bench.is_open(), (false, false), "round {round}");
        bench.now += seconds(round);
        bench.hammer(Kind::Read, who(ALICE, 1), 4);
        bench.now += seconds(10);
    }
    for nic in 1..=4 {
        bench.hammer(Kind::Read, who(ALICE, nic), few);
    }
    assert_eq!(bench.is_open(), (true, false));
}

/// Each vNIC's own circuit opens before the earlier successes are ten seconds old.
#[test]
fn few_vnics_that_were_well_and_much_in_use_open_a_circuit_where_zec_fails_at_all_of_them() {
    for (vnics, opens) in [(3, false), (4, true)] {
        let mut bench = Bench::new();
        for _ in 0..100 {
            bench.successes(Kind::Read, 20);
            bench.now += Duration::from_millis(100);
        }
        let trouble = bench.now;
        while bench.is_open() == (false, false) && bench.now < trouble + seconds(60) {
            for nic in 1..=vnics {
                bench.hammer(Kind::Read, who(ALICE, nic), 1);
            }
            bench.now += Duration::from_millis(100);
        }
        assert_eq!(bench.is_open().0, opens, "{vnics} vNICs");
        assert!(!opens || bench.now <= trouble + seconds(20), "{:?}", bench.now - trouble);
    }
}

#[test]
fn vnics_that_are_spared_count_for_a_minute_after_they_failed_last() {
    for (seconds_later, opens) in [(59, true), (60, false)] {
        let mut bench = Bench::new();
        bench.successes(Kind::Read, 100);
        for nic in 1..=4 {
            bench.hammer(Kind::Read, who(ALICE, nic), FAILURES);
        }
        assert_eq!(bench.is_open(), (false, false));
        bench.now += seconds(seconds_later);
        bench.hammer(Kind::Read, who(BOB, 5), 1);
        assert_eq!(bench.is_open().0, opens, "{seconds_later}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_reached_no_server_counts_for_every_vnic() {
    let breaker = Breaker::new(Arc::new(Metrics::new(&[], &[]).unwrap()));
    let alice = breaker.asker("corp/alice", "nic-1");
    for _ in 0..FAILURES {
        breaker.admit(Kind::Read, alice).unwrap().unreached();
    }
    let bob = breaker.asker("corp/bob", "nic-2");
    assert_eq!(breaker.admit(Kind::Read, bob).unwrap_err(), FIRST_PAUSE);
    assert_eq!(lock(&breaker.circuits).nics.len(), 0, "it is no vNIC's fault");
}

#[test]
fn after_a_failed_probe_another_caller_on_another_vnic_goes_first() {
    let mut bench = Bench::with_a_failed_probe();
    assert_eq!(bench.admit_for(Kind::Read, who(BOB, 2)), Err(seconds(10)));
    bench.now += seconds(10);
    for second in [who(ALICE, 1), who(ALICE, 2), who(BOB, 1)] {
        assert_eq!(bench.admit_for(Kind::Read, second), Err(SOON), "{second:?}");
    }
    let probe = bench.admit_for(Kind::Read, who(BOB, 2)).unwrap();
    bench.succeed(Kind::Read, probe);
    assert_eq!(bench.is_open(), (false, false));
}

#[test]
fn after_a_failed_probe_the_same_caller_may_probe_again_if_no_other_comes() {
    // No one else has asked.
    let mut bench = Bench::with_a_failed_probe();
    bench.now += seconds(10);
    assert!(bench.admit_for(Kind::Read, who(ALICE, 1)).is_ok());
    // The same caller on another vNIC goes before the asker that failed.
    let mut bench = Bench::with_a_failed_probe();
    bench.admit_for(Kind::Read, who(ALICE, 2)).unwrap_err();
    bench.now += seconds(10);
    assert_eq!(bench.admit_for(Kind::Read, who(ALICE, 1)), Err(SOON));
    assert!(bench.admit_for(Kind::Read, who(ALICE, 2)).is_ok());
    // Someone else has asked, and does not come back.
    let mut bench = Bench::with_a_failed_probe();
    bench.admit_for(Kind::Read, who(BOB, 2)).unwrap_err();
    bench.now += seconds(10);
    bench.now += PRECEDENCE.saturating_sub(Duration::from_millis(1));
    assert_eq!(bench.admit_for(Kind::Read, who(ALICE, 1)), Err(SOON));
    bench.now += Duration::from_millis(1);
    assert!(bench.admit_for(Kind::Read, who(ALICE, 1)).is_ok());
}

#[test]
fn a_look_that_found_nothing_lets_others_look_first() {
    let mut bench = Bench::open(&[Kind::Write]);
    let (alice, bob) = (who(ALICE, 1), who(BOB, 2));
    let write = |bench: &mut Bench, asker| bench.circuits.all.write.look(asker, bench.now);
    assert_eq!(write(&mut bench, alice), None, "the pause is not over");
    bench.now += FIRST_PAUSE;
    let look = write(&mut bench, alice).unwrap();
    assert_eq!(write(&mut bench, bob), None, "one at a time");
    bench.now += seconds(60);
    bench.circuits.all.write.looked(look, alice, true, bench.now);
    assert_eq!(bench.admit_for(Kind::Write, bob), Err(SOON));
    assert_eq!(write(&mut bench, alice), None, "bob has not had a turn");
    let look = write(&mut bench, bob).unwrap();
    bench.circuits.all.write.looked(look, bob, false, bench.now);
    assert!(write(&mut bench, bob).is_some(), "no read was made: it is still bob's turn");
}

#[test]
fn a_write_on_a_vnic_waits_for_a_read_of_that_vnic() {
    let mut bench = Bench::new();
    let alice = who(ALICE, 1);
    bench.hammer(Kind::Write, alice, FAILURES);
    bench.now += FIRST_PAUSE;
    bench.read();
    assert_eq!(bench.admit_for(Kind::Write, alice), Err(SOON), "another vNIC was read");
    let (all, own) = bench.circuits.look(alice, bench.now);
    assert!(all.is_none() && own.is_some());
    let read = bench.admit_for(Kind::Read, alice).unwrap();
    bench.succeed(Kind::Read, read);
    let write = bench.admit_for(Kind::Write, alice).unwrap();
    bench.succeed(Kind::Write, write);
    assert_eq!(bench.circuits.is_open(1), ([false; 2], [false; 2]));
}

#[test]
fn a_request_stopped_by_the_general_circuit_leaves_the_vnics_probe_to_others() {
    let mut bench = Bench::new();
    bench.hammer(Kind::Read, who(ALICE, 1), FAILURES);
    bench.now += seconds(1);
    bench.failures(Kind::Read, FAILURES - 5);
    assert_eq!(bench.is_open(), (true, false));
    bench.now += seconds(4);
    // The vNIC's own pause is over, but not the one for ZEC as a whole.
    assert_eq!(bench.admit_for(Kind::Read, who(ALICE, 1)), Err(seconds(1)));
    bench.now += seconds(1);
    assert!(bench.admit_for(Kind::Read, who(ALICE, 1)).is_ok());
}

#[test]
fn so_many_vnics_are_kept_apart_and_what_is_over_is_forgotten() {
    let mut bench = Bench::new();
    bench.hammer(Kind::Read, who(ALICE, 1), FAILURES);
    for number in 0..3 * MOST as u64 {
        bench.now += Duration::from_millis(1);
        // Too many successes for a circuit for ZEC as a whole to open.
        bench.successes(Kind::Read, 2);
        bench.failures(Kind::Read, 1);
        assert!(bench.circuits.nics.len() <= MOST, "{number}");
    }
    assert!(bench.admit_for(Kind::Read, who(ALICE, 1)).is_ok(), "it failed longest ago");
    bench.hammer(Kind::Read, who(ALICE, 2), FAILURES);
    bench.now += seconds(10);
    assert!(bench.circuits.nics.sweep(bench.now));
    assert_eq!((bench.circuits.nics.len(), bench.circuits.nics.open()), (1, [1, 0]));
    assert!(!bench.circuits.nics.sweep(bench.now), "not at each request");
    bench.now += FORGOTTEN;
    assert!(bench.circuits.nics.sweep(bench.now));
    assert_eq!(bench.circuits.nics.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vnic_that_is_spared_shows_in_a_metric_of_its_own() {
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let shown = |kind: &str, value: u8| {
        let text = metrics.render().unwrap();
        let line = format!("zec_gateway_zec_breaker_open_nics{{kind=\"{kind}\"}} {value}\n");
        assert!(text.contains(&line), "{line}");
        assert!(text.contains("zec_gateway_zec_breaker_open{kind=\"read\"} 0\n"));
    };
    let breaker = Breaker::new(Arc::clone(&metrics));
    let alice = breaker.asker("corp/alice", "nic-1");
    shown("read", 0);
    for _ in 0..FAILURES {
        breaker.admit(Kind::Read, alice).unwrap().failure();
    }
    shown("read", 1);
    shown("write", 0);
    tokio::time::advance(FIRST_PAUSE).await;
    breaker.admit(Kind::Read, alice).unwrap().success();
    shown("read", 0);
}
