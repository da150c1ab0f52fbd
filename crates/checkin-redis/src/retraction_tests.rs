//! Retractions in Redis beside what arrives late, and on a master that has been replaced.

use std::time::Duration;

use checkin_storage::conformance::{apply_all, location, new_checkin, retract_all, user};
use checkin_storage::{
    Accepted, AccountChange, Admission, Applier, BulkLoad, Lease, Log, Retractions, Status, Users,
};
use testkit::RedisServer;

use super::RedisStorage;
use super::reply::texts;
use super::tests::{ask, storage};

const LISTS: [&str; 3] = ["ncc:users:bycheckins", "ncc:users:at:2", "ncc:locations:bycheckins"];

/// Returns a store with a user, and an applied check-in of that user at location 2.
async fn with_checkin(server: &RedisServer) -> (RedisStorage, checkin_domain::Checkin) {
    let storage = storage(server);
    storage.load_users(&[user(1, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(2)]).await.unwrap();
    let answer = storage.append(new_checkin(1, 2, 5), None, Admission::ALL).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    apply_all(&storage, 9).await;
    (storage, new_checkin(1, 2, 5).with_id(id))
}

#[tokio::test]
async fn a_raise_of_a_leaderboard_that_arrives_late_is_taken_back() {
    let server = RedisServer::start();
    let (storage, checkin) = with_checkin(&server).await;
    storage.retract(checkin.user, checkin.id).await.unwrap();
    assert_eq!(storage.apply_retractions(0, 9).await.unwrap(), 1);
    let read = async || {
        let mut lists = Vec::new();
        for list in LISTS {
            lists.push(ask(&storage, &format!("ZRANGE {list} 0 -1 WITHSCORES")).await);
        }
        lists
    };
    let before = read().await;
    // The writers have given up before.
    for (list, id) in LISTS.into_iter().zip([1, 1, 2]) {
        ask(&storage, &format!("ZADD {list} GT 3000000000000 {id}")).await;
    }
    let late = read().await;
    assert_eq!(storage.apply_retractions(0, 9).await.unwrap(), 0);
    assert_eq!(read().await, late, "ten seconds are not over");
    let settling = "{ncc:checkins}:settling";
    let due = storage.redis.call(&["ZRANGE", settling, "0", "-1"]).await.unwrap();
    let [due] = texts(due).unwrap().try_into().unwrap();
    storage.redis.call(&["ZADD", settling, "1", &due]).await.unwrap();
    // There may be more of them.
    assert_eq!(storage.apply_retractions(0, 9).await.unwrap(), 1);
    assert_eq!(storage.apply_retractions(0, 9).await.unwrap(), 0);
    assert_eq!(read().await, before);
    assert_eq!(ask(&storage, &format!("EXISTS {settling}")).await, ["0"]);
}

#[tokio::test]
async fn a_batch_that_is_applied_again_after_the_account_was_deleted_leaves_it_in_no_list() {
    let server = RedisServer::start();
    let (storage, checkin) = with_checkin(&server).await;
    let change = AccountChange::Status(Status::Deleted);
    storage.change_account(checkin.user, None, change).await.unwrap();
    retract_all(&storage, checkin.user).await;
    // As if the processor had failed after it moved the user, and before it moved the checkpoint.
    ask(&storage, "ZADD ncc:users:at:2 GT 5 1").await;
    let entry = format!("XADD ncc:checkins {} userId 1 locationId 2 starRating 5", checkin.id);
    ask(&storage, "DEL {ncc:checkins}:checkpoint ncc:checkins").await;
    ask(&storage, &entry).await;
    apply_all(&storage, 9).await;
    assert_eq!(ask(&storage, "ZCARD ncc:users:at:2").await, ["0"]);
    assert_eq!(ask(&storage, "XLEN ncc:checkins").await, ["0"]);
}

#[tokio::test]
async fn a_batch_that_was_read_before_its_account_was_erased_is_counted_without_it() {
    let server = RedisServer::start();
    let (storage, checkin) = with_checkin(&server).await;
    storage.append(new_checkin(1, 2, 4), None, Admission::ALL).await.unwrap();
    let lease = Lease { part: 0, processor: "one".to_owned() };
    let batch = storage.read(&lease, checkin.id, 9).await.unwrap();
    storage.figures().apply(&batch.checkins()).await.unwrap();
    let change = AccountChange::Status(Status::Deleted);
    storage.change_account(checkin.user, None, change).await.unwrap();
    retract_all(&storage, checkin.user).await;
    let last = batch.entries.last().unwrap().id();
    let partition = super::partition::Partition { redis: &storage.redis, number: 0 };
    assert!(partition.move_checkpoint(&batch, last, &[]).await.unwrap());
    assert_eq!(storage.backlog().await.unwrap(), 0);
    let waiting = storage.append(new_checkin(1, 2, 4), None, Admission::ALL).await.unwrap();
    assert!(matches!(waiting, Accepted::Stored(_)));
    assert_eq!(storage.backlog().await.unwrap(), 1);
}

/// The cursors of SCAN commands are valid only on the server that returned them.
#[tokio::test]
async fn an_erasure_leaves_nothing_if_redis_starts_again_meanwhile() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes"]);
    let (storage, checkin) = with_checkin(&server).await;
    let change = AccountChange::Status(Status::Deleted);
    storage.change_account(checkin.user, None, change).await.unwrap();
    let imported = "{ncc:checkins}:imported";
    let marks: Vec<String> = (1..=5000).map(|mark| format!("{mark} 1 2")).collect();
    let marks = marks.iter().map(String::as_str);
    let words: Vec<&str> = ["SADD", imported].into_iter().chain(marks).collect();
    storage.redis.call(&words).await.unwrap();
    let (mut from, mut has_restarted) = (None, false);
    loop {
        // It fails where it finds out that the connection is lost.
        let Ok(next) = storage.retract_all(checkin.user, from.clone(), 1000).await else {
            continue;
        };
        from = next;
        let Some(place) = from.as_deref() else { break };
        let is_inside = place.strip_prefix("imported ").is_some_and(|cursor| !cursor.is_empty());
        if is_inside && !has_restarted {
            server.restart();
            has_restarted = true;
        }
    }
    assert!(has_restarted);
    assert_eq!(ask(&storage, &format!("SCARD {imported}")).await, ["0"]);
}

#[tokio::test]
async fn a_checkin_that_leaves_the_log_during_an_erasure_is_found_in_the_history() {
    let server = RedisServer::start();
    let (storage, checkin) = with_checkin(&server).await;
    storage.load_users(&[user(2, "bo@example.com")]).await.unwrap();
    let phase = |from: &Option<String>| {
        from.as_deref().and_then(|from| from.split(' ').next()).map(str::to_owned)
    };
    let mut from = storage.retract_all(checkin.user, None, 9).await.unwrap();
    let first = phase(&from);
    while phase(&from) == first {
        from = storage.retract_all(checkin.user, from, 9).await.unwrap();
    }
    // A processor that knew nothing of the deletion applies another one, and then the log is trimmed.
    storage.append(new_checkin(1, 2, 4), None, Admission::ALL).await.unwrap();
    apply_all(&storage, 9).await;
    storage.append(new_checkin(2, 2, 3), None, Admission::ALL).await.unwrap();
    apply_all(&storage, 9).await;
    ask(&storage, "XTRIM ncc:checkins MAXLEN 1").await;
    while from.is_some() {
        from = storage.retract_all(checkin.user, from, 9).await.unwrap();
    }
    let of_location = "ZRANGE {ncc:location:2}:checkins 0 -1";
    assert_eq!(ask(&storage, of_location).await.len(), 1, "that of the other user");
    // The location was loaded with two check-ins.
    assert_eq!(ask(&storage, "HGET ncc:location:2 numCheckins").await, ["3"]);
}

#[tokio::test]
async fn a_master_without_its_replicas_does_not_say_that_there_is_no_check_in() {
    let server = RedisServer::start();
    let (storage, checkin) = with_checkin(&server).await;
    let unknown = checkin_domain::CheckinId { ms: checkin.id.ms + 1, ..checkin.id };
    let alone = storage.wait_for_replicas(1, Duration::from_millis(50)).unwrap();
    let refused = alone.retract(checkin.user, unknown).await.unwrap_err();
    assert!(refused.is_logged(), "{refused:?}");
}
