//! Several callers who send requests again, with and without keys, and hang up at random.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{
    gateway::Gateway,
    truth::{Truth, lock},
    zec::{ADDRESSES, NICS, address},
};
use crate::{
    domain::{
        Addresses, Caller, Change, ChangeIpv4, IdempotencyKey, NicId, Operation, Outcome,
        Selection, UnassignAll,
    },
    error::{Error, Problem},
    execute::{Done, RequestContext, Via},
    limit::ConcurrencySlots,
    telemetry::Record,
};

const CALLERS: usize = 4;

/// How often one request is sent, at most.
const TRIES: u32 = 6;

/// What a caller is doing; it outlives every run of the gateway.
#[derive(Debug)]
pub(super) struct Script {
    caller: Caller,
    request: Option<Asked>,
    keys: u32,
    /// Requests that were answered, to be sent once more.
    answered: Vec<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    selection: Selection,
    key: Option<String>,
    tries: u32,
}

pub(super) fn scripts(_: &mut fastrand::Rng) -> Vec<Script> {
    let script = |number: usize| Script {
        caller: Caller::vouch("corp", &format!("caller-{number}"), [""; 0]).unwrap(),
        request: None,
        keys: 0,
        answered: Vec::new(),
    };
    (0..CALLERS).map(script).collect()
}

/// Starts all callers.
pub(super) fn begin(gateway: &Arc<Gateway>) -> Vec<JoinHandle<()>> {
    (0..CALLERS).map(|number| tokio::spawn(call(Arc::clone(gateway), number))).collect()
}

/// Gives each caller the time to finish.
pub(super) async fn end(callers: Vec<JoinHandle<()>>) {
    tokio::time::sleep(Duration::from_secs(60)).await;
    callers.iter().for_each(JoinHandle::abort);
}

/// The gateway is gone: no caller gets an answer now.
pub(super) fn cut_off(gateway: &Gateway, callers: &[JoinHandle<()>]) {
    lock(&gateway.truth).dead = true;
    callers.iter().for_each(JoinHandle::abort);
}

async fn call(gateway: Arc<Gateway>, number: usize) {
    loop {
        let (pause, patience) = {
            let mut truth = lock(&gateway.truth);
            let most = if truth.random.u32(0..8) == 0 { 60_000 } else { 2500 };
            let patience = if truth.one_in(6) { truth.random.u64(1..4000) } else { 60_000 };
            (truth.random.u64(0..most), Duration::from_millis(patience))
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let (caller, asked) = {
            let mut truth = lock(&gateway.truth);
            if truth.dead || truth.peace {
                return;
            }
            let mut script = std::mem::replace(
                &mut truth.scripts[number],
                scripts(&mut fastrand::Rng::new()).swap_remove(number),
            );
            let asked = script.next(&mut truth);
            script.request = Some(asked.clone());
            let caller = script.caller.clone();
            truth.scripts[number] = script;
            (caller, asked)
        };
        let before = lock(&gateway.truth).writes.len();
        let answer = tokio::time::timeout(patience, ask(&gateway, &caller, &asked)).await;
        let mut truth = lock(&gateway.truth);
        if truth.dead {
            return;
        }
        if let Ok(answer) = &answer {
            check(&mut truth, &caller, &asked, answer, before);
        }
        let random = truth.random.u32(0..4);
        let script = &mut truth.scripts[number];
        if is_over(answer.as_ref().ok(), &asked, random) {
            script.request = None;
            if asked.key.is_some() {
                script.answered.push(asked);
            }
        }
    }
}

impl Script {
    fn next(&mut self, truth: &mut Truth) -> Asked {
        if let Some(request) = &mut self.request {
            request.tries += 1;
            return request.clone();
        }
        if !self.answered.is_empty() && truth.one_in(4) {
            let at = truth.random.usize(0..self.answered.len());
            let asked = self.answered.swap_remove(at);
            return Asked { tries: TRIES, ..asked };
        }
        let nic = NICS[truth.random.usize(0..NICS.len())];
        let has = truth.zecs[0].has(nic);
        let wanted: BTreeSet<Ipv4Addr> =
            (0..truth.random.u8(1..3)).map(|_| address(truth.random.u8(0..ADDRESSES))).collect();
        // Most callers ask for a change that fits the vNIC's state.
        let fits = !truth.one_in(10);
        let there = wanted.iter().all(|address| has.contains(address));
        let change = if there == fits { Change::Unassign } else { Change::Assign };
        let texts: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let nic = NicId::parse(nic).unwrap();
        let selection = if truth.one_in(15) {
            Selection::All(UnassignAll { nic, max: 50 })
        } else {
            let addresses = Addresses::parse(texts.iter().map(String::as_str), 50).unwrap();
            Selection::Listed(ChangeIpv4 { change, nic, addresses })
        };
        self.keys += 1;
        let key = truth.random.bool().then(|| format!("key-{}", self.keys));
        Asked { selection, key, tries: 1 }
    }
}

async fn ask(gateway: &Gateway, caller: &Caller, asked: &Asked) -> Result<Done, Error> {
    let key = asked.key.as_ref().map(|key| IdempotencyKey::parse(key.as_bytes()).unwrap());
    let operation = Operation::Change(asked.selection.clone(), key);
    let asking = RequestContext {
        caller,
        via: Via::Rest,
        places: &ConcurrencySlots::default(),
        deadline: Instant::now() + Duration::from_secs(30),
        reads_until: Instant::now() + Duration::from_secs(9),
        in_pieces: false,
        record: &Arc::new(Record::start("r", None, None)),
    };
    gateway.executor.perform(operation, asking).await
}

/// Whether a caller is finished with a request.
fn is_over(answer: Option<&Result<Done, Error>>, asked: &Asked, random: u32) -> bool {
    if asked.tries >= TRIES {
        return true;
    }
    match answer {
        Some(Ok(_)) => true,
        None => asked.key.is_none() && random < 2,
        Some(Err(error)) => match error.problem() {
            Problem::OutcomeUnknown | Problem::ZecBadAnswer => asked.key.is_none() && random < 2,
            Problem::StateConflict | Problem::ZecRejected | Problem::IdempotencyKeyReused => true,
            _ => random == 0,
        },
    }
}

/// Compares an answer with what took place.
fn check(
    truth: &mut Truth,
    caller: &Caller,
    asked: &Asked,
    answer: &Result<Done, Error>,
    before: usize,
) {
    let mut lies = Vec::new();
    match answer {
        Ok(Done::Replayed(done)) => {
            truth.replayed += 1;
            done_is_done(truth, done, &mut lies);
        }
        Ok(done) => done_is_done(truth, done, &mut lies),
        Err(error) => {
            let problem = error.problem();
            truth.in_progress += usize::from(problem == Problem::OperationInProgress);
            // The write that this very call began.
            let own = truth.writes.iter().skip(before);
            let own = own.filter(|write| write.caller == caller.id() && write.key == asked.key);
            let nothing_was_sent = matches!(
                problem,
                Problem::Overloaded
                    | Problem::Draining
                    | Problem::JournalUnavailable
                    | Problem::ZecUnavailable
                    | Problem::OperationInProgress
                    | Problem::BudgetExceeded
                    | Problem::StateConflict
            );
            for write in own {
                if nothing_was_sent && write.sent {
                    lies.push(format!(
                        "{problem:?} says that nothing was sent, but this write was: {write:?}"
                    ));
                }
            }
            if problem == Problem::StateConflict {
                let nic = asked.selection.nic().as_str();
                let addresses = match &asked.selection {
                    Selection::Listed(change) => {
                        change.addresses.as_slice().iter().copied().collect()
                    }
                    Selection::All(_) => BTreeSet::new(),
                };
                let open = truth.writes.iter().find(|w| w.is_open() && w.shares(nic, &addresses));
                if let Some(open) = open {
                    lies.push(format!(
                        "state-conflict was answered while a write was still open: {open:?}"
                    ));
                }
            }
        }
    }
    for lie in lies {
        truth.violated(&lie);
    }
}

fn done_is_done(truth: &Truth, done: &Done, lies: &mut Vec<String>) {
    if let Done::Changed { operation: Some(id), .. } = done {
        let write = truth.find(*id);
        // The outcome may be recorded late, but what the answer says must have taken place.
        if !write.is_some_and(|write| {
            write.took_place && matches!(write.outcome, Outcome::Done | Outcome::Pending)
        }) {
            lies.push(format!("the answer said done, but no such write took place: {write:?}"));
        }
    }
}

/// After a long quiet time, every address can be written.
pub(super) async fn nothing_is_held(gateway: &Gateway) {
    let caller = Caller::vouch("corp", "somebody", [""; 0]).unwrap();
    for nic in NICS {
        for last in 0..ADDRESSES {
            let has = {
                let mut truth = lock(&gateway.truth);
                // What was delayed has arrived by now.
                let now = truth.now();
                truth.settle(0, now);
                truth.zecs[0].has(nic)
            };
            let text = address(last).to_string();
            let there = has.contains(&address(last));
            let change = ChangeIpv4 {
                change: if there { Change::Unassign } else { Change::Assign },
                nic: NicId::parse(nic).unwrap(),
                addresses: Addresses::parse([text.as_str()], 1).unwrap(),
            };
            let asked = Asked { selection: Selection::Listed(change), key: None, tries: 1 };
            if let Err(error) = ask(gateway, &caller, &asked).await {
                let (problem, detail) = (error.problem(), error.detail().to_owned());
                lock(&gateway.truth).violated(&format!(
                    "{text} on {nic} still refuses a write after the quiet period: {problem:?} {detail}"
                ));
            }
        }
    }
}

/// Each caller has as much budget left as the journal says.
pub(super) fn budgets_are_the_journals(gateway: &Gateway) {
    let mut truth = lock(&gateway.truth);
    if truth.jumped {
        // A wrong clock recorded these times, so the hour cannot be checked.
        return;
    }
    let (now, budget) = (truth.now(), u64::from(truth.plan.budget));
    for number in 0..CALLERS {
        let caller = truth.scripts[number].caller.id().to_owned();
        let counted = |since: Duration| -> u64 {
            let recent = truth.writes.iter().filter(|write| {
                let counts = matches!(write.outcome, Outcome::Done | Outcome::Unknown);
                write.caller == caller && write.takes_off && counts && write.at >= since
            });
            recent.map(|write| write.addresses.len() as u64).sum()
        };
        let (least, most) = (
            counted(now.saturating_sub(Duration::from_mins(60))),
            counted(now.saturating_sub(Duration::from_mins(62))),
        );
        let left = gateway.budget.look(&caller, 0).ok().flatten();
        let used = budget.saturating_sub(left.unwrap_or(budget));
        if used < least.min(budget) || used > most {
            truth.violated(&format!(
                "{caller} has used {used}, and the journal says {least} to {most}"
            ));
        }
    }
}
