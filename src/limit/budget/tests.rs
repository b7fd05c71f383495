//! Tests of the budgets.

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
