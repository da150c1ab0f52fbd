//! Idempotency keys.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::Accepted;
use checkin_domain::CheckinId;

const WINDOW: Admission = window(Duration::from_secs(600));

async fn stored(storage: &dyn Storage, checkin: NewCheckin, key: &str) -> CheckinId {
    match storage.append(checkin, Some(key), WINDOW).await.unwrap() {
        Accepted::Stored(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn count(storage: &dyn Storage) -> usize {
    storage.checkins_between(0..=u64::MAX, None, 100).await.unwrap().len()
}

pub async fn a_retry_gets_the_first_result(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let id = stored(storage, new_checkin(1, 2, 3), "key").await;
    let remarked_id = stored(storage, remarked(1, 3, "a 1-1"), "other key").await;
    let again = storage.append(remarked(1, 3, "a 1-1"), Some("other key"), WINDOW).await.unwrap();
    assert_eq!(again, Accepted::Replayed(remarked_id));
    for admission in [WINDOW, Admission::ALL] {
        let again = storage.append(new_checkin(1, 2, 3), Some("key"), admission).await.unwrap();
        assert_eq!(again, Accepted::Replayed(id));
    }
    assert_eq!(count(storage).await, 2);
}

pub async fn a_retry_with_another_checkin_is_refused(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    stored(storage, new_checkin(1, 2, 3), "key").await;
    for other in [new_checkin(1, 2, 4), new_checkin(1, 3, 3), remarked(1, 2, "other")] {
        let answer = storage.append(other, Some("key"), WINDOW).await.unwrap();
        assert_eq!(answer, Accepted::KeyReused);
    }
    stored(storage, remarked(1, 5, "one"), "remark").await;
    for other in [new_checkin(1, 5, 3), remarked(1, 5, "two")] {
        let answer = storage.append(other, Some("remark"), WINDOW).await.unwrap();
        assert_eq!(answer, Accepted::KeyReused);
    }
    assert_eq!(count(storage).await, 2);
}

pub async fn a_key_belongs_to_one_user(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    // If user and key were joined without a separator, these two would be equal.
    let first = stored(storage, new_checkin(1, 2, 3), "1key").await;
    let second = stored(storage, new_checkin(11, 2, 3), "key").await;
    let third = stored(storage, new_checkin(2, 2, 3), "1key").await;
    assert!(first < second && second < third);
    let empty = stored(storage, new_checkin(3, 2, 3), "").await;
    let again = storage.append(new_checkin(3, 2, 3), Some(""), WINDOW).await.unwrap();
    assert_eq!(again, Accepted::Replayed(empty));
}

pub async fn the_key_of_a_refused_duplicate_is_not_kept(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    storage.append(new_checkin(1, 2, 3), None, WINDOW).await.unwrap();
    let refused = storage.append(new_checkin(1, 2, 3), Some("key"), WINDOW).await.unwrap();
    assert_eq!(refused, Accepted::Duplicate);
    stored(storage, new_checkin(1, 2, 4), "key").await;
}

pub async fn parallel_retries_store_one_checkin(subject: StoreUnderTest) {
    let answers = together(32, |_| {
        let storage = Arc::clone(&subject.storage);
        async move { storage.append(new_checkin(1, 2, 3), Some("key"), WINDOW).await.unwrap() }
    })
    .await;
    let first = answers.iter().find_map(|answer| match answer {
        Accepted::Stored(id) => Some(*id),
        _ => None,
    });
    let replayed = Accepted::Replayed(first.unwrap());
    assert_eq!(answers.iter().filter(|answer| **answer == replayed).count(), 31);
    assert_eq!(count(&*subject.storage).await, 1);
}
