//! Cases of [`Admission::decide`], for a store that repeats the decision in another language.

use std::iter;

use super::*;
use crate::AdmissionFacts;
use checkin_domain::CheckinId;

/// A window in ms, and the time before now of an identical check-in inside or outside of it, far enough
/// from its end that the duration of the test does not matter.
const WINDOWS: [(u64, Option<u64>); 5] = [
    (0, None),
    (0, Some(1_000)),
    (600_000, None),
    (600_000, Some(60_000)),
    (600_000, Some(1_200_000)),
];

/// Length of the log, number of applied entries, maximum backlog, maximum length.
const LOGS: [[u64; 4]; 12] = [
    [0, 0, u64::MAX, u64::MAX],
    [0, 0, 0, 9],
    [3, 0, 3, 9],
    [3, 1, 3, 9],
    [3, 3, 1, 9],
    [3, 0, 9, 3],
    [3, 1, 9, 3],
    [3, 3, 9, 3],
    [5, 1, 9, 3],
    [5, 2, 9, 3],
    [5, 3, 9, 3],
    [5, 5, 9, 1],
];

/// Returns admissions, with the facts when this check-in arrives at `now_ms`.
pub fn admission_cases(
    checkin: NewCheckin,
    now_ms: u64,
) -> impl Iterator<Item = (Admission, AdmissionFacts)> {
    let id: CheckinId = "1-1".parse().unwrap();
    let stars = StarRating::try_from(5_u64).unwrap();
    let other = NewCheckin { stars, ..checkin.clone() };
    let remembered = [None, Some((checkin, id)), Some((other, id))];
    let cases = remembered.into_iter().flat_map(|first| iter::zip(iter::repeat(first), WINDOWS));
    cases.flat_map(move |(remembered, (window_ms, since_ms))| {
        LOGS.into_iter().map(move |[length, counted, max_backlog, max_length]| {
            let duplicate_window = Duration::from_millis(window_ms);
            let last_identical_ms = since_ms.map(|since_ms| now_ms - since_ms);
            (
                Admission { duplicate_window, max_backlog, max_length },
                AdmissionFacts {
                    remembered: remembered.clone(),
                    last_identical_ms,
                    now_ms,
                    length,
                    counted,
                },
            )
        })
    })
}
