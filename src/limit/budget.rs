//! The budgets of what a caller may remove within an hour: addresses, and resources of other destructive calls.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Live, retry_after};
use crate::{
    clock,
    error::{Error, Problem},
    mutex::lock,
};

/// Everything counts for an hour. What is removed within one minute becomes free again together.
const MINUTE: i64 = 60;
const MINUTES: i64 = 60;

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetKind {
    /// Addresses that are taken off vNICs (`limits.addresses_per_hour`).
    Addresses,
    /// Resources that any other destructive call names (`limits.destructive_per_hour`).
    Resources,
}

/// Both budgets. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Budgets {
    addresses: Budget,
    resources: Budget,
}

impl Budgets {
    /// The budgets of these limits.
    #[must_use]
    pub fn new(limits: &Live) -> Self {
        let budget = |kind| Budget::new(kind, limits.clone());
        Self { addresses: budget(BudgetKind::Addresses), resources: budget(BudgetKind::Resources) }
    }

    /// The budget that counts this.
    #[must_use]
    pub const fn of(&self, kind: BudgetKind) -> &Budget {
        match kind {
            BudgetKind::Addresses => &self.addresses,
            BudgetKind::Resources => &self.resources,
        }
    }
}

/// How many addresses or resources each caller may remove within an hour. Clones share the count.
///
/// The hour slides by minutes. One counts for at least an hour and at most a minute more, so no hour
/// ever sees more than the budget.
#[derive(Clone, Debug)]
pub struct Budget {
    kind: BudgetKind,
    limits: Live,
    begun: Instant,
    book: Arc<Mutex<BudgetBook>>,
}

/// What was removed by minute, counted from the start of the budget; minutes before it are negative. There
/// are at most 61 of them.
type Minutes = BTreeMap<i64, u64>;

#[derive(Debug, Default)]
struct BudgetBook {
    /// Holds only callers of whom something counts.
    callers: HashMap<Arc<str>, Minutes>,
    /// Everything before this minute has been dropped.
    swept: Option<i64>,
}

/// What is reserved for one write. It counts unless it is released.
#[derive(Debug)]
#[must_use = "say what became of the write"]
pub struct Reservation {
    /// The caller, the minute and the number; `None` if the number is 0.
    held: Option<(Arc<str>, i64, u64)>,
    book: Arc<Mutex<BudgetBook>>,
}

impl Budget {
    /// A budget of this kind. It counts even if there is no limit, because a reload may set one within the hour.
    #[must_use]
    pub fn new(kind: BudgetKind, limits: Live) -> Self {
        Self { kind, limits, begun: Instant::now(), book: Arc::default() }
    }

    /// Reserves `count` of a caller's budget before a write is sent. `caller_id` is [`Caller::id`].
    ///
    /// [`Caller::id`]: crate::domain::Caller::id
    ///
    /// # Errors
    /// 429 `budget-exceeded`, with the time until enough is free, if too little is left.
    pub fn reserve(&self, caller_id: &str, count: usize) -> Result<Reservation, Error> {
        let count = count as u64;
        let per_hour = self.per_hour();
        if count == 0 {
            return Ok(Reservation { held: None, book: Arc::clone(&self.book) });
        }
        let since = self.begun.elapsed();
        let minute = minute_of(since.as_secs());
        let mut book = lock(&self.book);
        book.forget_before(minute - MINUTES);
        book.room_for(caller_id, count, (self.kind, per_hour), since)?;
        let caller_id = book.add(caller_id, minute, count);
        Ok(Reservation { held: Some((caller_id, minute, count)), book: Arc::clone(&self.book) })
    }

    /// Returns what a caller would have left after `count` more, and reserves nothing. `None` if
    /// there is no limit.
    ///
    /// # Errors
    /// As [`Budget::reserve`].
    pub fn look(&self, caller_id: &str, count: usize) -> Result<Option<u64>, Error> {
        let (per_hour, since) = (self.per_hour(), self.begun.elapsed());
        let mut book = lock(&self.book);
        book.forget_before(minute_of(since.as_secs()) - MINUTES);
        let used = book.room_for(caller_id, count as u64, (self.kind, per_hour), since)?;
        let left = per_hour.saturating_sub(used.saturating_add(count as u64));
        Ok((per_hour > 0).then_some(left))
    }

    fn per_hour(&self) -> u64 {
        let limits = self.limits.now();
        u64::from(match self.kind {
            BudgetKind::Addresses => limits.settings.addresses_per_hour,
            BudgetKind::Resources => limits.settings.destructive_per_hour,
        })
    }

    /// Counts what a caller removed before this start, as the journal has it. Anything older than an hour is
    /// ignored. The returned reservation can be released if the write proves not to have happened.
    #[must_use = "dropped, it counts"]
    pub fn restore(&self, caller_id: &str, at: SystemTime, count: usize) -> Option<Reservation> {
        if count == 0 {
            return None;
        }
        // A time in the future was written by a clock that has been set back since. The safe reading is that
        // it was just now.
        let age = clock::now().duration_since(at).unwrap_or_default();
        let now = i64::try_from(self.begun.elapsed().as_secs()).unwrap_or(i64::MAX);
        let then = now.saturating_sub_unsigned(age.as_secs());
        let (minute, then) = (now.div_euclid(MINUTE), then.div_euclid(MINUTE));
        if then < minute - MINUTES {
            return None;
        }
        let caller_id = lock(&self.book).add(caller_id, then, count as u64);
        let held = Some((caller_id, then, count as u64));
        Some(Reservation { held, book: Arc::clone(&self.book) })
    }
}

fn exceeded(kind: BudgetKind, most: u64, used: u64, count: u64, wait: Option<Duration>) -> Error {
    let left = most.saturating_sub(used);
    let rule = match kind {
        BudgetKind::Addresses => format!(
            "`limits.addresses_per_hour` lets one caller take off {most} addresses within an hour"
        ),
        BudgetKind::Resources => format!(
            "`limits.destructive_per_hour` lets one caller name {most} resources in destructive calls within an hour"
        ),
    };
    let start =
        format!("{rule}; {left} are left to you and this would be {count}: nothing was sent,");
    let seconds = retry_after(wait.unwrap_or(Duration::from_secs(3600)));
    let detail = match wait {
        Some(_) => format!("{start} ask for fewer, or try again in {seconds} s"),
        None => format!("{start} ask for fewer"),
    };
    Error::new(Problem::BudgetExceeded, detail).with_retry_after(seconds)
}

fn minute_of(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).div_euclid(MINUTE)
}

/// How long it takes until at least `missing` addresses are free again. `None` means never: the request asks
/// for more than the whole budget.
fn wait(minutes: &Minutes, missing: u64, since: Duration) -> Option<Duration> {
    let mut freed = 0_u64;
    let (minute, _) = minutes.iter().find(|(_, count)| {
        freed = freed.saturating_add(**count);
        freed >= missing
    })?;
    // They become free once the last moment of their minute is an hour old.
    let free_at = (minute + MINUTES + 1).saturating_mul(MINUTE);
    Some(Duration::from_secs(free_at.try_into().unwrap_or(0)).saturating_sub(since))
}

impl BudgetBook {
    fn add(&mut self, caller_id: &str, minute: i64, count: u64) -> Arc<str> {
        let known = self.callers.get_key_value(caller_id).map(|(known, _)| Arc::clone(known));
        let caller_id = known.unwrap_or_else(|| Arc::from(caller_id));
        let minutes = self.callers.entry(Arc::clone(&caller_id)).or_default();
        let taken = minutes.entry(minute).or_insert(0);
        *taken = taken.saturating_add(count);
        caller_id
    }

    /// How much of a caller's counts now, if `count` more are within the budget.
    fn room_for(
        &self,
        caller_id: &str,
        count: u64,
        (kind, per_hour): (BudgetKind, u64),
        since: Duration,
    ) -> Result<u64, Error> {
        let minutes = self.callers.get(caller_id);
        let used: u64 = minutes.map_or(0, |minutes| minutes.values().sum());
        if per_hour > 0 && used.saturating_add(count) > per_hour {
            let (empty, missing) = (Minutes::new(), used.saturating_add(count) - per_hour);
            let wait = wait(minutes.unwrap_or(&empty), missing, since);
            return Err(exceeded(kind, per_hour, used, count, wait));
        }
        Ok(used)
    }

    /// Drops what was removed before that minute, and callers with nothing left. Runs once a minute, because
    /// more often would find nothing.
    fn forget_before(&mut self, minute: i64) {
        if self.swept.replace(minute) == Some(minute) {
            return;
        }
        self.callers.retain(|_, minutes| {
            *minutes = minutes.split_off(&minute);
            !minutes.is_empty()
        });
    }
}

impl Reservation {
    /// The write was done: it counts.
    pub fn used(self) {}

    /// The outcome of the write is unknown: it counts, which is the safe reading. So does a reservation that is
    /// dropped.
    pub fn unknown(self) {}

    /// The write was refused or not sent: it does not count.
    pub fn release(mut self) {
        let Some((caller_id, minute, count)) = self.held.take() else { return };
        let mut book = lock(&self.book);
        let Some(minutes) = book.callers.get_mut(&caller_id) else { return };
        if let Some(taken) = minutes.get_mut(&minute) {
            *taken = taken.saturating_sub(count);
            if *taken == 0 {
                minutes.remove(&minute);
            }
        }
        if minutes.is_empty() {
            book.callers.remove(&caller_id);
        }
    }
}

#[cfg(test)]
mod tests;
