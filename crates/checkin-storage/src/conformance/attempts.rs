//! Attempts to give a password, and cases of [`Allowance::take`] and [`Allowance::give_back`] for a store
//! that repeats these decisions in another language.

use std::sync::Arc;

use super::*;
use crate::{Allowance, Attempt, Budget, Counted, LONGEST_WAIT, Taken};

fn budget(name: &str) -> Budget {
    Budget::of_session(name)
}

async fn taken(storage: &dyn Storage, budget: &Budget) -> Taken {
    match storage.take_attempt(budget).await.unwrap() {
        Attempt::Taken(taken) => taken,
        refused => panic!("{refused:?}"),
    }
}

pub async fn of_parallel_attempts_only_the_free_ones_are_taken(subject: StoreUnderTest) {
    let attempts = together(60, |_| {
        let storage = Arc::clone(&subject.storage);
        async move { storage.take_attempt(&budget("one")).await.unwrap() }
    })
    .await;
    let mut counts = Vec::new();
    for attempt in attempts {
        match attempt {
            Attempt::Taken(taken) => counts.push(taken.count),
            Attempt::Wait(wait) => assert!(!wait.is_zero() && wait <= Duration::from_secs(1)),
            Attempt::UsedUp => panic!("the maximum number is much higher"),
        }
    }
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    (subject.advance)(Duration::from_secs(1)).await;
    assert_eq!(taken(&*subject.storage, &budget("one")).await.count, 6);
    let Attempt::Wait(wait) = subject.storage.take_attempt(&budget("one")).await.unwrap() else {
        panic!("the second wait is longer")
    };
    assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(2), "{wait:?}");
    assert_eq!(taken(&*subject.storage, &budget("two")).await.count, 1);
}

/// A step: takes an attempt and expects this number, or none; gives back the attempt with this number;
/// or forgets all.
enum Step {
    Take(u32),
    Refused,
    GiveBack(u32),
    Forget,
}

pub async fn attempts_are_given_back_and_forgotten(subject: StoreUnderTest) {
    use Step::{Forget, GiveBack, Refused, Take};
    let sequences: [&[Step]; 5] = [
        &[Take(1), GiveBack(1), Take(1), Take(2), GiveBack(1), Take(2)],
        &[Forget, Take(1), Take(2), Forget, Take(1)],
        &[Take(1), Take(2), Take(3), Take(4), Take(5), Refused, GiveBack(5), Take(5), Refused],
        &[
            Take(1),
            Take(2),
            Take(3),
            Take(4),
            Take(5),
            GiveBack(1),
            Take(5),
            Refused,
            Forget,
            Take(1),
        ],
        &[Take(1), Forget, GiveBack(1), GiveBack(1), Take(1)],
    ];
    for (number, steps) in sequences.iter().enumerate() {
        let (storage, budget) = (&*subject.storage, budget(&number.to_string()));
        let mut all: Vec<Taken> = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            match step {
                Take(count) => {
                    let one = taken(storage, &budget).await;
                    assert_eq!(one.count, *count, "sequence {number}, step {at}");
                    all.push(one);
                }
                Refused => {
                    let attempt = storage.take_attempt(&budget).await.unwrap();
                    assert!(matches!(attempt, Attempt::Wait(_)), "{number} {at}: {attempt:?}");
                }
                GiveBack(count) => {
                    let one = all.iter().rfind(|taken| taken.count == *count).unwrap();
                    storage.give_back_attempt(&budget, *one).await.unwrap();
                }
                Forget => storage.forget_attempts(&budget).await.unwrap(),
            }
        }
    }
}

/// The number of attempts, and how long the next one still has to wait, in ms: far enough from its end
/// that the duration of the test does not matter.
const COUNTED: [(u32, u64); 14] = [
    (0, 0),
    (1, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (5, 100_000),
    (6, 0),
    (14, 0),
    (15, 500_000),
    (16, 1_000_000_000),
    (98, 0),
    (99, 0),
    (99, 100_000),
    (100, 0),
];

/// Returns allowances with what is counted when an attempt is taken or given back at `now_ms`.
pub fn attempt_cases(now_ms: u64) -> impl Iterator<Item = (Budget, Counted)> {
    let budgets = [budget("cases"), Budget::of_network([192, 0, 2, 1].into())];
    budgets.into_iter().flat_map(move |budget| {
        COUNTED.into_iter().map(move |(count, wait_ms)| {
            // A wait that is over stays with the count.
            let over_ms = if count < budget.allowance().free { 0 } else { now_ms - 1_000 };
            let until_ms = if wait_ms == 0 { over_ms } else { now_ms + wait_ms };
            (budget.clone(), Counted { count, until_ms })
        })
    })
}

/// Compares what a store decided about such a case with the shared decision. Its clock is somewhat later.
pub fn expect_as_decided(allowance: &Allowance, counted: Counted, now_ms: u64, given: Attempt) {
    const TOLERANCE_MS: u64 = 60_000;
    let case = format!("{allowance:?} {counted:?}: {given:?}");
    match (allowance.take(counted, now_ms), given) {
        (Attempt::Taken(wanted), Attempt::Taken(taken)) => {
            assert_eq!(taken.count, wanted.count, "{case}");
            let wait = allowance.wait_after(taken.count);
            assert_eq!(taken.until_ms == 0, wait.is_zero(), "{case}");
            assert!(taken.until_ms - wanted.until_ms < TOLERANCE_MS, "{case}");
        }
        (Attempt::Wait(wanted), Attempt::Wait(wait)) => {
            assert!(wait <= wanted && wait <= LONGEST_WAIT, "{case}");
            assert!((wanted - wait).as_millis() < u128::from(TOLERANCE_MS), "{case}");
        }
        (wanted, given) => assert_eq!(given, wanted, "{case}"),
    }
}
