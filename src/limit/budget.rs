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
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const ALICE: &str = "corp/alice";

    fn budget(addresses_per_hour: u32) -> Budget {
        let limits = Live::with(|limits| limits.addresses_per_hour = addresses_per_hour);
        Budget::new(BudgetKind::Addresses, limits)
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    fn held(budget: &Budget) -> Vec<usize> {
        lock(&budget.book).callers.values().map(BTreeMap::len).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_and_how_long_to_wait_are_said() {
        let budget = budget(10);
        budget.reserve(ALICE, 4).unwrap().used();
        advance(minutes(10)).await;
        budget.reserve(ALICE, 4).unwrap().used();
        advance(Duration::from_millis(500)).await;
        let error = budget.reserve(ALICE, 3).unwrap_err();
        assert_eq!((error.status(), error.problem()), (429, Problem::BudgetExceeded));
        // The first four become free 61 minutes after the beginning, ten of which have passed.
        assert_eq!(error.retry_after(), Some(51 * 60));
        for part in ["`limits.addresses_per_hour`", "10 addresses", "2 are left", "would be 3"] {
            assert!(error.detail().contains(part), "{part}: {}", error.detail());
        }
        // Seven need more than the first four.
        assert_eq!(budget.reserve(ALICE, 7).unwrap_err().retry_after(), Some(61 * 60));
        budget.reserve(ALICE, 2).unwrap().used();
        budget.reserve("corp/bob", 10).unwrap().used();
        // A caller who waits exactly as long as the answer says succeeds, and not a moment earlier.
        advance(Duration::from_millis(51 * 60_000 - 501)).await;
        assert!(budget.reserve(ALICE, 3).is_err());
        advance(Duration::from_millis(1)).await;
        budget.reserve(ALICE, 3).unwrap().used();
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_the_whole_budget_is_never_free() {
        let error = budget(10).reserve(ALICE, 11).unwrap_err();
        assert_eq!(error.retry_after(), Some(3600));
        assert!(error.detail().ends_with("ask for fewer"), "{}", error.detail());
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_certainly_was_not_done_is_given_back() {
        let budget = budget(10);
        budget.reserve(ALICE, 2).unwrap().used();
        budget.reserve(ALICE, 2).unwrap().unknown();
        drop(budget.reserve(ALICE, 2).unwrap());
        let held_back = budget.reserve(ALICE, 4).unwrap();
        assert!(budget.reserve(ALICE, 1).is_err());
        // Released in the minute in which they were reserved.
        advance(minutes(5)).await;
        held_back.release();
        assert!(budget.reserve(ALICE, 5).is_err());
        budget.reserve(ALICE, 4).unwrap().release();
        // Nothing is released twice, even after its hour.
        let late = budget.reserve(ALICE, 4).unwrap();
        advance(minutes(90)).await;
        budget.reserve(ALICE, 10).unwrap().used();
        late.release();
        assert!(budget.reserve(ALICE, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_before_a_restart_counts_on() {
        let budget = budget(10);
        let ago = |time| SystemTime::now() - time;
        let _ = budget.restore(ALICE, ago(minutes(30)), 6);
        let _ = budget.restore(ALICE, ago(minutes(120)), 3);
        let _ = budget.restore(ALICE, ago(Duration::from_secs(3590)), 1);
        let _ = budget.restore("corp/bob", SystemTime::now() + minutes(600), 10);
        assert_eq!(held(&budget).iter().sum::<usize>(), 3);
        assert!(budget.reserve(ALICE, 4).is_err());
        budget.reserve(ALICE, 3).unwrap().used();
        advance(minutes(32)).await;
        budget.reserve(ALICE, 7).unwrap().release();
        assert!(budget.reserve("corp/bob", 1).is_err());
        advance(minutes(30)).await;
        budget.reserve("corp/bob", 10).unwrap().used();
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_callers_are_forgotten() {
        let budget = budget(1_000_000);
        for _ in 0..600 {
            budget.reserve(ALICE, 1).unwrap().used();
            advance(Duration::from_secs(20)).await;
        }
        assert_eq!(held(&budget), [61]);
        budget.reserve("corp/bob", 1).unwrap().release();
        assert_eq!(held(&budget).len(), 1, "nothing is known of bob");
        for n in 0..100 {
            budget.reserve(&format!("corp/{n}"), 1).unwrap().used();
        }
        advance(minutes(61)).await;
        budget.reserve("corp/carol", 1).unwrap().used();
        assert_eq!(held(&budget), [1]);
    }

    #[tokio::test]
    async fn nought_is_no_limit_and_what_was_taken_meanwhile_counts_once_there_is_one() {
        let budget = budget(0);
        budget.reserve(ALICE, 1_000_000).unwrap().release();
        budget.reserve(ALICE, 6).unwrap().used();
        let _ = budget.restore(ALICE, SystemTime::now(), 3);
        budget.limits.alter(|limits| limits.addresses_per_hour = 10);
        assert!(budget.reserve(ALICE, 2).is_err());
        budget.reserve(ALICE, 1).unwrap().used();
        assert!(budget.reserve(ALICE, 1).is_err());
        budget.limits.alter(|limits| limits.addresses_per_hour = 11);
        budget.reserve(ALICE, 1).unwrap().used();
    }

    proptest! {
        /// No hour, wherever it begins, sees more than the budget. What is refused would have been too much
        /// within 61 minutes.
        #[test]
        fn no_hour_sees_more_than_the_budget(
            steps in proptest::collection::vec((0..1500_u64, 1..8_usize, 0..3_u8), 1..80)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let budget = budget(10);
                let (mut now, mut taken) = (0, Vec::new());
                for (pause, count, fate) in steps {
                    advance(Duration::from_secs(pause)).await;
                    now += pause;
                    let within = |seconds: u64| -> usize {
                        let recent = taken.iter().filter(|(at, _)| at + seconds > now);
                        recent.map(|(_, count): &(u64, usize)| count).sum()
                    };
                    match budget.reserve(ALICE, count) {
                        Ok(held) => {
                            assert!(within(3600) + count <= 10);
                            if fate == 0 { held.release() } else { taken.push((now, count)) }
                        }
                        Err(_) => assert!(within(3660) + count > 10),
                    }
                }
            });
        }
    }
}
