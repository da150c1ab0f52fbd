//! Bounding the histories by age.

use std::sync::Arc;
use std::time::Duration;

use super::applier::{drain, people_and_locations, sound};
use super::*;
use crate::{Accepted, Folded, Loaded};
use checkin_domain::Checkin;

/// The ids of the loaded check-ins are much older.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of loaded check-ins: a step of a store may visit fewer of a history.
const OLD: u64 = 250;

/// Makes steps until everything is visited. Returns the number of removed check-ins.
pub async fn fold_all(storage: &dyn Storage, keep: Duration, mut from: Option<String>) -> u64 {
    let mut sum = 0;
    loop {
        let Folded { removed, next } = storage.fold(keep, from, 100).await.unwrap();
        sum += removed;
        if next.is_none() {
            return sum;
        }
        from = next;
    }
}

/// Returns the figures, and the places in the leaderboards.
async fn figures(storage: &dyn Storage) -> impl PartialEq + std::fmt::Debug + use<> {
    let users = storage.users_after(None, 9).await.unwrap();
    let locations = storage.locations_after(None, 9).await.unwrap();
    let mut ratings = Vec::new();
    for location in &locations {
        ratings.push(storage.ratings(location.id).await.unwrap());
    }
    let top = storage.top_users(crate::Period::AllTime, first(9)).await.unwrap();
    let top: Vec<_> = top.iter().map(|user| (user.item.id, user.rank)).collect();
    (users, locations, ratings, top)
}

pub async fn old_checkins_are_folded_into_the_figures(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 5, 3).await;
    let mut old: Vec<Checkin> = (0..OLD)
        .map(|number| checkin(&format!("{}-0", 1000 + number), number % 2 + 1, number % 3 / 2 + 1))
        .collect();
    // In the part of user 1, if there are two or four.
    let alone = [checkin("3000-0", 5, 3), checkin("3001-0", 5, 3)];
    old.extend(alone.clone());
    assert_eq!(storage.load_checkins(&old).await.unwrap(), vec![Loaded::Stored; old.len()]);
    assert_eq!(fold_all(storage, KEEP, None).await, 0, "nothing is applied");
    assert_eq!(storage.backlog().await.unwrap(), old.len() as u64);
    drain(storage).await;
    let mut recent = Vec::new();
    for (user, location) in [(1, 1), (2, 2)] {
        // The old ones leave the log.
        let (checkin, only) =
            (new_checkin(user, location, 3), Admission { max_length: 1, ..Admission::ALL });
        let answer = storage.append(checkin.clone(), None, only).await.unwrap();
        let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
        recent.push(checkin.with_id(id));
        drain(storage).await;
    }
    let before = figures(storage).await;
    let first = storage.fold(KEEP, None, 100).await.unwrap();
    sound(&storage.audit().await.unwrap());
    let mut removed = first.removed;
    if first.next.is_some() {
        // Two processors, and an audit meanwhile.
        let both = together(2, |_| {
            let (storage, from) = (Arc::clone(&subject.storage), first.next.clone());
            async move { fold_all(&*storage, KEEP, from).await }
        });
        let (both, audit) = tokio::join!(both, storage.audit());
        sound(&audit.unwrap());
        removed += both.iter().sum::<u64>();
    }
    assert_eq!(removed, OLD + 1);
    sound(&storage.audit().await.unwrap());
    assert_eq!(figures(storage).await, before);

    assert_eq!(storage.of_user(user_id(1), None, 9).await.unwrap(), recent[..1]);
    assert_eq!(storage.of_location(location_id(2), None, 9).await.unwrap(), recent[1..]);
    // The newest one of a history stays.
    assert_eq!(storage.of_user(user_id(5), None, 9).await.unwrap(), alone[1..]);
    assert_eq!(storage.of_location(location_id(3), None, 9).await.unwrap(), alone[1..]);

    let again = storage.load_checkins(&old).await.unwrap();
    assert_eq!(again.iter().filter(|answer| **answer == Loaded::TooOld).count() as u64, OLD + 1);
    assert_eq!(again.last(), Some(&Loaded::Unchanged));
    assert_eq!(storage.load_checkins(&recent).await.unwrap(), [Loaded::Unchanged; 2]);
    assert_eq!(drain(storage).await.new, 0);
    assert_eq!(fold_all(storage, KEEP, None).await, 0);
    assert_eq!(figures(storage).await, before);
    sound(&storage.audit().await.unwrap());
}
