//! Entries whose ids are ahead of the clock, because another program wrote an entry with an id that it
//! chose.

use super::*;
use crate::{Accepted, HistoryPosition, Loaded, LogPosition, Replay};
use checkin_domain::CheckinId;

/// A time in the year 5138.
const AHEAD: &str = "99999999999999-7";

/// Longer than any of these tests takes.
const MINUTE_MS: u64 = 60_000;

async fn append(storage: &dyn Storage, location: u64) -> CheckinId {
    match storage.append(new_checkin(1, location, 4), None, Admission::ALL).await.unwrap() {
        Accepted::Stored(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn count_all(storage: &dyn Storage) {
    assert_eq!(apply_all(storage, 100).await.dead, 0);
}

/// Appends a check-in, an entry that is ahead of the clock, and another check-in. Returns the range of
/// times of the appended check-ins, and the ids.
async fn a_log_that_is_ahead(
    storage: &dyn Storage,
) -> (std::ops::RangeInclusive<u64>, [CheckinId; 3]) {
    storage.load_users(&[User { last_checkin: None, ..user(1, "one@example.com") }]).await.unwrap();
    storage.load_locations(&[location(1), location(2), location(3)]).await.unwrap();
    let before = append(storage, 1).await;
    let ahead = checkin(AHEAD, 1, 2);
    assert_eq!(
        storage.load_checkins(std::slice::from_ref(&ahead)).await.unwrap(),
        [Loaded::Stored]
    );
    let after = append(storage, 3).await;
    assert!(after > ahead.id, "{after}");
    (before.ms..=before.ms + MINUTE_MS, [before, ahead.id, after])
}

pub async fn while_ids_are_ahead_check_ins_have_the_time_of_their_append(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let (live, [before, ahead, after]) = a_log_that_is_ahead(storage).await;
    let latest = storage.latest_checkins(CheckinId::MAX, 9).await.unwrap();
    let ids: Vec<CheckinId> = latest.iter().map(|checkin| checkin.id).collect();
    assert_eq!(ids, [after, ahead, before]);
    assert!(live.contains(&latest[0].time_ms), "{latest:?}");
    let mut start = LogPosition::default();
    let followed = storage.follow(&mut start, 99).await.unwrap();
    let (_, last) = followed.last().unwrap();
    assert_eq!((last.id, last.time_ms), (after, latest[0].time_ms));
    let between = storage.checkins_between(live.clone(), None, 9).await.unwrap();
    for id in [before, after] {
        assert!(between.iter().any(|checkin| checkin.id == id), "{between:?}");
    }

    count_all(storage).await;
    let between = storage.checkins_between(live.clone(), None, 9).await.unwrap();
    assert_eq!(between.len(), 3, "{between:?}");
    let one_by_one = async |after| storage.checkins_between(live.clone(), after, 1).await.unwrap();
    let (mut position, mut pages) = (None, Vec::new());
    while let Some(checkin) = one_by_one(position).await.pop() {
        position = Some(HistoryPosition::from(&checkin));
        pages.push(checkin);
    }
    assert_eq!(pages, between);
    assert_eq!(storage.latest_checkins(CheckinId::MAX, 1).await.unwrap()[0], latest[0]);
}

pub async fn while_ids_are_ahead_figures_use_the_times(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let (live, _) = a_log_that_is_ahead(storage).await;
    count_all(storage).await;
    let user = storage.user(user_id(1)).await.unwrap().unwrap();
    assert_eq!(user.num_checkins, 3 + 3);
    assert!(live.contains(&user.last_checkin.unwrap()), "{user:?}");
    let history = storage.of_user(user.id, None, 9).await.unwrap();
    assert_eq!(history.len(), 3);
    assert!(history.iter().all(|checkin| live.contains(&checkin.time_ms)), "{history:?}");
    assert_eq!(storage.of_location(location_id(2), None, 9).await.unwrap().len(), 1);
    assert_eq!(storage.audit().await.unwrap().different, 0);

    // The next check-in is the last one.
    (subject.advance)(Duration::from_millis(2)).await;
    let next = append(storage, 1).await;
    count_all(storage).await;
    let user = storage.user(user_id(1)).await.unwrap().unwrap();
    let last = &storage.of_user(user.id, None, 1).await.unwrap()[0];
    assert_eq!((last.id, Some(last.time_ms)), (next, user.last_checkin));
    assert_eq!(user.last_seen_at, Some(location_id(1)));
}

pub async fn while_ids_are_ahead_dead_letters_have_their_times(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let (live, _) = a_log_that_is_ahead(storage).await;
    append(storage, 9).await;
    assert_eq!(apply_all(storage, 100).await.dead, 1);
    let letters = storage.dead_letters(None, 9).await.unwrap();
    let fields: serde_json::Value = serde_json::from_str(&letters[0].fields).unwrap();
    let time = fields["time"].as_str().unwrap_or_default().parse().unwrap();
    assert!(live.contains(&time), "{fields}");
    storage.load_locations(&[location(9)]).await.unwrap();
    assert_eq!(storage.replay(letters[0].id).await.unwrap(), Replay::Applied);
    let history = storage.of_location(location_id(9), None, 9).await.unwrap();
    assert_eq!(history[0].time_ms, time);
}

pub async fn while_ids_are_ahead_the_rules_are_the_same(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let (live, [before, ..]) = a_log_that_is_ahead(storage).await;
    let window = window(Duration::from_secs(600));
    let append = async |location, key| {
        storage.append(new_checkin(1, location, 2), key, window).await.unwrap()
    };
    let first = append(1, Some("key")).await;
    let Accepted::Stored(id) = first else { panic!("{first:?}") };
    assert_eq!(append(1, Some("key")).await, Accepted::Replayed(id));
    assert_eq!(append(1, None).await, Accepted::Duplicate);
    // The entry that is ahead does not count as a duplicate for ever.
    (subject.advance)(Duration::from_millis(2)).await;
    let short = super::window(Duration::from_millis(1));
    let again = storage.append(new_checkin(1, 1, 2), None, short).await.unwrap();
    assert!(matches!(again, Accepted::Stored(_)), "{again:?}");

    let old = [Checkin { time_ms: 5, ..checkin("5-5", 1, 1) }];
    assert_eq!(storage.load_checkins(&old).await.unwrap(), [Loaded::Stored]);
    assert_eq!(storage.load_checkins(&old).await.unwrap(), [Loaded::Unchanged]);
    let found = storage.checkins_between(5..=5, None, 9).await.unwrap();
    assert!(matches!(found[..], [Checkin { time_ms: 5, .. }]), "{found:?}");
    // An appended check-in is recognized by its time, location and rating, whatever its id is.
    let live = storage.checkins_between(live, None, 9).await.unwrap();
    count_all(storage).await;
    let without_ids = live.iter().map(|checkin| Checkin {
        id: CheckinId { ms: checkin.time_ms, seq: 77 },
        ..checkin.clone()
    });
    let without_ids: Vec<Checkin> =
        without_ids.filter(|checkin| checkin.time_ms > before.ms).collect();
    let answers = storage.load_checkins(&without_ids).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == Loaded::Unchanged), "{answers:?}");
}
