//! The circuits, compared with a model that is written in another way.

use proptest::prelude::*;

use super::*;

/// The rules of the breaker's page, applied to a plain list of all events, in milliseconds.
#[derive(Default)]
struct Model {
    now: u64,
    /// For each kind: when requests ended since the last closing, and whether they failed. `open` holds what
    /// is open.
    ended: [Vec<(u64, bool)>; 2],
    /// When the counting of seconds began.
    looked: [Option<u64>; 2],
    open: [Option<ModelOpen>; 2],
    /// Grows when a kind opens or closes.
    turns: [u32; 2],
}

#[derive(Clone, Copy)]
struct ModelOpen {
    since: u64,
    pause: u64,
    probe: Option<usize>,
    read_since: bool,
}

#[derive(Clone, Copy)]
struct Sent {
    number: usize,
    kind: usize,
    at: u64,
    turn: u32,
}

impl Model {
    fn admit(&mut self, kind: usize, number: usize) -> Result<Sent, u64> {
        if let Some(open) = &mut self.open[kind] {
            if self.now < open.since + open.pause {
                return Err(open.since + open.pause - self.now);
            }
            if open.probe.is_some() || (kind == 1 && !open.read_since) {
                return Err(1000);
            }
            open.probe = Some(number);
        }
        Ok(Sent { number, kind, at: self.now, turn: self.turns[kind] })
    }

    fn is_probe(&self, sent: Sent) -> bool {
        self.open[sent.kind].is_some_and(|open| open.probe == Some(sent.number))
    }

    fn close(&mut self, kind: usize) {
        self.open[kind] = None;
        self.ended[kind].clear();
        self.looked[kind] = None;
        self.turns[kind] += 1;
    }

    fn success(&mut self, sent: Sent) {
        let probe = self.is_probe(sent);
        if probe {
            self.close(sent.kind);
        } else if sent.turn == self.turns[sent.kind] && self.open[sent.kind].is_none() {
            self.ended[sent.kind].push((self.now, false));
        }
        if let (0, Some(write)) = (sent.kind, &mut self.open[1])
            && sent.at >= write.since
        {
            write.read_since = true;
            if probe && self.now >= write.since + write.pause {
                self.close(1);
            }
        }
    }

    fn failure(&mut self, sent: Sent) {
        let kind = sent.kind;
        let pause = if self.is_probe(sent) {
            (self.open[kind].unwrap().pause * 2).min(60_000)
        } else if sent.turn == self.turns[kind] && self.open[kind].is_none() {
            self.ended[kind].push((self.now, true));
            // Each failure is on another vNIC. Successes are counted by seconds, from the first request on.
            let ended = &self.ended[kind];
            let badly = ended.iter().filter(|(at, failed)| *failed && at + 10_000 > self.now);
            let start = ended.iter().find(|(_, failed)| !failed).map_or(self.now, |(at, _)| *at);
            let start = self.looked[kind].map_or(start, |looked| looked.min(start));
            let second = |at: u64| (at - start) / 1000;
            self.looked[kind] = Some(start);
            let is_recent = |at: u64| second(at) + 10 > second(self.now);
            let well = ended.iter().filter(|(at, failed)| !failed && is_recent(*at));
            let (badly, well) = (badly.count(), well.count());
            if badly < 20 || badly < well {
                return;
            }
            5000
        } else {
            return;
        };
        self.turns[kind] += 1;
        self.open[kind] =
            Some(ModelOpen { since: self.now, pause, probe: None, read_since: false });
    }

    fn abandon(&mut self, sent: Sent) {
        if self.is_probe(sent) {
            self.open[sent.kind].as_mut().unwrap().probe = None;
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(
        steps in proptest::collection::vec((0..12_u8, any::<bool>(), 0..1500_u64, any::<usize>()), 1..600)
    ) {
        let (mut bench, mut model) = (Bench::new(), Model::default());
        let mut out: Vec<(Sent, Out)> = Vec::new();
        for (number, (what, write, pause, which)) in steps.into_iter().enumerate() {
            let kind = if write { Kind::Write } else { Kind::Read };
            match what {
                // Mostly failures at short intervals, because otherwise nothing would ever open; now and then
                // a pause.
                0 => {
                    let pause = if which % 8 == 0 { pause * 20 } else { pause / 4 };
                    model.now += pause;
                    bench.now += Duration::from_millis(pause);
                }
                1..=7 => {
                    let (real, said) = (bench.admit(kind), model.admit(usize::from(write), number));
                    match (real, said) {
                        (Ok(way), Ok(sent)) if what > 2 => {
                            bench.fail(kind, way);
                            model.failure(sent);
                        }
                        (Ok(way), Ok(sent)) => out.push((sent, way)),
                        (Err(real), Err(said)) => assert_eq!(real, Duration::from_millis(said)),
                        (real, said) => panic!("{real:?} {:?}", said.err()),
                    }
                }
                _ if out.is_empty() => {}
                _ => {
                    let (sent, way) = out.swap_remove(which % out.len());
                    let kind = Kind::ALL[sent.kind];
                    match what {
                        8 | 9 => (bench.succeed(kind, way), model.success(sent)),
                        10 => (bench.fail(kind, way), model.failure(sent)),
                        _ => (bench.abandon(kind, way), model.abandon(sent)),
                    };
                }
            }
            assert_eq!(bench.is_open(), (model.open[0].is_some(), model.open[1].is_some()));
        }
    }
}
