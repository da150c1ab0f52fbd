//! What stays in the histories in Redis, although it is old.

use std::time::Duration;

use checkin_storage::conformance::{apply_all, checkin, fold_all, location, user};
use checkin_storage::{Audit, BulkLoad, DeadLetters, Loaded, Replay, Users};
use testkit::RedisServer;

use super::tests::{ask, storage};

const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn what_is_in_the_log_or_a_dead_letter_stays_in_the_histories() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(1, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    for (id, place) in [(500, 1), (600, 2), (700, 1), (800, 1)] {
        let entry = format!("XADD ncc:checkins {id}-0 userId 1 locationId {place} starRating 4");
        ask(&storage, &entry).await;
    }
    let count = async || {
        assert_eq!(storage.audit().await.unwrap().differences, []);
        let user = storage.user(1.try_into().unwrap()).await.unwrap().unwrap();
        (user.num_checkins, ask(&storage, "ZRANGE {ncc:user:1}:checkins 0 -1").await.len())
    };
    let all = async || fold_all(&storage, KEEP, None).await;
    assert_eq!(apply_all(&storage, 9).await.dead, 1);
    let (figure, _) = count().await;
    assert_eq!((all().await, count().await), (0, (figure, 3)), "all are in the log");
    ask(&storage, "XTRIM ncc:checkins MAXLEN 1").await;

    // The replay ends after it has applied the check-in.
    storage.load_locations(&[location(2)]).await.unwrap();
    let letter = storage.dead_letters(None, 1).await.unwrap()[0].id;
    ask(&storage, "COPY {ncc:checkins}:dead {ncc:checkins}:copy").await;
    assert_eq!(storage.replay(letter).await.unwrap(), Replay::Applied);
    ask(&storage, "RENAME {ncc:checkins}:copy {ncc:checkins}:dead").await;
    assert_eq!((all().await, count().await), (2, (figure + 1, 2)));
    assert_eq!(storage.replay(letter).await.unwrap(), Replay::Applied);
    assert_eq!((all().await, count().await), (1, (figure + 1, 1)));

    // The log is applied again.
    ask(&storage, "HDEL {ncc:checkins}:checkpoint id").await;
    assert_eq!((all().await, apply_all(&storage, 9).await.new), (0, 0));
    ask(&storage, "XTRIM ncc:checkins MAXLEN 0").await;
    assert_eq!((all().await, count().await), (0, (figure + 1, 1)), "the newest one stays");
    let again = storage.load_checkins(&[checkin("700-0", 1, 1), checkin("800-0", 1, 1)]).await;
    assert_eq!(again.unwrap(), [Loaded::TooOld, Loaded::Unchanged]);
    assert_eq!(count().await, (figure + 1, 1));
}
