//! Second factors and pending steps.

use std::sync::Arc;

use super::*;
use crate::{PendingName, Registered};

async fn account(storage: &dyn Storage) -> UserId {
    match storage.register(new_user("al@example.com")).await.unwrap() {
        Registered::Opened(user) => user.id,
        Registered::EmailTaken => panic!("the store is empty"),
    }
}

pub async fn a_second_factor_changes_only_from_the_expected_one(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let id = account(storage).await;
    let replace = async |expected: Option<&str>, new: Option<&str>| {
        let replaced = storage.replace_second_factor(id, expected, new).await.unwrap();
        (replaced, storage.second_factor(id).await.unwrap())
    };
    let one = || Some("one".to_owned());
    assert_eq!(storage.second_factor(id).await.unwrap(), None);
    assert_eq!(replace(Some("one"), Some("two")).await, (false, None));
    assert_eq!(replace(None, Some("one")).await, (true, one()));
    assert_eq!(replace(None, Some("two")).await, (false, one()));
    assert_eq!(replace(Some("two"), None).await, (false, one()));
    assert_eq!(replace(Some("one"), Some("two")).await, (true, Some("two".to_owned())));
    assert_eq!(replace(Some("two"), None).await, (true, None));
    assert_eq!(replace(None, None).await, (true, None));

    let nobody = user_id(id.get() + 1);
    assert!(!storage.replace_second_factor(nobody, None, Some("one")).await.unwrap());
    assert_eq!(storage.second_factor(nobody).await.unwrap(), None);
}

pub async fn of_parallel_changes_of_a_second_factor_one_succeeds(subject: StoreUnderTest) {
    let id = account(&*subject.storage).await;
    let replaced = together(32, |number| {
        let storage = Arc::clone(&subject.storage);
        let new = number.to_string();
        async move { storage.replace_second_factor(id, None, Some(&new)).await.unwrap() }
    })
    .await;
    assert_eq!(replaced.into_iter().filter(|replaced| *replaced).count(), 1);
}

pub async fn a_pending_step_is_taken_once_within_its_life(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let (one, two) = (PendingName::new("a", "secret"), PendingName::new("b", "secret"));
    let long = Duration::from_secs(300);
    assert_eq!(storage.take_pending(&one).await.unwrap(), None);
    storage.keep_pending(&one, "first", long).await.unwrap();
    storage.keep_pending(&one, "second", long).await.unwrap();
    assert_eq!(storage.pending(&two).await.unwrap(), None);
    assert_eq!(storage.pending(&one).await.unwrap().as_deref(), Some("second"));
    let taken = together(32, |_| {
        let (storage, one) = (Arc::clone(&subject.storage), one.clone());
        async move { storage.take_pending(&one).await.unwrap() }
    })
    .await;
    assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), ["second"]);
    assert_eq!(storage.pending(&one).await.unwrap(), None);

    let short = Duration::from_millis(100);
    storage.keep_pending(&one, "short", short).await.unwrap();
    storage.keep_pending(&two, "short", short).await.unwrap();
    (subject.advance)(short * 2).await;
    assert_eq!(storage.pending(&one).await.unwrap(), None);
    assert_eq!(storage.take_pending(&two).await.unwrap(), None);
}
