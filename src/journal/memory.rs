//! A journal in memory, for tests. It shows that the traits of the store are sufficient, and it outlives a
//! gateway that crashes in a simulation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use super::{
    chain::{Entry, Head},
    content::{self, Content},
    record::{Filter, HeldKey, Holder, KeyClaim, Page, View, millis, moment},
    store::{
        Applied, Archive, Closing, Failed, KeyTerms, Ledger, Opened, Opening, Step, Store,
        StoreError, Unheard,
    },
};
use crate::{
    clock,
    domain::{OperationId, Outcome},
    error::Fault,
    mutex::lock,
};

/// How many answers are kept for one caller.
const ANSWERS: usize = 1000;

/// The store. Clones share one state.
#[derive(Clone, Default)]
pub(in crate::journal) struct MemoryStore(Arc<Mutex<MemoryState>>);

#[derive(Clone, Default)]
struct MemoryState {
    /// Whether a ledger is open.
    open: bool,
    start: Option<(Head, SystemTime)>,
    entries: Vec<Entry>,
    operations: Vec<MemoryOperation>,
    /// By caller and key.
    keys: HashMap<(String, String), MemoryKey>,
}

/// Where an operation's entries are.
#[derive(Clone)]
struct MemoryOperation {
    id: OperationId,
    intent: i64,
    last: i64,
    outcome: Outcome,
    given_up: bool,
}

#[derive(Clone)]
struct MemoryKey {
    fingerprint: [u8; 32],
    /// The operation, or the answer to repeat.
    operation: Result<OperationId, String>,
    at: i64,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, MemoryState> {
        lock(&self.0)
    }
}

impl Store for MemoryStore {
    fn open(&self, keys: KeyTerms) -> Result<Opened, Fault> {
        if std::mem::replace(&mut self.lock().open, true) {
            return Err(self.fault(&"another gateway has this journal open"));
        }
        let ledger = Box::new(MemoryLedger { store: self.clone(), keys });
        Ok(Opened { ledger, archive: Arc::new(self.clone()), keyed: Arc::new(self.clone()) })
    }

    fn read(&self) -> Result<Box<dyn Archive>, Fault> {
        Ok(Box::new(self.clone()))
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::new(error.to_string())
    }
}

struct MemoryLedger {
    store: MemoryStore,
    keys: KeyTerms,
}

impl Drop for MemoryLedger {
    fn drop(&mut self) {
        self.store.lock().open = false;
    }
}

impl Ledger for MemoryLedger {
    fn append(&mut self, steps: &[Step]) -> Result<Vec<Applied>, Failed> {
        let mut state = self.store.lock();
        Ok(steps.iter().map(|step| state.apply(step, &self.keys)).collect())
    }

    fn look(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn try_out(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn prune(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError> {
        self.store.lock().prune(before, most)
    }

    fn head(&self) -> Head {
        self.store.lock().head()
    }

    fn close(self: Box<Self>) {}
}

impl MemoryState {
    fn head(&self) -> Head {
        let start = self.start.map_or(Head::EMPTY, |(head, _)| head);
        self.entries.last().map_or(start, Entry::head)
    }

    fn entry(&self, seq: i64) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.seq == seq)
    }

    fn append(&mut self, content: &str) -> i64 {
        let entry = Entry::after(self.head(), content.to_owned());
        let seq = entry.seq;
        self.entries.push(entry);
        seq
    }

    fn apply(&mut self, step: &Step, keys: &KeyTerms) -> Applied {
        match step {
            Step::Begin(opening) => self.begin(opening, keys),
            Step::End(closing) => self.end(closing, keys),
            Step::Remember(memory) => {
                let answer = Err(memory.answer.clone());
                let now = millis(keys.clock.latest());
                if !self.claim(&memory.caller, &memory.claim, (answer, now), keys) {
                    return Applied::KeyTaken;
                }
                let of = |(name, key): (&(String, String), &MemoryKey)| {
                    name.0 == memory.caller && key.operation.is_err()
                };
                if self.keys.iter().filter(|one| of(*one)).count() <= ANSWERS {
                    return Applied::Remembered;
                }
                self.keys.remove(&name(&memory.caller, &memory.claim));
                Applied::TooManyAnswers(Duration::from_secs(60))
            }
        }
    }

    fn begin(&mut self, opening: &Opening, keys: &KeyTerms) -> Applied {
        if let Some(claim) = &opening.key
            && !self.claim(&opening.caller, claim, (Ok(opening.id), i64::MAX), keys)
        {
            return Applied::KeyTaken;
        }
        let seq = self.append(&opening.content);
        self.operations.push(MemoryOperation {
            id: opening.id,
            intent: seq,
            last: seq,
            outcome: Outcome::Pending,
            given_up: false,
        });
        Applied::Appended
    }

    /// Claims a key whose lifetime starts at `at`. Returns whether it was free.
    fn claim(
        &mut self,
        caller: &str,
        claim: &KeyClaim,
        (operation, at): (Result<OperationId, String>, i64),
        keys: &KeyTerms,
    ) -> bool {
        let expired = millis(keys.clock.expired(keys.lifetime));
        let name = name(caller, claim);
        if self.keys.get(&name).is_some_and(|held| held.at > expired) {
            return false;
        }
        self.keys.insert(name, MemoryKey { fingerprint: claim.fingerprint, operation, at });
        true
    }

    fn end(&mut self, closing: &Closing, keys: &KeyTerms) -> Applied {
        let next = self.head().length + 1;
        let Some(operation) = self.operations.iter_mut().rev().find(|one| one.id == closing.id)
        else {
            return Applied::NoSuchOperation;
        };
        let before = operation.outcome;
        let same = before == closing.outcome && !closing.given_up;
        if before.is_final() || operation.given_up || same {
            return Applied::Ended(before);
        }
        (operation.outcome, operation.given_up) = (closing.outcome, closing.given_up);
        operation.last = next;
        self.append(&closing.content);
        if closing.frees_key {
            self.keys.retain(|_, key| key.operation != Ok(closing.id));
        } else if closing.outcome.is_final() || closing.given_up {
            let now = millis(keys.clock.latest());
            let held = self.keys.values_mut().filter(|key| key.operation == Ok(closing.id));
            held.for_each(|key| key.at = now);
        }
        Applied::Appended
    }

    fn prune(&mut self, before: SystemTime, most: usize) -> Result<usize, StoreError> {
        let mut gone = 0_usize;
        for entry in self.entries.iter().take(most) {
            let id = match Content::of(entry)? {
                Content::Intent(intent) => intent.operation,
                Content::Outcome(outcome) => outcome.operation,
            };
            let of = |one: &&MemoryOperation| one.id.to_string() == id;
            if let Some(operation) = self.operations.iter().find(of) {
                let last = self.entry(operation.last).map(Content::of).transpose()?;
                let at = match last {
                    Some(Content::Intent(intent)) => intent.at,
                    Some(Content::Outcome(outcome)) => outcome.at,
                    None => 0,
                };
                if moment(at) >= before || operation.outcome == Outcome::Pending {
                    break;
                }
            }
            gone += 1;
        }
        let Some(last) = gone.checked_sub(1).and_then(|last| self.entries.get(last)) else {
            return Ok(0);
        };
        let start = last.head();
        self.start = Some((start, clock::now()));
        self.entries.drain(..gone);
        self.operations.retain(|operation| operation.intent > start.length);
        Ok(gone)
    }

    fn view(&self, operation: &MemoryOperation) -> Result<View, StoreError> {
        let missing = || StoreError("an entry is missing".to_owned());
        let text = |seq| self.entry(seq).map(|entry| entry.content.as_str()).ok_or_else(missing);
        let last = (operation.last > operation.intent).then(|| text(operation.last)).transpose()?;
        content::view(text(operation.intent)?, last)
    }

    fn views(&self, newest_first: bool) -> Result<Vec<View>, StoreError> {
        let mut views: Vec<View> =
            self.operations.iter().map(|one| self.view(one)).collect::<Result<_, _>>()?;
        if newest_first {
            views.reverse();
        }
        Ok(views)
    }
}

fn name(caller: &str, claim: &KeyClaim) -> (String, String) {
    (caller.to_owned(), claim.key.as_str().to_owned())
}

impl Archive for MemoryStore {
    fn find(&self, id: OperationId) -> Result<Option<View>, StoreError> {
        let state = self.lock();
        let found = state.operations.iter().find(|one| one.id == id);
        found.map(|one| state.view(one)).transpose()
    }

    fn list(&self, filter: &Filter, _: &Unheard) -> Result<Page, StoreError> {
        let state = self.lock();
        let older = |views: Vec<View>, than| {
            let start = views.iter().position(|view| view.id == than);
            views.into_iter().skip(start.map_or(usize::MAX, |start| start + 1)).collect()
        };
        let mut views = state.views(true)?;
        if let Some(than) = filter.before {
            views = older(views, than);
        }
        views.retain(|view| {
            filter.caller.as_ref().is_none_or(|caller| view.caller == *caller)
                && filter.resource.as_ref().is_none_or(|one| view.call.resources.contains(one))
                && filter.outcome.is_none_or(|outcome| view.outcome == outcome)
                && filter.request_id.as_ref().is_none_or(|id| view.request_id == *id)
        });
        views.truncate(filter.limit);
        Ok(Page { views, searched_to: None })
    }

    fn unfinished(&self) -> Result<Vec<View>, StoreError> {
        let mut views = self.lock().views(false)?;
        views.retain(|view| !view.outcome.is_final() && !view.given_up);
        Ok(views)
    }

    fn by_key(
        &self,
        caller: &str,
        key: &str,
        expired: SystemTime,
    ) -> Result<Option<HeldKey>, StoreError> {
        let state = self.lock();
        let held = state.keys.get(&(caller.to_owned(), key.to_owned()));
        let Some(held) = held.filter(|held| held.at > millis(expired)) else { return Ok(None) };
        let fingerprint = held.fingerprint;
        let by = match &held.operation {
            Err(answer) => Holder::Answer(answer.clone()),
            Ok(id) => match state.operations.iter().find(|one| one.id == *id) {
                Some(operation) => Holder::Operation(Box::new(state.view(operation)?)),
                None => return Ok(None),
            },
        };
        Ok(Some(HeldKey { fingerprint, by }))
    }

    fn writes_since(&self, actions: &[String], since: SystemTime) -> Result<Vec<View>, StoreError> {
        let mut views = self.lock().views(false)?;
        views.retain(|view| {
            actions.contains(&view.call.action)
                && view.started_at >= since
                && matches!(view.outcome, Outcome::Done | Outcome::Unknown | Outcome::Pending)
        });
        Ok(views)
    }

    fn start(&self) -> Result<Option<(Head, SystemTime)>, StoreError> {
        Ok(self.lock().start)
    }

    fn entries(&self, each: &mut dyn FnMut(Head, Entry) -> bool) -> Result<Head, StoreError> {
        let (start, entries) = {
            let state = self.lock();
            (state.start.map_or(Head::EMPTY, |(head, _)| head), state.entries.clone())
        };
        for entry in entries {
            if !each(start, entry) {
                break;
            }
        }
        Ok(start)
    }

    fn misfiled(&self) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    fn close_idle(&self) {}
}
