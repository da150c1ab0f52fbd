//! Comments of check-ins.

use super::applier::{drain, people_and_locations, sound};
use super::retention::fold_all;
use super::standings::set_status;
use super::*;
use crate::{Accepted, DeadLetterId, Loaded, Replay, Status};
use checkin_domain::{CheckinId, Visit};

async fn stored(storage: &dyn Storage, checkin: NewCheckin, key: Option<&str>) -> Checkin {
    let answer = storage.append(checkin.clone(), key, Admission::ALL).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    checkin.with_id(id)
}

fn with_comment(checkin: Checkin, comment: &str) -> Checkin {
    Checkin { comment: Some(comment.parse().unwrap()), ..checkin }
}

/// Returns the comments of a user's history, latest first.
async fn of_user(storage: &dyn Storage, user: u64) -> Vec<Option<String>> {
    let history = storage.of_user(user_id(user), None, 99).await.unwrap();
    history.into_iter().map(|checkin| Some(checkin.comment?.to_string())).collect()
}

pub async fn a_comment_is_shown_with_its_check_in(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 1).await;
    let mut end = storage.log_end().await.unwrap();
    let mut wanted = vec![
        stored(storage, remarked(1, 1, "'=\"Zoë\" 1-0 <b>"), None).await,
        stored(storage, new_checkin(1, 1, 3), Some("key")).await,
        stored(storage, remarked(2, 1, "5 1-1"), Some("key")).await,
    ];
    wanted.sort_unstable_by_key(|checkin| std::cmp::Reverse(checkin.id));
    assert_eq!(storage.latest_checkins(CheckinId::MAX, 9).await.unwrap(), wanted);
    let mut followed = Vec::new();
    while followed.len() < 3 {
        followed.extend(storage.follow(&mut end, 9).await.unwrap().into_iter().map(|(_, it)| it));
    }
    followed.sort_unstable_by_key(|checkin| std::cmp::Reverse(checkin.id));
    assert_eq!(followed, wanted);
    let mut between = storage.checkins_between(0..=u64::MAX, None, 9).await.unwrap();
    between.sort_unstable_by_key(|checkin| std::cmp::Reverse(checkin.id));
    assert_eq!(between, wanted);
    drain(storage).await;
    let histories = async || {
        let mut of_location = storage.of_location(location_id(1), None, 9).await.unwrap();
        of_location.sort_unstable_by_key(|checkin| std::cmp::Reverse(checkin.id));
        assert_eq!(of_location, wanted);
        for user in [1, 2] {
            let own: Vec<_> =
                wanted.iter().filter(|it| it.user == user_id(user)).cloned().collect();
            assert_eq!(storage.of_user(user_id(user), None, 9).await.unwrap(), own);
        }
    };
    histories().await;
    // It stays when the entry leaves the log.
    let only = Admission { max_length: 1, ..Admission::ALL };
    for user in [1, 2] {
        storage.append(new_checkin(user, 9, 3), None, only).await.unwrap();
        drain(storage).await;
    }
    histories().await;
    sound(&storage.audit().await.unwrap());
}

pub async fn loaded_check_ins_keep_their_comments(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 1).await;
    let loaded = [
        with_comment(checkin("2000-0", 1, 1), "in time"),
        with_comment(checkin("1000-0", 1, 1), "late"),
        checkin("3000-0", 1, 1),
    ];
    assert_eq!(storage.load_checkins(&loaded).await.unwrap(), [Loaded::Stored; 3]);
    let other = loaded.clone().map(|checkin| with_comment(checkin, "another comment"));
    assert_eq!(storage.load_checkins(&other).await.unwrap(), [Loaded::Unchanged; 3]);
    let checkin = with_comment(checkin("500-0", 1, 1), "a shout");
    let visit = Visit { checkin, swarm_id: Some("a".to_owned()) };
    assert_eq!(storage.load_visits(&[visit]).await.unwrap(), [Loaded::Stored]);
    drain(storage).await;
    let comments = of_user(storage, 1).await;
    let comments: Vec<_> = comments.iter().map(Option::as_deref).collect();
    assert_eq!(comments, [None, Some("in time"), Some("late"), Some("a shout")]);
}

pub async fn a_dead_letter_keeps_its_comment(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 1, 0).await;
    stored(storage, remarked(1, 1, "early"), None).await;
    drain(storage).await;
    let letters = storage.dead_letters(None, 9).await.unwrap();
    let fields: serde_json::Value = serde_json::from_str(&letters[0].fields).unwrap();
    assert_eq!(fields["comment"], "early");
    storage.load_locations(&[location(1)]).await.unwrap();
    let ids: Vec<DeadLetterId> = letters.iter().map(|letter| letter.id).collect();
    assert_eq!(storage.replay(ids[0]).await.unwrap(), Replay::Applied);
    assert_eq!(of_user(storage, 1).await, [Some("early".to_owned())]);
}

pub async fn comments_leave_with_their_check_ins_and_accounts(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    people_and_locations(storage, 2, 2).await;
    let old = [1000, 1001]
        .map(|ms| with_comment(checkin(&format!("{ms}-0"), 1, 1), &format!("old {ms}")));
    storage.load_checkins(&old).await.unwrap();
    drain(storage).await;
    let only = Admission { max_length: 1, ..Admission::ALL };
    for location in [1, 2] {
        storage.append(remarked(1, location, "new"), None, only).await.unwrap();
        drain(storage).await;
    }
    assert_eq!(fold_all(storage, Duration::from_secs(24 * 60 * 60), None).await, 2);
    assert_eq!(of_user(storage, 1).await, [Some("new".to_owned()), Some("new".to_owned())]);
    sound(&storage.audit().await.unwrap());

    stored(storage, remarked(1, 1, "not applied"), None).await;
    set_status(storage, user_id(1), Status::Deleted).await;
    assert!(storage.erase(user_id(1)).await.unwrap());
    assert_eq!(of_user(storage, 1).await, [None, None]);
    drain(storage).await;
    assert!(of_user(storage, 1).await.iter().all(Option::is_none));
}
