//! Check-ins that only their users see.

use std::slice::from_ref;
use std::sync::Arc;

use super::applier::{drain, people_and_locations, sound};
use super::retention::fold_all;
use super::standings::set_status;
use super::*;
use crate::{Accepted, HistoryPosition, Loaded, Retracted, Status};
use checkin_domain::{CheckinId, Visit};

const WINDOW: Admission = window(Duration::from_secs(600));

/// A private check-in.
fn private(user: u64, location: u64, stars: u64) -> NewCheckin {
    NewCheckin { is_private: true, ..new_checkin(user, location, stars) }
}

async fn stored(storage: &dyn Storage, checkin: NewCheckin, key: Option<&str>) -> Checkin {
    let answer = storage.append(checkin.clone(), key, WINDOW).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    checkin.with_id(id)
}

/// Everything that others see.
async fn seen(storage: &dyn Storage) -> impl PartialEq + std::fmt::Debug + use<> {
    let page = first(99);
    let mut histories = Vec::new();
    for location in 1..=3 {
        histories.push(storage.of_location(location_id(location), None, 99).await.unwrap());
    }
    let mut start = crate::LogPosition::default();
    let log = (
        storage.latest_checkins(CheckinId::MAX, 99).await.unwrap(),
        storage.checkins_between(0..=u64::MAX, None, 99).await.unwrap(),
        storage.follow(&mut start, 99).await.unwrap(),
        storage.log_end().await.unwrap(),
        storage.backlog().await.unwrap(),
    );
    let users = (
        storage.users_after(None, 99).await.unwrap(),
        storage.recent_users(page).await.unwrap(),
        storage.top_users(crate::Period::AllTime, page).await.unwrap(),
        storage.users_at(location_id(1), page).await.unwrap(),
    );
    let locations = (
        storage.locations_after(None, 99).await.unwrap(),
        storage.top_locations(crate::Period::AllTime, page).await.unwrap(),
        storage.ratings(location_id(1)).await.unwrap(),
    );
    (histories, log, users, locations)
}

pub async fn a_private_check_in_is_in_the_history_of_its_user_alone(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 3).await;
    stored(storage, new_checkin(1, 1, 3), None).await;
    drain(storage).await;
    let before = seen(storage).await;
    let remarked = NewCheckin { is_private: true, ..remarked(1, 1, "for me") };
    let mut own = vec![
        stored(storage, private(1, 2, 3), None).await,
        stored(storage, remarked, Some("key")).await,
        stored(storage, private(1, 3, 5), Some("other key")).await,
    ];
    // They wait for no processor, and the limits of the log are not theirs.
    let full = Admission { max_backlog: 0, max_length: 0, ..WINDOW };
    let answer = storage.append(private(1, 3, 4), None, full).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    own.push(private(1, 3, 4).with_id(id));
    assert_eq!(seen(storage).await, before);
    assert_eq!(drain(storage).await, Applied::default());
    assert_eq!(seen(storage).await, before);
    sound(&storage.audit().await.unwrap());

    // A public one among them has an id that tells nothing of them.
    let public = stored(storage, new_checkin(1, 2, 3), None).await;
    assert!(public.id.seq < 64 && own.iter().all(|checkin| checkin.id.seq > 1 << 51));
    drain(storage).await;
    own.push(public);
    let history = storage.of_user(user_id(1), None, 99).await.unwrap();
    own.extend(
        history.iter().filter(|it| it.location == location_id(1) && !it.is_private).cloned(),
    );
    own.sort_by_key(|checkin| std::cmp::Reverse(HistoryPosition::from(checkin)));
    assert_eq!(history, own);
    for limit in [1, 2, 4] {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = storage.of_user(user_id(1), after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= limit);
            after = Some(HistoryPosition::from(last));
            read.extend(page);
        }
        assert_eq!(read, own, "{limit}");
    }
    assert_eq!(storage.of_user(user_id(2), None, 9).await.unwrap(), []);
}

pub async fn private_check_ins_are_stored_once(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 3).await;
    let first = stored(storage, private(1, 1, 3), Some("key")).await;
    let append = async |checkin, key| storage.append(checkin, key, WINDOW).await.unwrap();
    assert_eq!(append(private(1, 1, 3), Some("key")).await, Accepted::Replayed(first.id));
    let remarked = NewCheckin { is_private: true, ..remarked(1, 1, "1 3") };
    for other in [private(1, 1, 4), private(1, 2, 3), remarked] {
        assert_eq!(append(other.clone(), Some("key")).await, Accepted::KeyReused, "{other:?}");
    }
    stored(storage, new_checkin(1, 2, 3), Some("public")).await;
    assert_eq!(append(private(1, 2, 3), Some("public")).await, Accepted::KeyReused);
    assert_eq!(append(new_checkin(1, 1, 3), Some("key")).await, Accepted::KeyReused);
    assert_eq!(append(private(1, 1, 3), None).await, Accepted::Duplicate);
    // The windows are apart, and so are the users.
    stored(storage, new_checkin(1, 1, 3), None).await;
    stored(storage, private(1, 2, 3), None).await;
    stored(storage, private(2, 1, 3), Some("key")).await;
    let answers = together(16, |_| {
        let storage = Arc::clone(&subject.storage);
        async move { storage.append(private(1, 3, 3), Some("one"), WINDOW).await.unwrap() }
    })
    .await;
    let is_new = |answer: &&Accepted| matches!(answer, Accepted::Stored(_));
    assert_eq!(answers.iter().filter(is_new).count(), 1);
    let short = window(Duration::from_millis(300));
    stored(storage, private(2, 2, 2), None).await;
    assert_eq!(append(private(2, 2, 2), None).await, Accepted::Duplicate);
    (subject.advance)(Duration::from_millis(300)).await;
    let again = storage.append(private(2, 2, 2), None, short).await.unwrap();
    assert!(matches!(again, Accepted::Stored(_)), "{again:?}");
    assert_eq!(storage.of_user(user_id(1), None, 99).await.unwrap().len(), 3);
    for _ in 0..3 {
        let answer = storage.append(private(2, 3, 5), None, Admission::ALL).await.unwrap();
        assert!(matches!(answer, Accepted::Stored(_)), "{answer:?}");
    }
    let history = storage.of_user(user_id(2), None, 99).await.unwrap();
    let same = history.iter().filter(|checkin| checkin.location == location_id(3));
    assert_eq!(same.count(), 3);
    // Whichever comes first has the key.
    let answers = together(16, |number| {
        let storage = Arc::clone(&subject.storage);
        let checkin = NewCheckin { is_private: number % 2 == 0, ..new_checkin(2, 3, 1) };
        async move { storage.append(checkin, Some("both"), WINDOW).await.unwrap() }
    })
    .await;
    assert_eq!(answers.iter().filter(is_new).count(), 1, "{answers:?}");
    let reused = |answer: &&Accepted| matches!(answer, Accepted::KeyReused);
    assert_eq!(answers.iter().filter(reused).count(), 8, "{answers:?}");
}

pub async fn a_private_check_in_is_retracted(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let public = stored(storage, new_checkin(1, 1, 3), None).await;
    drain(storage).await;
    let before = seen(storage).await;
    let remarked = NewCheckin { is_private: true, ..remarked(1, 1, "not here") };
    let gone = stored(storage, remarked.clone(), Some("key")).await;
    let kept = stored(storage, private(1, 2, 3), None).await;
    let loaded = Checkin {
        comment: Some("nor there".parse().unwrap()),
        is_private: true,
        time_ms: 1_000_000_000_000,
        ..checkin("1000000000001-7", 1, 1)
    };
    assert_eq!(storage.load_checkins(from_ref(&loaded)).await.unwrap(), [Loaded::Stored]);
    for gone in [&gone, &loaded] {
        assert_eq!(storage.retract(user_id(2), gone.id).await.unwrap(), Retracted::Unknown);
        for _ in 0..2 {
            assert_eq!(storage.retract(user_id(1), gone.id).await.unwrap(), Retracted::Done);
        }
        assert_eq!(storage.retract(user_id(2), gone.id).await.unwrap(), Retracted::Unknown);
        assert_eq!(storage.load_checkins(from_ref(gone)).await.unwrap(), [Loaded::Unchanged]);
    }
    let history = storage.of_user(user_id(1), None, 9).await.unwrap();
    assert_eq!(history, [kept, Checkin { comment: None, ..public }]);
    let answer = storage.append(remarked.clone(), Some("key"), WINDOW).await.unwrap();
    assert_eq!(answer, Accepted::Replayed(gone.id));
    // The same may be made again at once.
    let again = stored(storage, remarked, None).await;
    assert!(storage.of_user(user_id(1), None, 9).await.unwrap().contains(&again));
    for part in 0..storage.part_states().await.unwrap().len() {
        assert_eq!(storage.apply_retractions(part, 9).await.unwrap(), 0);
    }
    drain(storage).await;
    assert_eq!(seen(storage).await, before);
    sound(&storage.audit().await.unwrap());
}

/// Public and private check-ins of a user that were imported may have one id.
pub async fn a_private_check_in_may_have_the_id_of_a_public_one(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 2).await;
    let public = Checkin { comment: Some("public".parse().unwrap()), ..checkin("2000-7", 1, 1) };
    let comment = Some("private".parse().unwrap());
    let private = Checkin { is_private: true, comment, ..checkin("2000-7", 1, 2) };
    for checkin in [&public, &private] {
        assert_eq!(storage.load_checkins(from_ref(checkin)).await.unwrap(), [Loaded::Stored]);
    }
    drain(storage).await;
    let mut history = storage.of_user(user_id(1), None, 9).await.unwrap();
    history.sort_by_key(|checkin| checkin.is_private);
    assert_eq!(history, [public.clone(), private]);
    let of_location = storage.of_location(location_id(1), None, 9).await.unwrap();
    assert_eq!(of_location, [public]);
    for left in [1, 0] {
        assert_eq!(
            storage.retract(user_id(1), "2000-7".parse().unwrap()).await.unwrap(),
            Retracted::Done
        );
        for part in 0..storage.part_states().await.unwrap().len() {
            storage.apply_retractions(part, 9).await.unwrap();
        }
        assert_eq!(storage.of_user(user_id(1), None, 9).await.unwrap().len(), left);
    }
}

pub async fn private_check_ins_are_loaded(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let before = seen(storage).await;
    let private = |id, user, location| Checkin {
        comment: Some("loaded".parse().unwrap()),
        is_private: true,
        ..checkin(id, user, location)
    };
    let all = [private("2000-7", 1, 1), private("1000-7", 1, 2), private("2000-7", 2, 1)];
    let unknown = [private("2000-8", 9, 1), private("2000-8", 1, 9)];
    assert_eq!(storage.load_checkins(&all).await.unwrap(), [Loaded::Stored; 3]);
    assert_eq!(storage.load_checkins(&unknown).await.unwrap(), [Loaded::Dangling; 2]);
    // By the id, or by what it is.
    let again = [private("2000-7", 1, 2), private("2000-9", 1, 1), private("1000-7", 1, 2)];
    assert_eq!(storage.load_checkins(&again).await.unwrap(), [Loaded::Unchanged; 3]);
    let visit = |checkin| Visit { checkin, swarm_id: Some("a".to_owned()) };
    let visits = [visit(private("3000-5", 1, 1)), visit(private("3000-5", 1, 1))];
    assert_eq!(storage.load_visits(&visits[..1]).await.unwrap(), [Loaded::Stored]);
    assert_eq!(storage.load_visits(&visits[1..]).await.unwrap(), [Loaded::Unchanged]);
    assert_eq!(seen(storage).await, before);
    let history = storage.of_user(user_id(1), None, 9).await.unwrap();
    assert_eq!(history, [visits[0].checkin.clone(), all[0].clone(), all[1].clone()]);

    // A visit that is known as a public one stays what it is.
    let public = Visit { checkin: checkin("4000-5", 1, 1), swarm_id: Some("b".to_owned()) };
    assert_eq!(storage.load_visits(std::slice::from_ref(&public)).await.unwrap(), [Loaded::Stored]);
    let hidden = Visit { checkin: private("4000-6", 1, 1), ..public };
    assert_eq!(storage.load_visits(&[hidden]).await.unwrap(), [Loaded::Unchanged]);
    // And so does a private one.
    let shown = Visit { checkin: checkin("3000-5", 1, 1), ..visits[0].clone() };
    assert_eq!(storage.load_visits(&[shown]).await.unwrap(), [Loaded::Unchanged]);
    let of_other = Visit { checkin: checkin("3000-5", 2, 1), ..visits[0].clone() };
    assert_eq!(storage.load_visits(&[of_other]).await.unwrap(), [Loaded::Stored]);
}

pub async fn a_loaded_check_in_stays_private_or_public(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let public = |id, user| checkin(id, user, 1);
    let private = |id, user| Checkin { is_private: true, ..checkin(id, user, 1) };
    let load = async |checkin| storage.load_checkins(&[checkin]).await.unwrap()[0];
    assert_eq!(load(private("1000-7", 1)).await, Loaded::Stored);
    assert_eq!(load(public("2000-7", 1)).await, Loaded::Stored);
    let before = storage.of_user(user_id(1), None, 9).await.unwrap();
    for _ in 0..2 {
        // By the id, or by the user, the location and the time.
        for (private_id, public_id) in [("1000-7", "2000-7"), ("1000-8", "2000-8")] {
            assert_eq!(load(public(private_id, 1)).await, Loaded::IsPrivate);
            assert_eq!(load(private(public_id, 1)).await, Loaded::IsPublic);
        }
        drain(storage).await;
    }
    let after = storage.of_user(user_id(1), None, 9).await.unwrap();
    assert_eq!((before.len(), after.len()), (1, 2));
    assert!(after.iter().all(|checkin| checkin.is_private == (checkin.time_ms == 1000)));
    // Others at the same place and time have their own.
    assert_eq!(load(public("1000-9", 2)).await, Loaded::Stored);
    assert_eq!(load(private("2000-9", 2)).await, Loaded::Stored);
    // What its user deleted comes back in no form.
    let id = "1000-7".parse().unwrap();
    assert_eq!(storage.retract(user_id(1), id).await.unwrap(), Retracted::Done);
    assert_eq!(load(public("1000-7", 1)).await, Loaded::Unchanged);
}

pub async fn one_batch_of_check_ins_in_both_forms_is_like_two(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let public = |id| checkin(id, 1, 1);
    let private = |id| Checkin { is_private: true, ..checkin(id, 1, 1) };
    let batch = [
        private("1000-7"),
        public("1000-8"),
        public("2000-7"),
        // The same again, and another one of its form.
        private("1000-7"),
        Checkin { stars: 5.try_into().unwrap(), ..private("1000-9") },
        private("2000-8"),
        private("3000-7"),
        Checkin { location: location_id(2), ..public("3000-8") },
    ];
    let answers = [
        Loaded::Stored,
        Loaded::IsPrivate,
        Loaded::Stored,
        Loaded::Unchanged,
        Loaded::Stored,
        Loaded::IsPublic,
        Loaded::Stored,
        Loaded::Stored,
    ];
    assert_eq!(storage.load_checkins(&batch).await.unwrap(), answers);
    let again = answers.map(|answer| match answer {
        Loaded::Stored => Loaded::Unchanged,
        answer => answer,
    });
    for _ in 0..2 {
        assert_eq!(storage.load_checkins(&batch).await.unwrap(), again);
        drain(storage).await;
    }
    assert_eq!(storage.of_user(user_id(1), None, 9).await.unwrap().len(), 5);
}

pub async fn private_check_ins_are_forgotten(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 1).await;
    let old = |number: u64| Checkin {
        comment: Some("old".parse().unwrap()),
        is_private: true,
        ..checkin(&format!("{}-1", 1000 + number), 1, 1)
    };
    let old: Vec<Checkin> = (0..700).map(old).collect();
    assert_eq!(storage.load_checkins(&old).await.unwrap(), vec![Loaded::Stored; 700]);
    let new = [stored(storage, private(1, 1, 3), Some("key")).await];
    assert_eq!(fold_all(storage, Duration::from_secs(86_400), None).await, 0, "none is counted");
    assert_eq!(storage.of_user(user_id(1), None, 999).await.unwrap(), new);
    assert_eq!(storage.load_checkins(&old[..1]).await.unwrap(), [Loaded::TooOld]);

    stored(storage, private(2, 1, 3), None).await;
    set_status(storage, user_id(1), Status::Deleted).await;
    assert!(storage.erase(user_id(1)).await.unwrap());
    assert_eq!(storage.of_user(user_id(1), None, 9).await.unwrap(), []);
    assert_eq!(storage.load_checkins(&new).await.unwrap(), [Loaded::Dangling]);
    // A request that was in progress leaves nothing behind that would stay.
    let late = storage.append(private(1, 1, 3), Some("key"), WINDOW).await.unwrap();
    assert_eq!(late, Accepted::Behind);
    assert_eq!(storage.of_user(user_id(1), None, 9).await.unwrap(), []);
    assert_eq!(storage.of_user(user_id(2), None, 9).await.unwrap().len(), 1);
}
