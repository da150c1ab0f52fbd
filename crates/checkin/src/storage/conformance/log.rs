//! The log of check-ins, and its duplicates.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::{Checkin, CheckinId};
use crate::storage::Accepted;

const WINDOW: Duration = Duration::from_secs(600);
const OFF: Duration = Duration::ZERO;

async fn stored(storage: &dyn Storage, checkin: NewCheckin) -> CheckinId {
    match storage.append(checkin, None, OFF).await.unwrap() {
        Accepted::Stored(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn all(storage: &dyn Storage) -> Vec<Checkin> {
    storage.checkins_after(CheckinId::MIN, usize::MAX).await.unwrap()
}

pub(in crate::storage) async fn entries_come_back_in_order_and_in_pages(subject: Subject) {
    let storage = &*subject.storage;
    assert_eq!(all(storage).await, []);
    let mut checkins = Vec::new();
    for number in 1..=7 {
        let checkin = new_checkin(number, 8 - number, number % 6);
        checkins.push(checkin.with_id(stored(storage, checkin).await));
    }
    assert_eq!(all(storage).await, checkins);
    let page = async |after, limit| storage.checkins_after(after, limit).await.unwrap();
    assert_eq!(page(CheckinId::MIN, 3).await, checkins[..3]);
    assert_eq!(page(checkins[2].id, 3).await, checkins[3..6]);
    assert_eq!(page(checkins[5].id, 3).await, checkins[6..]);
    assert_eq!(page(checkins[6].id, 3).await, []);
    assert_eq!(page(CheckinId { ms: u64::MAX, seq: u64::MAX }, 3).await, []);
    assert_eq!(page(CheckinId::MIN, 0).await, []);
}

pub(in crate::storage) async fn ids_grow_whoever_appends(subject: Subject) {
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

pub(in crate::storage) async fn of_identical_checkins_that_arrive_together_one_is_stored(
    subject: Subject,
) {
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

pub(in crate::storage) async fn only_the_same_user_place_and_rating_is_a_duplicate(
    subject: Subject,
) {
    let storage = &*subject.storage;
    // 1 and 12, and 11 and 2, are told apart too.
    for checkin in [
        new_checkin(1, 12, 3),
        new_checkin(11, 2, 3),
        new_checkin(1, 12, 4),
        new_checkin(1, 1, 3),
        new_checkin(2, 12, 3),
    ] {
        let answer = storage.append(checkin, None, WINDOW).await.unwrap();
        assert!(matches!(answer, Accepted::Stored(_)), "{checkin:?}");
        let again = storage.append(checkin, None, WINDOW).await.unwrap();
        assert_eq!(again, Accepted::Duplicate, "{checkin:?}");
    }
    assert_eq!(all(storage).await.len(), 5);
}

pub(in crate::storage) async fn a_window_of_zero_refuses_nothing(subject: Subject) {
    let storage = &*subject.storage;
    storage.append(new_checkin(1, 2, 3), None, WINDOW).await.unwrap();
    for _ in 0..3 {
        stored(storage, new_checkin(1, 2, 3)).await;
    }
    assert_eq!(all(storage).await.len(), 4);
}

pub(in crate::storage) async fn a_window_ends(subject: Subject) {
    const SHORT: Duration = Duration::from_millis(300);
    let storage = &*subject.storage;
    let append = async |window| storage.append(new_checkin(1, 2, 3), None, window).await.unwrap();
    assert!(matches!(append(SHORT).await, Accepted::Stored(_)));
    assert_eq!(append(SHORT).await, Accepted::Duplicate);
    (subject.advance)(SHORT).await;
    assert!(matches!(append(SHORT).await, Accepted::Stored(_)));
}

pub(in crate::storage) async fn a_shorter_window_looks_less_far_back(subject: Subject) {
    const SHORT: Duration = Duration::from_millis(300);
    let storage = &*subject.storage;
    let append = async |window| storage.append(new_checkin(1, 2, 3), None, window).await.unwrap();
    assert!(matches!(append(WINDOW).await, Accepted::Stored(_)));
    (subject.advance)(SHORT).await;
    assert_eq!(append(WINDOW).await, Accepted::Duplicate);
    assert!(matches!(append(SHORT).await, Accepted::Stored(_)));
}
