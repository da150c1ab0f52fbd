//! Loading data in bulk, and the state of the store afterwards.

use std::slice::from_ref;

use super::*;
use crate::{Loaded, Registered, Severity};
use checkin_domain::DetailsSection;

async fn load_a_user_and_a_location(storage: &dyn Storage) {
    storage.load_users(&[user(1, "one@example.com")]).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
}

async fn log(storage: &dyn Storage) -> Vec<Checkin> {
    storage.checkins_between(0..=u64::MAX, None, usize::MAX).await.unwrap()
}

pub async fn a_store_is_empty_until_something_is_loaded(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    assert!(storage.is_empty().await.unwrap());
    storage.load_locations(&[location(1)]).await.unwrap();
    assert!(!storage.is_empty().await.unwrap());
}

pub async fn loaded_records_are_found(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let never = User { last_checkin: None, last_seen_at: None, ..user(9, "nine@example.com") };
    for user in [user(7, "Seven@example.com"), never] {
        assert_eq!(storage.load_users(from_ref(&user)).await.unwrap(), [Loaded::Stored]);
        assert_eq!(storage.user(user.id).await.unwrap().as_ref(), Some(&user));
        assert_eq!(storage.user_by_email(&user.email).await.unwrap(), Some(user));
    }
    storage.load_locations(&[location(2)]).await.unwrap();
    assert_eq!(storage.location(location_id(2)).await.unwrap(), Some(location(2)));
    assert_eq!(storage.location_details(location_id(2), &DetailsSection::ALL).await.unwrap(), None);
    storage.load_details(&[details(2)]).await.unwrap();
    assert_eq!(
        storage.location_details(location_id(2), &DetailsSection::ALL).await.unwrap(),
        Some(details(2))
    );
    assert_eq!(storage.location(location_id(3)).await.unwrap(), None);
    assert_eq!(storage.load_users(&[]).await.unwrap(), []);
}

pub async fn locations_are_listed_in_pages(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let places: Vec<Location> = [2, 9, 10, 77, 100].map(location).into();
    storage.load_locations(&places).await.unwrap();
    let after = async |id: Option<u64>, limit| {
        storage.locations_after(id.map(location_id), limit).await.unwrap()
    };
    assert_eq!(after(None, 100).await, places);
    assert_eq!(after(None, 2).await, places[..2]);
    assert_eq!(after(Some(9), 2).await, places[2..4]);
    assert_eq!(after(Some(11), 100).await, places[3..]);
    assert_eq!(after(Some(100), 100).await, []);
    assert_eq!(after(None, 0).await, []);
}

pub async fn loading_twice_changes_nothing(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    load_a_user_and_a_location(storage).await;
    storage.load_details(&[details(1)]).await.unwrap();
    let entries = [checkin("5-0", 1, 1), checkin("5-1", 1, 1), checkin("7-0", 1, 1)];
    assert_eq!(storage.load_checkins(&entries).await.unwrap(), [Loaded::Stored; 3]);

    let renamed = User { first_name: "Bo".to_owned(), ..user(1, "bo@example.com") };
    assert_eq!(storage.load_users(&[renamed]).await.unwrap(), [Loaded::Unchanged]);
    assert_eq!(storage.user(user_id(1)).await.unwrap(), Some(user(1, "one@example.com")));
    assert_eq!(storage.user_by_email(&"bo@example.com".parse().unwrap()).await.unwrap(), None);

    let renamed = Location { name: "Elsewhere".to_owned(), ..location(1) };
    assert_eq!(storage.load_locations(&[renamed]).await.unwrap(), [Loaded::Unchanged]);
    assert_eq!(storage.location(location_id(1)).await.unwrap(), Some(location(1)));

    let other = LocationDetails { description: "Another.".to_owned(), ..details(1) };
    assert_eq!(storage.load_details(&[other]).await.unwrap(), [Loaded::Unchanged]);
    assert_eq!(
        storage.location_details(location_id(1), &DetailsSection::ALL).await.unwrap(),
        Some(details(1))
    );

    assert_eq!(storage.load_checkins(&entries).await.unwrap(), [Loaded::Unchanged; 3]);
    assert_eq!(log(storage).await, entries);
}

pub async fn loading_an_address_in_use_returns_its_owner(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    storage.load_users(&[user(7, "al@example.com")]).await.unwrap();
    let answer = storage.load_users(&[user(8, "AL@example.com")]).await.unwrap();
    assert_eq!(answer, [Loaded::EmailTaken(user_id(7))]);
    assert_eq!(storage.user(user_id(8)).await.unwrap(), None);
    assert_eq!(storage.users_after(None, 10).await.unwrap().len(), 1);
}

pub async fn the_first_of_two_equal_records_in_a_batch_is_stored(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let users = [
        user(1, "one@example.com"),
        user(2, "ONE@example.com"),
        user(1, "three@example.com"),
        user(3, "three@example.com"),
    ];
    let answers = storage.load_users(&users).await.unwrap();
    let taken = Loaded::EmailTaken(user_id(1));
    assert_eq!(answers, [Loaded::Stored, taken, Loaded::Unchanged, Loaded::Stored]);
}

pub async fn new_accounts_get_ids_after_the_loaded_ones(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    storage.load_users(&[user(40, "a@example.com"), user(20, "b@example.com")]).await.unwrap();
    match storage.register(new_user("c@example.com")).await.unwrap() {
        Registered::Opened(user) => assert_eq!(user.id, user_id(41)),
        Registered::EmailTaken => panic!("taken"),
    }
    let taken = storage.register(new_user("A@example.com")).await.unwrap();
    assert_eq!(taken, Registered::EmailTaken);
}

pub async fn checkins_of_unknown_users_and_places_are_refused(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    load_a_user_and_a_location(storage).await;
    assert_eq!(storage.load_details(&[details(2)]).await.unwrap(), [Loaded::Dangling]);
    assert_eq!(storage.location_details(location_id(2), &DetailsSection::ALL).await.unwrap(), None);
    let entries = [checkin("1-0", 2, 1), checkin("2-0", 1, 1), checkin("3-0", 1, 2)];
    let answers = storage.load_checkins(&entries).await.unwrap();
    assert_eq!(answers, [Loaded::Dangling, Loaded::Stored, Loaded::Dangling]);
    assert_eq!(log(storage).await, entries[1..2]);
}

pub async fn a_late_checkin_is_stored_with_its_time(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    load_a_user_and_a_location(storage).await;
    let entries = [
        checkin("0-0", 1, 1),
        checkin("9-1", 1, 1),
        // Older than the last entry, and the same visit as an earlier entry.
        Checkin { id: "9-0".parse().unwrap(), ..checkin("8-5", 1, 1) },
        checkin("8-5", 1, 1),
        checkin("10-0", 1, 1),
    ];
    let (stored, there) = (Loaded::Stored, Loaded::Unchanged);
    let answers = storage.load_checkins(&entries).await.unwrap();
    assert_eq!(answers, [stored, stored, stored, there, stored]);
    assert_eq!(storage.load_checkins(&entries).await.unwrap(), [there; 5]);
    let log = log(storage).await;
    let mut times: Vec<u64> = log.iter().map(|checkin| checkin.time_ms).collect();
    times.sort_unstable();
    assert_eq!(times, [0, 8, 9, 10]);
    assert!(log.iter().all(|checkin| checkin.time_ms <= checkin.id.ms), "{log:?}");
}

pub async fn the_diagnosis_of_a_sound_store_has_no_problems(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    storage.ping().await.unwrap();
    load_a_user_and_a_location(storage).await;
    let mut findings = Vec::new();
    storage.diagnose(&mut findings).await.unwrap();
    let problems = findings.iter().filter(|finding| finding.severity == Severity::Problem);
    assert_eq!(problems.count(), 0, "{findings:?}");
    for finding in &findings {
        assert_eq!(finding.advice.is_empty(), finding.severity == Severity::Fine, "{finding:?}");
    }
    let counts = "it holds 1 users, 1 locations and 0 check-ins";
    assert!(findings.iter().any(|finding| finding.what == counts), "{findings:?}");
}
