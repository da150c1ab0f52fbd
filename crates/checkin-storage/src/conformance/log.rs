//! The log of check-ins, and duplicates.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::{Accepted, HistoryPosition, LogPosition};
use checkin_domain::{Checkin, CheckinId};

const WINDOW: Admission = window(Duration::from_secs(600));
const OFF: Admission = Admission::ALL;

async fn stored(storage: &dyn Storage, checkin: NewCheckin) -> CheckinId {
    match storage.append(checkin, None, OFF).await.unwrap() {
        Accepted::Stored(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn all(storage: &dyn Storage) -> Vec<Checkin> {
    storage.checkins_between(0..=u64::MAX, None, usize::MAX).await.unwrap()
}

pub async fn entries_come_back_in_order_and_in_pages(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    assert_eq!(all(storage).await, []);
    let mut checkins = Vec::new();
    for number in 1..=7 {
        let checkin = new_checkin(number, 8 - number, number % 6);
        checkins.push(checkin.clone().with_id(stored(storage, checkin).await));
    }
    // Across partitions, the order of ids may differ slightly from the order of times.
    checkins.sort_unstable_by_key(|checkin| checkin.id);
    assert_eq!(all(storage).await, checkins);
    let between = async |times_ms, after: Option<usize>, limit| {
        let after = after.map(|at| HistoryPosition::from(&checkins[at]));
        storage.checkins_between(times_ms, after, limit).await.unwrap()
    };
    let (max, all_times) = (CheckinId::MAX, 0..=u64::MAX);
    assert_eq!(between(all_times.clone(), None, 3).await, checkins[..3]);
    assert_eq!(between(all_times.clone(), Some(2), 3).await, checkins[3..6]);
    assert_eq!(between(all_times.clone(), Some(5), 3).await, checkins[6..]);
    assert_eq!(between(all_times.clone(), Some(6), 3).await, []);
    assert_eq!(between(all_times, None, 0).await, []);
    let [first, .., last] = checkins.as_slice() else { panic!("{checkins:?}") };
    assert_eq!(between(first.time_ms..=last.time_ms, None, 9).await, checkins);
    assert_eq!(between(0..=first.time_ms - 1, None, 9).await, []);
    assert_eq!(between(last.time_ms + 1..=u64::MAX, None, 9).await, []);

    let latest: Vec<Checkin> = checkins.iter().rev().cloned().collect();
    let before = async |id, limit| storage.latest_checkins(id, limit).await.unwrap();
    assert_eq!(before(max, 3).await, latest[..3]);
    assert_eq!(before(max, 9).await, latest);
    assert_eq!(before(latest[2].id, 2).await, latest[3..5]);
    assert_eq!(before(latest[6].id, 2).await, []);
    assert_eq!(before(CheckinId::MIN, 2).await, []);
}

pub async fn a_reader_follows_the_log(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let mut early = storage.log_end().await.unwrap();
    assert_eq!(storage.follow(&mut early, 9).await.unwrap(), []);
    let mut checkins = Vec::new();
    for number in 1..=5 {
        let checkin = new_checkin(number, 1, 3);
        checkins.push(checkin.clone().with_id(stored(storage, checkin).await));
    }
    let mut late = storage.log_end().await.unwrap();
    let mut read = Vec::new();
    while read.len() < 5 {
        let again: LogPosition = early.to_string().parse().unwrap();
        assert_eq!(again, early);
        let mut one_by_one = early.clone();
        let page = storage.follow(&mut early, 2).await.unwrap();
        assert!(!page.is_empty());
        for (partition, checkin) in page {
            assert!(one_by_one.0[partition] < checkin.id);
            one_by_one.0[partition] = checkin.id;
            read.push(checkin);
        }
        assert_eq!(one_by_one, early);
    }
    read.sort_unstable_by_key(|checkin| checkin.id);
    checkins.sort_unstable_by_key(|checkin| checkin.id);
    assert_eq!(read, checkins);
    assert_eq!(early, late);
    assert_eq!(storage.follow(&mut late, 2).await.unwrap(), []);
    // A position of a log with more partitions.
    let mut foreign: LogPosition =
        format!("{}{}", checkins[4].id, ",7-7".repeat(70)).parse().unwrap();
    assert!(storage.follow(&mut foreign, 100).await.unwrap().len() <= 5);
}

pub async fn ids_increase_with_parallel_appends(subject: StoreUnderTest) {
    let ids = together(32, |number| {
        let storage = Arc::clone(&subject.storage);
        async move {
            let mut ids = Vec::new();
            for stars in 0..6 {
                ids.push(stored(&*storage, new_checkin(number as u64 + 1, 1, stars)).await);
            }
            ids
        }
    })
    .await;
    for ids in &ids {
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
    let mut ids: Vec<CheckinId> = ids.into_iter().flatten().collect();
    ids.sort_unstable();
    let log: Vec<CheckinId> =
        all(&*subject.storage).await.iter().map(|checkin| checkin.id).collect();
    assert_eq!(log, ids);
    assert!(ids.is_sorted_by(|a, b| a < b));
}

pub async fn parallel_identical_checkins_are_stored_once(subject: StoreUnderTest) {
    let answers = together(32, |_| {
        let storage = Arc::clone(&subject.storage);
        async move { storage.append(new_checkin(1, 2, 3), None, WINDOW).await.unwrap() }
    })
    .await;
    let count = |wanted: fn(&Accepted) -> bool| answers.iter().filter(|a| wanted(a)).count();
    assert_eq!(count(|answer| matches!(answer, Accepted::Stored(_))), 1);
    assert_eq!(count(|answer| matches!(answer, Accepted::Duplicate)), 31);
    assert_eq!(all(&*subject.storage).await.len(), 1);
}

pub async fn only_the_same_user_location_and_rating_is_a_duplicate(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    // 1 and 12 are distinguished from 11 and 2.
    for checkin in [
        new_checkin(1, 12, 3),
        new_checkin(11, 2, 3),
        new_checkin(1, 12, 4),
        new_checkin(1, 1, 3),
        new_checkin(2, 12, 3),
    ] {
        let answer = storage.append(checkin.clone(), None, WINDOW).await.unwrap();
        assert!(matches!(answer, Accepted::Stored(_)), "{checkin:?}");
        let again = NewCheckin { comment: Some("again".parse().unwrap()), ..checkin };
        for again in [NewCheckin { comment: None, ..again.clone() }, again] {
            let answer = storage.append(again.clone(), None, WINDOW).await.unwrap();
            assert_eq!(answer, Accepted::Duplicate, "{again:?}");
        }
    }
    assert_eq!(all(storage).await.len(), 5);
}

pub async fn a_window_of_zero_refuses_nothing(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    storage.append(new_checkin(1, 2, 3), None, WINDOW).await.unwrap();
    for _ in 0..3 {
        stored(storage, new_checkin(1, 2, 3)).await;
    }
    assert_eq!(all(storage).await.len(), 4);
}

pub async fn a_window_ends(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let append = async || storage.append(new_checkin(1, 2, 3), None, window(SHORT)).await.unwrap();
    assert!(matches!(append().await, Accepted::Stored(_)));
    assert_eq!(append().await, Accepted::Duplicate);
    (subject.advance)(SHORT).await;
    assert!(matches!(append().await, Accepted::Stored(_)));
}

pub async fn a_shorter_window_finds_fewer_duplicates(subject: StoreUnderTest) {
    const PERIOD: Duration = Duration::from_millis(300);
    let storage = &*subject.storage;
    let append = async |window| storage.append(new_checkin(1, 2, 3), None, window).await.unwrap();
    assert!(matches!(append(WINDOW).await, Accepted::Stored(_)));
    (subject.advance)(PERIOD).await;
    assert_eq!(append(WINDOW).await, Accepted::Duplicate);
    assert!(matches!(append(window(PERIOD)).await, Accepted::Stored(_)));
}
