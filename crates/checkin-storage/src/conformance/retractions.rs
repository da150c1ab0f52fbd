//! Retracting check-ins, each once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::applier::{append, drain, people_and_locations, sound};
use super::retention::fold_all;
use super::*;
use crate::{Accepted, Batch, Loaded, Period, Retracted};
use checkin_domain::{Checkin, CheckinId, monday_ms};

const WINDOW: Admission = window(Duration::from_secs(600));

/// The weeks up to this time have no leaderboards any more (ms).
const OLD_MS: u64 = 1_700_000_002_000;

/// Older check-ins may be folded.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

async fn retract(storage: &dyn Storage, checkin: &Checkin) -> Retracted {
    storage.retract(checkin.user, checkin.id).await.unwrap()
}

/// Applies all retractions. Returns their number.
async fn settle(storage: &dyn Storage) -> usize {
    let mut sum = 0;
    for part in 0..storage.part_states().await.unwrap().len() {
        loop {
            match storage.apply_retractions(part, 2).await.unwrap() {
                0 => break,
                count => sum += count,
            }
        }
    }
    sum
}

/// Compares all figures, lists and histories with these check-ins, which are all that there are.
async fn expect(storage: &dyn Storage, checkins: &[Checkin]) {
    sound(&storage.audit().await.unwrap());
    let now_ms = checkins.iter().map(|checkin| checkin.time_ms).max().unwrap_or_default();
    let (mut top, mut recent) = (Vec::new(), Vec::new());
    let users = storage.users_after(None, 99).await.unwrap();
    for user in &users {
        let own = checkins.iter().filter(|checkin| checkin.user == user.id);
        let mut own: Vec<Checkin> = own.cloned().collect();
        let by_time = |checkin: &Checkin| std::cmp::Reverse((checkin.time_ms, checkin.id));
        own.sort_by_key(by_time);
        let last = own.first();
        assert_eq!(user.num_checkins, own.len() as u64, "user {}", user.id);
        assert_eq!(user.last_checkin, last.map(|last| last.time_ms), "user {}", user.id);
        // Of check-ins of the same millisecond, each may be the last one.
        let newest = own.iter().filter(|one| Some(one.time_ms) == user.last_checkin);
        let places: Vec<_> = newest.map(|one| Some(one.location)).collect();
        let is_right =
            places.contains(&user.last_seen_at) || (own.is_empty() && user.last_seen_at.is_none());
        assert!(is_right, "user {}: {:?}, and not in {places:?}", user.id, user.last_seen_at);
        let mut history = storage.of_user(user.id, None, 99).await.unwrap();
        history.sort_by_key(by_time);
        assert_eq!(history, own);
        top.extend(last.map(|_| (own.len() as u64, user.id.get())));
        recent.extend(last.map(|last| (last.time_ms, user.id.get())));
    }
    let mut top_places = Vec::new();
    for place in storage.locations_after(None, 99).await.unwrap() {
        let at = checkins.iter().filter(|checkin| checkin.location == place.id);
        let stars: Vec<u64> = at.map(|checkin| checkin.stars.get().into()).collect();
        assert_eq!(place.num_checkins, stars.len() as u64, "location {}", place.id);
        assert_eq!(place.num_stars, stars.iter().sum::<u64>(), "location {}", place.id);
        let count = |rating| stars.iter().filter(|stars| **stars == rating).count() as u64;
        let ratings: Vec<u64> = (0..=5).map(count).collect();
        assert_eq!(storage.ratings(place.id).await.unwrap().as_slice(), ratings);
        let here = users.iter().filter(|user| user.last_seen_at == Some(place.id));
        let mut here: Vec<_> = here.map(|user| user.id.get()).collect();
        let at = async |page| storage.users_at(place.id, page).await;
        let mut listed: Vec<u64> = listed(9, at).await.iter().map(|(_, id)| *id).collect();
        here.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, here, "at {}", place.id);
        top_places.extend((!stars.is_empty()).then_some((stars.len() as u64, place.id.get())));
    }
    let sorted = |mut list: Vec<(u64, u64)>| {
        list.sort_unstable();
        list
    };
    let list = listed(9, async |page| storage.top_users(Period::AllTime, page).await).await;
    assert_eq!(sorted(list), sorted(top));
    let list = listed(9, async |page| storage.top_locations(Period::AllTime, page).await).await;
    assert_eq!(sorted(list), sorted(top_places));
    let list = listed(9, async |page| storage.recent_users(page).await).await;
    assert_eq!(sorted(list), sorted(recent));
    if now_ms <= OLD_MS {
        return;
    }
    let week = Period::WeekOf(now_ms);
    let of_week = checkins.iter().filter(|one| monday_ms(one.time_ms) == monday_ms(now_ms));
    let (mut users, mut places) = (BTreeMap::<u64, u64>::new(), BTreeMap::<u64, u64>::new());
    for checkin in of_week {
        *users.entry(checkin.user.get()).or_default() += 1;
        *places.entry(checkin.location.get()).or_default() += 1;
    }
    let ranked = |counts: BTreeMap<u64, u64>| counts.into_iter().map(|(id, n)| (n, id)).collect();
    let list = listed(9, async |page| storage.top_users(week, page).await).await;
    assert_eq!(sorted(list), sorted(ranked(users)));
    let list = listed(9, async |page| storage.top_locations(week, page).await).await;
    assert_eq!(sorted(list), sorted(ranked(places)));
}

pub async fn a_retracted_checkin_leaves_everything_once(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let mut checkins = Vec::new();
    for (user, location, stars) in [(1, 1, 5), (2, 1, 3), (1, 2, 1), (2, 2, 0), (1, 1, 4)] {
        checkins.push(append(storage, user, location, stars).await);
    }
    let last = remarked(1, 2, "not here");
    let answer = storage.append(last.clone(), Some("key"), WINDOW).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    let last = last.with_id(id);
    checkins.push(last.clone());
    drain(storage).await;
    expect(storage, &checkins).await;
    // Partitions have ids of their own in the same millisecond.
    let appended = checkins.clone();
    checkins.sort_by_key(|checkin| checkin.id);

    // It is not that of another user, and another user does not learn of it.
    assert_eq!(storage.retract(user_id(2), last.id).await.unwrap(), Retracted::Unknown);
    let unknown: CheckinId = "1788220800000-77".parse().unwrap();
    assert_eq!(storage.retract(user_id(1), unknown).await.unwrap(), Retracted::Unknown);
    assert_eq!(settle(storage).await, 0);
    expect(storage, &checkins).await;

    for gone in [&last, &appended[0], &appended[2], &appended[4]] {
        assert_eq!(retract(storage, gone).await, Retracted::Done);
        let latest = storage.latest_checkins(CheckinId::MAX, 9).await.unwrap();
        let between = storage.checkins_between(0..=u64::MAX / 4, None, 9).await.unwrap();
        checkins.retain(|checkin| checkin != gone);
        assert!(latest.iter().rev().eq(&checkins) && between.len() == checkins.len());
        // While it is stored and not applied.
        sound(&storage.audit().await.unwrap());
        settle(storage).await;
        expect(storage, &checkins).await;
        assert_eq!(retract(storage, gone).await, Retracted::Done);
        assert_eq!(storage.retract(user_id(2), gone.id).await.unwrap(), Retracted::Unknown);
        settle(storage).await;
        expect(storage, &checkins).await;
    }
    assert_eq!(storage.backlog().await.unwrap(), 0);

    let content = remarked(1, 2, "not here");
    let answer = storage.append(content.clone(), Some("key"), WINDOW).await.unwrap();
    assert_eq!(answer, Accepted::Replayed(last.id));
    let answer = storage.append(content.clone(), None, WINDOW).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    assert!(id > last.id);
    let again = storage.append(content.clone(), None, WINDOW).await.unwrap();
    assert_eq!(again, Accepted::Duplicate);
    drain(storage).await;
    checkins.push(content.with_id(id));
    expect(storage, &checkins).await;
}

pub async fn a_checkin_that_waits_is_retracted(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 1).await;
    let first = append(storage, 1, 1, 5).await;
    let gone = append(storage, 1, 1, 4).await;
    assert_eq!(retract(storage, &gone).await, Retracted::Done);
    assert_eq!(storage.backlog().await.unwrap(), 1);
    assert_eq!(drain(storage).await.new, 1);
    settle(storage).await;
    expect(storage, std::slice::from_ref(&first)).await;
    // The next id is a new one, although the last entry is gone.
    let next = append(storage, 1, 1, 4).await;
    assert!(next.id > gone.id);
    assert_eq!(drain(storage).await.new, 1);
    let both = [first, next];
    expect(storage, &both).await;
    for gone in &both {
        retract(storage, gone).await;
    }
    settle(storage).await;
    expect(storage, &[]).await;
    let last = append(storage, 1, 1, 1).await;
    assert!(last.id > both[1].id);
    assert_eq!(drain(storage).await.new, 1);
    expect(storage, &[last]).await;
    let states = storage.part_states().await.unwrap();
    assert!(states.iter().all(|state| state.waiting == 0 && state.lost == 0), "{states:?}");
}

pub async fn a_checkin_is_retracted_while_a_batch_has_it(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 2).await;
    let mut checkins = Vec::new();
    for number in 0..6 {
        checkins.push(append(storage, 1, number % 2 + 1, 3).await);
    }
    let held = acquire_all(storage, "one", LEASE).await;
    let mut batch = None;
    for lease in &held {
        let read = next_batch(storage, lease, 10).await;
        batch = Some(read).filter(|batch| !batch.entries.is_empty()).or(batch);
    }
    let batch: Batch = batch.unwrap();
    let gone = [5, 2, 0].map(|at: usize| checkins[at].clone());
    // One is applied before the batch, one after it, and one while both are under way.
    retract(storage, &gone[0]).await;
    settle(storage).await;
    retract(storage, &gone[1]).await;
    storage.apply(&batch).await.unwrap();
    sound(&storage.audit().await.unwrap());
    retract(storage, &gone[2]).await;
    sound(&storage.audit().await.unwrap());
    settle(storage).await;
    checkins.retain(|checkin| !gone.contains(checkin));
    expect(storage, &checkins).await;
    assert_eq!(storage.backlog().await.unwrap(), 0);
    // A processor that was held up.
    assert_eq!(storage.apply(&batch).await.unwrap(), Applied::default());
    expect(storage, &checkins).await;
    for lease in &held {
        storage.release(lease).await.unwrap();
    }
    let next = append(storage, 1, 1, 3).await;
    assert_eq!(storage.backlog().await.unwrap(), 1);
    drain(storage).await;
    checkins.push(next);
    expect(storage, &checkins).await;
    let states = storage.part_states().await.unwrap();
    assert!(states.iter().all(|state| state.waiting == 0 && state.lost == 0), "{states:?}");
}

pub async fn a_retracted_checkin_is_not_imported_again(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 2).await;
    let own = checkin("1700000002000-0", 1, 1);
    let late = checkin("1700000001000-0", 1, 2);
    let other = checkin("1700000000000-0", 1, 2);
    for checkin in [own, late, other] {
        assert_eq!(
            storage.load_checkins(std::slice::from_ref(&checkin)).await.unwrap(),
            [Loaded::Stored]
        );
    }
    drain(storage).await;
    let history = storage.of_user(user_id(1), None, 9).await.unwrap();
    let [own, late, other] = <[Checkin; 3]>::try_from(history).unwrap();
    assert!(late.id.ms > late.time_ms);
    for gone in [&own, &late] {
        assert_eq!(retract(storage, gone).await, Retracted::Done);
    }
    settle(storage).await;
    let other = [other];
    expect(storage, &other).await;
    let again = [own, checkin("1700000001000-0", 1, 2), late, checkin("1700000000000-0", 1, 2)];
    assert_eq!(storage.load_checkins(&again).await.unwrap(), [Loaded::Unchanged; 4]);
    drain(storage).await;
    expect(storage, &other).await;
}

pub async fn a_dead_letter_is_retracted(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 1).await;
    let dead = append(storage, 1, 9, 5).await;
    let sound_one = append(storage, 1, 1, 5).await;
    assert_eq!(drain(storage).await.dead, 1);
    let letter = storage.dead_letters(None, 9).await.unwrap()[0].id;
    assert_eq!(retract(storage, &dead).await, Retracted::Done);
    assert_eq!(storage.dead_letters(None, 9).await.unwrap(), []);
    settle(storage).await;
    people_and_locations(storage, 0, 9).await;
    assert_eq!(storage.replay(letter).await.unwrap(), crate::Replay::Unknown);
    expect(storage, &[sound_one]).await;
}

pub async fn imported_figures_are_kept_without_the_retracted_checkins(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let before = user(1, "one@example.com");
    storage.load_users(std::slice::from_ref(&before)).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    for _ in 0..2 {
        let checkin = append(storage, 1, 1, 1).await;
        drain(storage).await;
        retract(storage, &checkin).await;
        sound(&storage.audit().await.unwrap());
        settle(storage).await;
        assert_eq!(storage.user(user_id(1)).await.unwrap().as_ref(), Some(&before));
        let place = storage.location(location_id(1)).await.unwrap().unwrap();
        assert_eq!((place.num_checkins, place.num_stars), (2, 9));
        sound(&storage.audit().await.unwrap());
        let top = async |page| storage.top_users(Period::AllTime, page).await;
        assert_eq!(listed(9, top).await, [(before.num_checkins, 1)]);
        let recent = async |page| storage.recent_users(page).await;
        assert_eq!(listed(9, recent).await, [(before.last_checkin.unwrap(), 1)]);
    }
}

pub async fn what_left_the_log_is_retracted_and_what_is_folded_is_not(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let old = checkin("1000-0", 1, 1);
    storage.load_checkins(std::slice::from_ref(&old)).await.unwrap();
    drain(storage).await;
    // The newest one of a location stays.
    let other = append(storage, 2, 1, 3).await;
    drain(storage).await;
    let mut recent = Vec::new();
    for stars in 0..3 {
        let (checkin, only) =
            (new_checkin(1, 2, stars), Admission { max_length: 1, ..Admission::ALL });
        let answer = storage.append(checkin.clone(), None, only).await.unwrap();
        let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
        recent.push(checkin.with_id(id));
        drain(storage).await;
    }
    // Its entry has left the log, if the store has one beside the histories.
    assert_eq!(retract(storage, &recent[0]).await, Retracted::Done);
    sound(&storage.audit().await.unwrap());
    settle(storage).await;
    expect(storage, &[old.clone(), other, recent[1].clone(), recent[2].clone()]).await;

    assert_eq!(fold_all(storage, KEEP, None).await, 1);
    let folded = storage.user(user_id(1)).await.unwrap().unwrap();
    assert_eq!(retract(storage, &old).await, Retracted::TooOld);
    let unknown: CheckinId = "1001-0".parse().unwrap();
    assert_eq!(storage.retract(user_id(1), unknown).await.unwrap(), Retracted::TooOld);
    settle(storage).await;
    assert_eq!(storage.user(user_id(1)).await.unwrap(), Some(folded));
    for gone in &recent[1..] {
        assert_eq!(retract(storage, gone).await, Retracted::Done);
        settle(storage).await;
        sound(&storage.audit().await.unwrap());
    }
    // The user and the location have what was folded.
    let user = storage.user(user_id(1)).await.unwrap().unwrap();
    assert_eq!((user.num_checkins, user.last_checkin), (1, Some(1000)));
    assert_eq!(user.last_seen_at, Some(location_id(1)));
    assert_eq!(storage.location(location_id(1)).await.unwrap().unwrap().num_checkins, 2);
    assert_eq!(storage.location(location_id(2)).await.unwrap().unwrap().num_checkins, 0);
    let next = append(storage, 1, 1, 5).await;
    drain(storage).await;
    sound(&storage.audit().await.unwrap());
    let place = storage.location(location_id(1)).await.unwrap().unwrap();
    assert_eq!((place.num_checkins, place.num_stars), (3, 12));
    let user = storage.user(user_id(1)).await.unwrap().unwrap();
    assert_eq!((user.num_checkins, user.last_checkin), (2, Some(next.time_ms)));
}

pub async fn retractions_and_batches_at_the_same_time_agree(subject: StoreUnderTest) {
    const USERS: u64 = 5;
    const LIFETIME: Duration = Duration::from_millis(1);
    let storage = &*subject.storage;
    people_and_locations(storage, USERS, 3).await;
    let mut checkins = Vec::new();
    for number in 0..120 {
        checkins.push(append(storage, number % USERS + 1, number % 3 + 1, number % 6).await);
    }
    let gone: Vec<Checkin> = checkins.iter().skip(1).step_by(3).cloned().collect();
    let retracting = {
        let (storage, gone) = (Arc::clone(&subject.storage), gone.clone());
        tokio::spawn(async move {
            for gone in &gone {
                assert_eq!(retract(&*storage, gone).await, Retracted::Done);
                tokio::task::yield_now().await;
            }
        })
    };
    // The leases expire at once, so that all processors read and apply the same entries and retractions.
    let processors = together(3, |number| {
        let storage = Arc::clone(&subject.storage);
        async move {
            let processor = format!("processor {number}");
            while storage.backlog().await.unwrap() > 0 {
                for lease in acquire_all(&*storage, &processor, LIFETIME).await {
                    let checkpoint = storage.renew(&lease, LIFETIME).await.unwrap();
                    let Some(checkpoint) = checkpoint else { continue };
                    let batch = storage.read(&lease, checkpoint, 10).await.unwrap();
                    storage.apply(&batch).await.unwrap();
                    storage.apply_retractions(lease.part, 3).await.unwrap();
                }
            }
        }
    });
    let clock = async {
        while storage.backlog().await.unwrap() > 0 {
            (subject.advance)(LIFETIME).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(processors, clock);
    retracting.await.unwrap();
    drain(storage).await;
    sound(&storage.audit().await.unwrap());
    settle(storage).await;
    checkins.retain(|checkin| !gone.contains(checkin));
    expect(storage, &checkins).await;
}

pub async fn a_deleted_account_takes_its_checkins_along(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let leaving = user(3, "three@example.com");
    storage.load_users(std::slice::from_ref(&leaving)).await.unwrap();
    people_and_locations(storage, 2, 3).await;
    let mut others = Vec::new();
    let mut own = Vec::new();
    let short = Admission { max_length: 3, ..Admission::ALL };
    for number in 0..12 {
        let content = new_checkin(number % 3 + 1, number % 2 + 1, number % 6);
        let answer =
            storage.append(content.clone(), Some(&format!("key {number}")), short).await.unwrap();
        let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
        match content.user == leaving.id {
            true => own.push(content.with_id(id)),
            false => others.push(content.with_id(id)),
        }
        if number < 10 {
            drain(storage).await;
        }
    }
    // One is retracted already, and one is a dead letter.
    retract(storage, &own[0]).await;
    let dead = append(storage, 3, 9, 5).await;
    drain(storage).await;
    let waiting = append(storage, 3, 3, 5).await;
    let change = crate::AccountChange::Status(crate::Status::Deleted);
    storage.change_account(leaving.id, None, change).await.unwrap();
    for _ in 0..2 {
        retract_all(storage, leaving.id).await;
        expect(storage, &others).await;
        assert_eq!(storage.dead_letters(None, 9).await.unwrap(), []);
        let log = storage.checkins_between(0..=u64::MAX / 4, None, 99).await.unwrap();
        assert!(log.iter().all(|checkin| checkin.user != leaving.id), "{log:?}");
        assert!(storage.erase(leaving.id).await.unwrap());
    }
    let loaded = storage.load_checkins(&[own[1].clone(), dead, waiting.clone()]).await.unwrap();
    assert_eq!(loaded, [Loaded::Dangling; 3]);
    drain(storage).await;
    expect(storage, &others).await;
    // No id is given again.
    let next = append(storage, 1, 1, 1).await;
    assert!(next.id > waiting.id);
    drain(storage).await;
    others.push(next);
    expect(storage, &others).await;
    // A request was on its way, or comes from a program that knows nothing of deleted accounts.
    for key in [None, Some("late")] {
        let late = storage.append(new_checkin(3, 2, 4), key, Admission::ALL).await.unwrap();
        assert!(matches!(late, Accepted::Stored(_) | Accepted::Behind), "{late:?}");
    }
    others.push(append(storage, 2, 2, 2).await);
    drain(storage).await;
    expect(storage, &others).await;
    assert_eq!(storage.dead_letters(None, 9).await.unwrap(), []);
    let log = storage.checkins_between(0..=u64::MAX / 4, None, 99).await.unwrap();
    assert!(log.iter().all(|checkin| checkin.user != leaving.id), "{log:?}");
}

/// Retracts all check-ins of a deleted account, in steps of a few.
pub async fn retract_all(storage: &dyn Storage, user: UserId) {
    let mut from = None;
    loop {
        from = storage.retract_all(user, from, 2).await.unwrap();
        if from.is_none() {
            return;
        }
    }
}
