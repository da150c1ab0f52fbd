//! Applying the entries of the log, each exactly once.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::{
    Accepted, Applied, AuditReport, Batch, DeadLetterId, HistoryPosition, Lease, Loaded, LogEntry,
    PartState, Replay,
};
use checkin_domain::{Checkin, CheckinId};

/// Loads users and locations with the ids from 1 on, without figures.
pub(super) async fn people_and_locations(storage: &dyn Storage, users: u64, locations: u64) {
    let nobody = |id| User {
        num_checkins: 0,
        last_checkin: None,
        last_seen_at: None,
        ..user(id, &format!("u{id}@example.com"))
    };
    let users: Vec<User> = (1..=users).map(nobody).collect();
    storage.load_users(&users).await.unwrap();
    let nowhere = |id| Location { num_checkins: 0, num_stars: 0, ..location(id) };
    let locations: Vec<Location> = (1..=locations).map(nowhere).collect();
    storage.load_locations(&locations).await.unwrap();
}

pub(super) async fn append(storage: &dyn Storage, user: u64, location: u64, stars: u64) -> Checkin {
    let checkin = new_checkin(user, location, stars);
    match storage.append(checkin.clone(), None, Admission::ALL).await.unwrap() {
        Accepted::Stored(id) => checkin.with_id(id),
        other => panic!("{other:?}"),
    }
}

/// Returns the state of all parts together, with the age of the oldest entry.
async fn log_state(storage: &dyn Storage) -> PartState {
    let states = storage.part_states().await.unwrap();
    states.iter().fold(PartState::default(), |sum, state| PartState {
        length: sum.length + state.length,
        waiting: sum.waiting + state.waiting,
        oldest_waiting: sum.oldest_waiting.max(state.oldest_waiting),
        counted: sum.counted + state.counted,
        dead_letters: sum.dead_letters + state.dead_letters,
        lost: sum.lost + state.lost,
    })
}

pub(super) async fn drain(storage: &dyn Storage) -> Applied {
    apply_all(storage, 7).await
}

/// Returns the next batch that is not empty, under a lease that this processor holds or can acquire.
async fn next(storage: &dyn Storage, held: &[Lease], limit: usize) -> Batch {
    for lease in held {
        let batch = next_batch(storage, lease, limit).await;
        if !batch.entries.is_empty() {
            return batch;
        }
    }
    panic!("nothing waits");
}

async fn checkins_of(storage: &dyn Storage, user: u64) -> u64 {
    storage.user(user_id(user)).await.unwrap().unwrap().num_checkins
}

pub(super) fn sound(audit: &AuditReport) {
    assert_eq!((audit.different, audit.differences.as_slice()), (0, &[][..]), "{audit:?}");
}

pub async fn figures_are_the_sums_over_the_log(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 20, 5).await;
    let mut checkins = Vec::new();
    for number in 0..100 {
        checkins.push(append(storage, number % 20 + 1, number % 7 % 5 + 1, number % 6).await);
    }
    assert_eq!(storage.backlog().await.unwrap(), 100);
    assert_eq!(drain(storage).await, Applied { new: 100, dead: 0 });
    assert_eq!(storage.backlog().await.unwrap(), 0);

    for id in 1..=20 {
        let of_user = || checkins.iter().filter(|checkin| checkin.user == user_id(id));
        let last = of_user().max_by_key(|checkin| checkin.id).unwrap();
        let user = storage.user(user_id(id)).await.unwrap().unwrap();
        assert_eq!(user.num_checkins, of_user().count() as u64);
        assert_eq!(user.last_checkin, Some(last.id.ms));
        assert_eq!(user.last_seen_at, Some(last.location));
    }
    for id in 1..=5 {
        let stars = checkins.iter().filter(|checkin| checkin.location == location_id(id));
        let stars: Vec<u64> = stars.map(|checkin| checkin.stars.get().into()).collect();
        let location = storage.location(location_id(id)).await.unwrap().unwrap();
        assert_eq!(location.num_checkins, stars.len() as u64);
        assert_eq!(location.num_stars, stars.iter().sum::<u64>());
        let count = |rating| stars.iter().filter(|stars| **stars == rating).count() as u64;
        let ratings: Vec<u64> = (0..=5).map(count).collect();
        assert_eq!(storage.ratings(location_id(id)).await.unwrap().as_slice(), ratings);
    }
    let audit = storage.audit().await.unwrap();
    sound(&audit);
    assert_eq!((audit.entries, audit.counted, audit.waiting), (100, 100, 0));
    assert_eq!(audit.compared, 25);
}

/// The batch has more check-ins of one location and of one user than one command of a script can pass.
pub async fn a_large_batch_of_one_location_is_applied(subject: StoreUnderTest) {
    const COUNT: u64 = 2500;
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let visit = |number| checkin(&format!("{}-{number}", 1000 + number), 1 + number % 2, 1);
    let mut entries: Vec<Checkin> = (0..COUNT).map(visit).collect();
    // The users leave the first place, and one of them comes back.
    entries.extend([checkin("5000-0", 1, 2), checkin("5000-1", 2, 2), checkin("6000-0", 1, 1)]);
    storage.load_checkins(&entries).await.unwrap();
    apply_all(storage, 10_000).await;
    let place = storage.location(location_id(1)).await.unwrap().unwrap();
    assert_eq!((place.num_checkins, place.num_stars), (COUNT + 1, (COUNT + 1) * 4));
    assert_eq!(checkins_of(storage, 1).await, COUNT / 2 + 2);
    let all = Page { after: None, limit: 9 };
    let at = async |location| {
        let users = storage.users_at(location_id(location), all).await.unwrap();
        users.iter().map(|user| (user.item.id, user.rank)).collect::<Vec<_>>()
    };
    assert_eq!(at(1).await, [(user_id(1), 6000)]);
    assert_eq!(at(2).await, [(user_id(2), 5000)]);
    sound(&storage.audit().await.unwrap());
}

pub async fn applying_a_batch_again_changes_nothing(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 2).await;
    for number in 0..20 {
        append(storage, 1, number % 2 + 1, 3).await;
    }
    let held = acquire_all(storage, "one", LEASE).await;
    let batch = next(storage, &held, 10).await;
    assert_eq!(batch.entries.len(), 10);
    // Applies a part of the batch, like a processor that was killed.
    let part = Batch { entries: batch.entries[..5].to_vec(), ..batch.clone() };
    assert_eq!(storage.apply(&part).await.unwrap().new, 5);
    let lease = held.iter().find(|lease| lease.part == batch.part).unwrap();
    let moved = part.entries.last().map(LogEntry::id);
    for late in [&batch, &part, &batch] {
        storage.apply(late).await.unwrap();
        assert_eq!(storage.renew(lease, LEASE).await.unwrap(), moved);
    }
    for lease in &held {
        storage.release(lease).await.unwrap();
    }
    drain(storage).await;
    assert_eq!(checkins_of(storage, 1).await, 20);
    sound(&storage.audit().await.unwrap());
    assert_eq!(storage.apply(&batch).await.unwrap(), Applied::default());
    assert_eq!(storage.backlog().await.unwrap(), 0);
    assert_eq!(checkins_of(storage, 1).await, 20);
    sound(&storage.audit().await.unwrap());
}

pub async fn a_part_has_one_holder_at_a_time(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let acquire = async |processor, lifetime| acquire_all(storage, processor, lifetime).await;
    let held = acquire("one", SHORT).await;
    assert!(!held.is_empty());
    assert_eq!(storage.acquire("one", &held, SHORT).await.unwrap(), None);
    // A processor that starts again gets the leases that it held.
    assert_eq!(acquire("one", SHORT).await, held);
    assert_eq!(acquire("two", SHORT).await, []);
    let first = &held[0];
    let stranger = Lease { processor: "two".to_owned(), ..first.clone() };
    storage.release(&stranger).await.unwrap();
    assert_eq!(storage.renew(&stranger, SHORT).await.unwrap(), None);
    assert_eq!(storage.renew(first, SHORT).await.unwrap(), Some(CheckinId::MIN));
    (subject.advance)(SHORT + Duration::from_millis(1)).await;
    let taken = acquire("two", LEASE).await;
    assert_eq!(taken.len(), held.len());
    assert_eq!(storage.renew(first, SHORT).await.unwrap(), None);
    for lease in &taken {
        storage.release(lease).await.unwrap();
    }
    assert_eq!(storage.renew(first, SHORT).await.unwrap(), Some(CheckinId::MIN));
}

pub async fn processors_share_the_parts(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let parts = acquire_all(storage, "b", LEASE).await.len();
    let join = async |processor: &str| storage.join(processor, LEASE).await.unwrap();
    assert_eq!(join("b").await, parts);
    let a = join("a").await;
    let b = join("b").await;
    assert_eq!(a + b, parts);
    assert!(a.abs_diff(b) <= 1, "{a} {b}");
    storage.leave("a").await.unwrap();
    assert_eq!(join("b").await, parts);
}

pub async fn live_processors_are_listed_with_their_parts(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    assert_eq!(storage.processors().await.unwrap(), []);
    storage.join("b", LEASE).await.unwrap();
    storage.join("a", LEASE).await.unwrap();
    let held = acquire_all(storage, "a", LEASE).await;
    let parts: Vec<usize> = held.iter().map(|lease| lease.part).collect();
    let listed = async || -> Vec<(String, Vec<usize>)> {
        let live = storage.processors().await.unwrap();
        assert!(live.iter().all(|processor| processor.expires_in <= LEASE), "{live:?}");
        live.into_iter().map(|processor| (processor.name, processor.parts)).collect()
    };
    assert_eq!(listed().await, [("a".to_owned(), parts.clone()), ("b".to_owned(), vec![])]);
    storage.release(&held[0]).await.unwrap();
    assert_eq!(listed().await[0].1, parts[1..]);
    storage.leave("b").await.unwrap();
    storage.join("a", SHORT).await.unwrap();
    (subject.advance)(SHORT + Duration::from_millis(1)).await;
    assert_eq!(listed().await, []);
}

pub async fn parallel_processors_apply_each_entry_once(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 30, 4).await;
    let mut counts = HashMap::<u64, u64>::new();
    for number in 0..300 {
        let user = number * number % 30 + 1;
        append(storage, user, number % 4 + 1, number % 6).await;
        *counts.entry(user).or_default() += 1;
    }
    // The leases expire at once, so that all processors read and apply the same entries.
    const LIFETIME: Duration = Duration::from_millis(1);
    let processors = together(6, |number| {
        let storage = Arc::clone(&subject.storage);
        async move {
            let processor = format!("processor {number}");
            while storage.backlog().await.unwrap() > 0 {
                for lease in acquire_all(&*storage, &processor, LIFETIME).await {
                    let checkpoint = storage.renew(&lease, LIFETIME).await.unwrap();
                    let Some(checkpoint) = checkpoint else { continue };
                    let batch = storage.read(&lease, checkpoint, 20).await.unwrap();
                    storage.apply(&batch).await.unwrap();
                }
            }
        }
    });
    // A clock that goes only when it is told to would leave all leases to the first processor.
    let clock = async {
        while storage.backlog().await.unwrap() > 0 {
            (subject.advance)(LIFETIME).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(processors, clock);
    for (user, count) in counts {
        assert_eq!(checkins_of(storage, user).await, count);
    }
    let audit = storage.audit().await.unwrap();
    sound(&audit);
    assert_eq!(audit.counted, 300);
}

pub async fn an_entry_that_cannot_be_applied_becomes_a_dead_letter(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 1).await;
    append(storage, 1, 1, 5).await;
    let no_place = append(storage, 1, 9, 5).await;
    let no_user = append(storage, 8, 1, 4).await;
    append(storage, 2, 1, 5).await;
    assert_eq!(drain(storage).await, Applied { new: 2, dead: 2 });
    let audit = storage.audit().await.unwrap();
    sound(&audit);
    assert_eq!((audit.counted, audit.dead, audit.waiting), (2, 2, 0));
    assert_eq!(
        log_state(storage).await,
        PartState { length: 4, counted: 4, dead_letters: 2, ..PartState::default() }
    );

    let mut letters = storage.dead_letters(None, 10).await.unwrap();
    let first = storage.dead_letters(None, 1).await.unwrap();
    let second = storage.dead_letters(Some(first[0].id), 1).await.unwrap();
    assert_eq!([first, second].concat(), letters);
    letters.sort_by_key(|letter| letter.id.entry);
    let mut wanted =
        [(no_place.id, "there is no such location"), (no_user.id, "there is no such user")];
    wanted.sort();
    let found: Vec<(CheckinId, &str)> =
        letters.iter().map(|letter| (letter.id.entry, letter.reason.as_str())).collect();
    assert_eq!(found, wanted);
    let fields: serde_json::Value = serde_json::from_str(
        &letters.iter().find(|letter| letter.id.entry == no_user.id).unwrap().fields,
    )
    .unwrap();
    assert_eq!(fields, serde_json::json!({"userId": "8", "locationId": "1", "starRating": "4"}));

    let letter = |entry| letters.iter().find(|letter| letter.id.entry == entry).unwrap().id;
    let unknown = DeadLetterId { part: 0, entry: "7-7".parse().unwrap() };
    assert_eq!(storage.replay(unknown).await.unwrap(), Replay::Unknown);
    let still = Replay::StillDead("there is no such user".to_owned());
    assert_eq!(storage.replay(letter(no_user.id)).await.unwrap(), still);
    let eighth = User { num_checkins: 0, last_checkin: None, ..user(8, "eight@example.com") };
    storage.load_users(&[eighth]).await.unwrap();
    assert_eq!(storage.replay(letter(no_user.id)).await.unwrap(), Replay::Applied);
    assert_eq!(storage.replay(letter(no_user.id)).await.unwrap(), Replay::Unknown);
    assert_eq!(checkins_of(storage, 8).await, 1);
    assert_eq!(storage.location(location_id(1)).await.unwrap().unwrap().num_checkins, 3);
    assert_eq!(storage.dead_letters(None, 10).await.unwrap().len(), 1);
    let audit = storage.audit().await.unwrap();
    sound(&audit);
    assert_eq!((audit.counted, audit.dead), (3, 1));
}

pub async fn a_late_checkin_is_applied_and_is_not_the_last(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 3).await;
    let now = append(storage, 1, 2, 5).await;
    drain(storage).await;
    let early = [checkin("1000-0", 1, 3)];
    assert_eq!(storage.load_checkins(&early).await.unwrap(), [Loaded::Stored]);
    drain(storage).await;
    assert_eq!(storage.load_checkins(&early).await.unwrap(), [Loaded::Unchanged]);
    let user = storage.user(user_id(1)).await.unwrap().unwrap();
    assert_eq!((user.num_checkins, user.last_seen_at), (2, Some(location_id(2))));
    assert_eq!(user.last_checkin, Some(now.time_ms));
    let history = storage.of_user(user_id(1), None, 10).await.unwrap();
    let times: Vec<u64> = history.iter().map(|checkin| checkin.time_ms).collect();
    assert_eq!(times, [now.time_ms, 1000]);
    sound(&storage.audit().await.unwrap());
}

pub async fn imported_figures_are_kept(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let before = user(1, "one@example.com");
    storage.load_users(std::slice::from_ref(&before)).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    sound(&storage.audit().await.unwrap());
    let checkin = append(storage, 1, 1, 1).await;
    drain(storage).await;
    assert_eq!(checkins_of(storage, 1).await, before.num_checkins + 1);
    let place = storage.location(location_id(1)).await.unwrap().unwrap();
    assert_eq!((place.num_checkins, place.num_stars, place.average_stars()), (3, 10, 3.3));
    assert_eq!(storage.of_user(user_id(1), None, 9).await.unwrap(), [checkin]);
    sound(&storage.audit().await.unwrap());
}

pub async fn histories_are_read_in_pages(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 3, 2).await;
    let mut entries = Vec::new();
    for number in 0..25_u64 {
        // Several check-ins in the same millisecond, in an order of the store's own.
        let id = format!("{}-{}", 1000 + number / 10, number % 10 * 7);
        entries.push(checkin(&id, number % 3 + 1, number % 2 + 1));
    }
    storage.load_checkins(&entries).await.unwrap();
    assert_eq!(storage.of_location(location_id(1), None, 5).await.unwrap(), []);
    drain(storage).await;
    for limit in [1, 2, 3, 50] {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = storage.of_location(location_id(1), after, limit).await.unwrap();
            let Some(last) = page.last() else {
                break;
            };
            assert!(page.len() <= limit);
            after = Some(HistoryPosition::from(last));
            read.extend(page);
        }
        let all = storage.of_location(location_id(1), None, 50).await.unwrap();
        assert_eq!(read, all, "{limit}");
        assert!(read.is_sorted_by_key(|checkin| Reverse(checkin.time_ms)));
        read.sort_by_key(|checkin| checkin.id);
        let wanted = entries.iter().filter(|checkin| checkin.location == location_id(1));
        assert_eq!(read, wanted.cloned().collect::<Vec<_>>(), "{limit}");
    }
    let mut of_user = storage.of_user(user_id(2), None, 50).await.unwrap();
    of_user.sort_by_key(|checkin| checkin.id);
    let wanted = entries.iter().filter(|checkin| checkin.user == user_id(2));
    assert_eq!(of_user, wanted.cloned().collect::<Vec<_>>());
    assert_eq!(storage.of_user(user_id(9), None, 50).await.unwrap(), []);
}

pub async fn a_full_backlog_refuses_checkins(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 1).await;
    let few = Admission { max_backlog: 3, ..Admission::ALL };
    let append =
        async |key: Option<&str>| storage.append(new_checkin(1, 1, 2), key, few).await.unwrap();
    let first = append(Some("key")).await;
    let Accepted::Stored(id) = first else { panic!("{first:?}") };
    append(None).await;
    assert!(matches!(append(None).await, Accepted::Stored(_)));
    assert_eq!(append(None).await, Accepted::Behind);
    assert_eq!(append(Some("other")).await, Accepted::Behind);
    assert_eq!(append(Some("key")).await, Accepted::Replayed(id));
    drain(storage).await;
    assert!(matches!(append(Some("other")).await, Accepted::Stored(_)));
}

pub async fn a_full_log_accepts_checkins_only_when_entries_are_applied(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 1).await;
    let short = Admission { max_length: 4, ..Admission::ALL };
    let append = async || storage.append(new_checkin(1, 1, 2), None, short).await.unwrap();
    for round in 1..=3 {
        for _ in 0..4 {
            assert!(matches!(append().await, Accepted::Stored(_)), "{round}");
        }
        assert_eq!(append().await, Accepted::Behind);
        assert_eq!(storage.backlog().await.unwrap(), 4);
        let state = log_state(storage).await;
        assert_eq!((state.waiting, state.dead_letters), (4, 0));
        assert!(state.length >= 4 && state.oldest_waiting < Duration::from_secs(60), "{state:?}");
        drain(storage).await;
        let state = log_state(storage).await;
        assert_eq!((state.waiting, state.oldest_waiting), (0, Duration::ZERO));
        assert_eq!(checkins_of(storage, 1).await, 4 * round);
        sound(&storage.audit().await.unwrap());
    }
    // The check-ins that left the log are in the histories.
    assert_eq!(storage.of_user(user_id(1), None, 50).await.unwrap().len(), 12);
}
