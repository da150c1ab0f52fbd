//! What an append leaves behind when Redis refuses one of its commands: Redis keeps what a script wrote
//! before it failed.

use std::pin::pin;
use std::time::Duration;

use checkin_storage::conformance::new_checkin;
use checkin_storage::{Accepted, Admission, Log, Result};
use futures_util::future::join_all;
use redis_link::Obstacle;
use testkit::{Proxy, RedisServer};

use super::RedisStorage;
use super::tests::{ask, patient, storage};

/// A command that the script does not need, and those that it needs.
const COMMANDS: [&str; 13] = [
    "hdel", "exists", "hget", "get", "pttl", "pexpire", "hset", "psetex", "zadd", "zrem",
    "hincrby", "xtrim", "xadd",
];

/// The ids of the entries that are in the log at first, which are ahead of the time.
const FIRST_MS: std::ops::Range<u64> = 2_893_456_000_000..2_893_456_000_006;

/// Sends this number of check-ins at the same moment. Five have room when applied entries are trimmed.
async fn append(storage: &RedisStorage, count: u64) -> Vec<Result<Accepted>> {
    let admission =
        Admission { duplicate_window: Duration::from_secs(60), max_length: 6, ..Admission::ALL };
    let appends = (1..=count).map(|number| {
        let key = number.to_string();
        async move { storage.append(new_checkin(1, number, 1), Some(&key), admission).await }
    });
    join_all(appends).await
}

#[tokio::test]
async fn a_retry_after_a_refused_command_is_stored_once() {
    let server = RedisServer::start();
    let now = crate::clock::Clock::default().now_ms();
    let cases = COMMANDS.into_iter().flat_map(|command| {
        [0, now].into_iter().flat_map(move |since| [0, 2].map(|known| (command, since, known)))
    });
    for (command, since, known) in cases {
        let case = format!("without {command}, hashes since {since}, {known} stored before");
        let storage = storage(&server);
        ask(&storage, "FLUSHALL").await;
        for ms in FIRST_MS {
            let entry = format!("XADD ncc:checkins {ms}-0 userId 1 locationId 1 starRating 1");
            ask(&storage, &entry).await;
        }
        let checkpoint = format!("HSET {{ncc:checkins}}:checkpoint counted 6 keys-since {since}");
        ask(&storage, &checkpoint).await;
        assert!(append(&storage, known).await.iter().all(Result::is_ok), "{case}");
        ask(&storage, &format!("ACL SETUSER default -{command}")).await;
        let refused = append(&storage, 5).await;
        for error in refused.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(Obstacle::of(error), Some(Obstacle::NoPermission), "{case}: {error:?}");
        }
        // The script reads a marker only if some exist, and trims only once before it is refused.
        if !["get", "zrem"].contains(&command) {
            let is_refused = refused.iter().any(Result::is_err);
            assert_eq!(is_refused, command != "hdel", "{case}: {refused:?}");
        }
        ask(&storage, &format!("ACL SETUSER default +{command}")).await;
        check(&storage, &refused, &case).await;
    }
}

/// Sends the same check-ins again.
async fn check(storage: &RedisStorage, refused: &[Result<Accepted>], case: &str) {
    let mut stored = Vec::new();
    for (first, again) in refused.iter().zip(append(storage, 5).await) {
        let (Accepted::Stored(id) | Accepted::Replayed(id)) = again.unwrap() else {
            panic!("{case}: {refused:?}")
        };
        if let Ok(Accepted::Stored(first)) = first {
            assert_eq!(*first, id, "{case}");
        }
        stored.push(id);
    }
    for (again, id) in append(storage, 5).await.into_iter().zip(&stored) {
        assert_eq!(again.unwrap(), Accepted::Replayed(*id), "{case}");
    }
    let entries = storage.latest_checkins(checkin_domain::CheckinId::MAX, 9).await.unwrap();
    let ours: Vec<_> = entries.iter().rev().map(|entry| entry.id).skip(1).collect();
    assert_eq!(ours, stored, "{case}");
    assert_eq!(ask(storage, "HGET {ncc:checkins}:checkpoint trimmed").await, ["5"], "{case}");
    let times: Vec<_> = ask(storage, "ZRANGE {ncc:checkins}:times 0 -1").await;
    let times: Vec<_> = times.iter().filter_map(|member| super::time_index::id(member)).collect();
    assert_eq!(times, stored, "{case}");
    for key in ask(storage, "KEYS {ncc:checkins}:key*").await {
        let life: i64 = ask(storage, &format!("PTTL {key}")).await[0].parse().unwrap();
        assert!(life > 1000, "{case}: {key} {life}");
    }
}

/// Returns a check-in at this location that is being appended.
fn append_at(
    storage: &RedisStorage,
    location: u64,
) -> impl Future<Output = Result<Accepted>> + use<'_> {
    storage.append(new_checkin(1, location, 1), None, Admission::ALL)
}

#[tokio::test]
async fn a_check_in_that_nobody_waits_for_any_more_is_not_sent() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let storage = RedisStorage::new(patient(&url), "ncc", 1);
    append_at(&storage, 1).await.unwrap();
    proxy.freeze();
    let (mut sent, waits) = (pin!(append_at(&storage, 2)), append_at(&storage, 3));
    // The second one waits for the answer to the first.
    let moment = Duration::from_millis(100);
    assert!(tokio::time::timeout(moment, &mut sent).await.is_err());
    assert!(tokio::time::timeout(moment, waits).await.is_err());
    proxy.thaw();
    sent.await.unwrap();
    append_at(&storage, 4).await.unwrap();
    let entries = ask(&storage, "XRANGE ncc:checkins - +").await.join(" ");
    let at = |location| entries.contains(&format!("locationId {location} "));
    assert_eq!([1, 2, 3, 4].map(at), [true, true, false, true], "{entries}");
}
