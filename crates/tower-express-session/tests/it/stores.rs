//! Each store passes the conformance suite.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::backend::{inner_id, keys, patient};
use bytes::Bytes;
use sqlite_writer::{Database, rusqlite};
use testkit::{RedisCluster, RedisServer};
use tower_express_session::store::AccountStore;
use tower_express_session::store::conformance::{self, StoreUnderTest};
use tower_express_session::store::encrypted::EncryptedStore;
use tower_express_session::store::redis::RedisStore;
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::store::{Created, Freshness, Updated};
use tower_express_session::{ErrorKind, MemoryStore, SessionId, Store};

const ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(320);

#[tokio::test]
async fn the_memory_store_passes_the_suite() {
    let now = Arc::new(Mutex::new(Instant::now()));
    let clock = Arc::clone(&now);
    let store = MemoryStore::with_clock(move || *clock.lock().unwrap());
    let pass_time = |_: &str, time: Duration| *now.lock().unwrap() += time;
    conformance::run(&StoreUnderTest { store: &store, pass_time: &pass_time }).await;
    let store = store.absolute_timeout(ABSOLUTE_TIMEOUT);
    let subject = StoreUnderTest { store: &store, pass_time: &pass_time };
    conformance::run_with_absolute_timeout(&subject, ABSOLUTE_TIMEOUT).await;
    let encrypted = EncryptedStore::new(store, keys());
    let subject = StoreUnderTest { store: &encrypted, pass_time: &pass_time };
    conformance::run_with_absolute_timeout(&subject, ABSOLUTE_TIMEOUT).await;
}

#[tokio::test]
async fn the_sqlite_store_passes_the_suite() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(Mutex::new(SystemTime::now()));
    let clock = Arc::clone(&now);
    let database = Database::open(dir.path().join("sessions.db")).unwrap();
    let store = SqliteStore::new(database).await.unwrap();
    let store = store.prefix("sess:").clock(move || *clock.lock().unwrap());
    let pass_time = |_: &str, time: Duration| *now.lock().unwrap() += time;
    conformance::run(&StoreUnderTest { store: &store, pass_time: &pass_time }).await;
    let store = store.absolute_timeout(ABSOLUTE_TIMEOUT);
    let subject = StoreUnderTest { store: &store, pass_time: &pass_time };
    conformance::run_with_absolute_timeout(&subject, ABSOLUTE_TIMEOUT).await;
    let encrypted = EncryptedStore::new(store, keys());
    let subject = StoreUnderTest { store: &encrypted, pass_time: &pass_time };
    conformance::run_with_absolute_timeout(&subject, ABSOLUTE_TIMEOUT).await;
}

#[tokio::test]
async fn an_sqlite_file_without_creation_times_is_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let old = "CREATE TABLE sessions (
                   id TEXT PRIMARY KEY, value BLOB NOT NULL, expires_ms INTEGER NOT NULL
               ) STRICT, WITHOUT ROWID;
               INSERT INTO sessions VALUES ('id', x'78', 9000000000000);";
    rusqlite::Connection::open(&path).unwrap().execute_batch(old).unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(&path).await.unwrap();
        let store = store.absolute_timeout(ABSOLUTE_TIMEOUT);
        let stored = store.load(&SessionId::from("id"), Freshness::Latest).await.unwrap().unwrap();
        assert_eq!(stored.value, "x");
        assert!(stored.time_left <= ABSOLUTE_TIMEOUT);
    }
}

const PREFIX: &str = "app:sess:";

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_redis_store_passes_the_suite() {
    let server = RedisServer::start();
    redis_store_passes_the_suite(&server, &server.url()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_redis_store_on_a_cluster_passes_the_suite() {
    let cluster = RedisCluster::start(1);
    redis_store_passes_the_suite(&cluster.servers()[0], &cluster.url()).await;
}

async fn redis_store_passes_the_suite(server: &RedisServer, url: &str) {
    let connection = Mutex::new(server.connection());
    let pass_time = |id: &str, time: Duration| {
        let key = format!("{PREFIX}{id}");
        let ms = i64::try_from(time.as_millis()).unwrap();
        let mut connection = connection.lock().unwrap();
        let left: i64 = ::redis::cmd("PTTL").arg(&key).query(&mut *connection).unwrap();
        ::redis::cmd("PEXPIRE").arg(&key).arg(left - ms).exec(&mut *connection).unwrap();
        let created = format!("{{{key}}}:created");
        if ::redis::cmd("EXISTS").arg(&created).query(&mut *connection).unwrap() {
            ::redis::cmd("DECRBY").arg(&created).arg(ms).exec(&mut *connection).unwrap();
        }
    };
    let store = RedisStore::new(patient(url)).prefix(PREFIX);
    conformance::run(&StoreUnderTest { store: &store, pass_time: &pass_time }).await;
    let plain = store.clone().tombstones(false);
    conformance::run_without_epochs(&StoreUnderTest { store: &plain, pass_time: &pass_time }).await;
    let limited = store.absolute_timeout(ABSOLUTE_TIMEOUT);
    let subject = StoreUnderTest { store: &limited, pass_time: &pass_time };
    conformance::run_with_absolute_timeout(&subject, ABSOLUTE_TIMEOUT).await;
    let encrypted = EncryptedStore::new(limited, keys());
    let pass_time = |id: &str, time| pass_time(inner_id(id).as_str(), time);
    let subject = StoreUnderTest { store: &encrypted, pass_time: &pass_time };
    conformance::run_with_absolute_timeout(&subject, ABSOLUTE_TIMEOUT).await;
}

/// Returns the value of a key; `None` if it does not exist.
fn value(connection: &mut ::redis::Connection, key: &str) -> Option<String> {
    ::redis::cmd("GET").arg(key).query(connection).unwrap()
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_value_that_express_writes_back_after_the_end_is_not_a_session() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let client = patient(&server.url());
    let store = RedisStore::new(client).prefix(PREFIX);
    for store in [store.clone(), store.absolute_timeout(ABSOLUTE_TIMEOUT)] {
        let id = SessionId::generate().unwrap();
        let ttl = Duration::from_secs(100);
        store.create(&id, Bytes::from("value"), ttl, None).await.unwrap();
        store.destroy(&id, ttl).await.unwrap();
        let key = format!("{PREFIX}{}", id.as_str());
        let write_back = |connection: &mut ::redis::Connection| {
            ::redis::cmd("SET").arg(&key).arg("value").exec(connection).unwrap();
        };
        write_back(&mut connection);
        assert_eq!(store.load(&id, Freshness::Cached).await.unwrap(), None);
        assert_eq!(value(&mut connection, &key), None, "the value is deleted again");
        write_back(&mut connection);
        let base = Bytes::from("value");
        let updated = store.update(&id, &base, base.clone(), ttl).await.unwrap();
        assert_eq!(updated, Updated::Gone);
        assert_eq!(value(&mut connection, &key), None);
        write_back(&mut connection);
        assert!(
            !store.touch(&id, ttl).await.unwrap(),
            "a value under a tombstone cannot be touched"
        );
        assert_eq!(value(&mut connection, &key), None);
        let again = store.create(&id, base.clone(), ttl, None).await.unwrap();
        assert_eq!(again, Created::Exists, "the id cannot be used again");
        assert_eq!(value(&mut connection, &key), None);
        let bar = format!("{{{key}}}:revoked");
        let left: u64 = ::redis::cmd("TTL").arg(&bar).query(&mut connection).unwrap();
        assert!((90..=100).contains(&left), "the tombstone expires: {left}");
    }
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_tombstone_is_never_shortened() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let store = RedisStore::new(patient(&server.url())).prefix(PREFIX);
    let id = SessionId::generate().unwrap();
    let tombstone = format!("{{{PREFIX}{}}}:revoked", id.as_str());
    let mut left = || ::redis::cmd("TTL").arg(&tombstone).query::<i64>(&mut connection).unwrap();
    for (seconds, least) in [(1, 0), (100, 95), (10, 95), (0, 95), (1000, 995)] {
        store.destroy(&id, Duration::from_secs(seconds)).await.unwrap();
        assert!(left() >= least, "{seconds}: {}", left());
    }
    ::redis::cmd("PERSIST").arg(&tombstone).exec(&mut server.connection()).unwrap();
    store.destroy(&id, Duration::from_secs(10)).await.unwrap();
    assert_eq!(left(), -1);
}

/// A replica that has not received its primary's sessions yet has none, which is no logout.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_replica_does_not_say_that_there_is_no_session() {
    let primary = RedisServer::start();
    let port = primary.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    primary.wait_for_replicas(1);
    let store = |server: &RedisServer| {
        let store = RedisStore::new(patient(&server.url())).prefix(PREFIX);
        store.absolute_timeout(ABSOLUTE_TIMEOUT)
    };
    let id = SessionId::generate().unwrap();
    assert_eq!(store(&primary).load(&id, Freshness::Latest).await.unwrap(), None);
    let unknown = store(&replica).load(&id, Freshness::Latest).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unavailable, "{unknown}");
    let ttl = Duration::from_secs(100);
    store(&primary).create(&id, Bytes::from("value"), ttl, None).await.unwrap();
    testkit::wait_until("the replica has it", || {
        value(&mut replica.connection(), &format!("{PREFIX}{}", id.as_str())).is_some()
    });
    assert!(store(&replica).load(&id, Freshness::Latest).await.unwrap().is_some());
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_absolute_timeout_of_an_express_session_starts_when_it_is_first_read() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let client = patient(&server.url());
    let store = RedisStore::new(client).prefix(PREFIX).absolute_timeout(ABSOLUTE_TIMEOUT);
    let key = format!("{PREFIX}express");
    ::redis::cmd("SET").arg(&key).arg("v").arg("EX").arg(86_400).exec(&mut connection).unwrap();
    let id = SessionId::from("express");
    let load = || store.load(&id, Freshness::Latest);
    assert!(load().await.unwrap().unwrap().time_left <= ABSOLUTE_TIMEOUT);
    let created = format!("{{{key}}}:created");
    ::redis::cmd("DECRBY").arg(&created).arg(400_000).exec(&mut connection).unwrap();
    assert!(
        !store.touch(&id, Duration::from_secs(60)).await.unwrap(),
        "beyond the absolute timeout"
    );
    assert_eq!(load().await.unwrap(), None, "beyond the absolute timeout");
    assert_eq!(value(&mut connection, &key), None, "the session has ended for all services");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_scan_visits_the_sessions_of_all_cluster_nodes() {
    a_scan_visits_all_sessions(&RedisCluster::start(3)).await;
    // A node that has not met another one does not know its own address.
    a_scan_visits_all_sessions(&RedisCluster::start(1)).await;
}

async fn a_scan_visits_all_sessions(cluster: &RedisCluster) {
    let store = RedisStore::new(patient(&cluster.url())).prefix(PREFIX);
    let mut made = BTreeSet::new();
    for _ in 0..60 {
        let id = SessionId::generate().unwrap();
        store.create(&id, Bytes::from("value"), Duration::from_secs(100), None).await.unwrap();
        assert!(store.load(&id, Freshness::Latest).await.unwrap().is_some());
        made.insert(id.as_str().to_owned());
    }
    for server in cluster.servers() {
        let keys: usize = ::redis::cmd("DBSIZE").query(&mut server.connection()).unwrap();
        assert!(keys > 5, "each node has some sessions: {keys}");
    }
    let mut seen = BTreeSet::new();
    let mut visit = |id: SessionId, _| seen.extend([id.as_str().to_owned()]);
    store.each(&mut visit).await.unwrap();
    assert_eq!(seen, made);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn sessions_can_be_ended_while_redis_is_out_of_memory() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let mut connection = server.connection();
    let store = RedisStore::new(patient(&server.url())).prefix(PREFIX);
    let (id, ttl) = (SessionId::generate().unwrap(), Duration::from_secs(100));
    store.create(&id, Bytes::from("value"), ttl, None).await.unwrap();
    ::redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1).exec(&mut connection).unwrap();
    let other = SessionId::generate().unwrap();
    let refused = store.create(&other, Bytes::from("value"), ttl, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    store.destroy(&id, ttl).await.unwrap();
    assert_eq!(store.load(&id, Freshness::Latest).await.unwrap(), None);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn sessions_of_express_can_be_read_while_redis_is_out_of_memory() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let mut connection = server.connection();
    let store = RedisStore::new(patient(&server.url())).prefix(PREFIX);
    let store = store.absolute_timeout(ABSOLUTE_TIMEOUT);
    let key = format!("{PREFIX}express");
    ::redis::cmd("SET").arg(&key).arg("v").arg("EX").arg(86_400).exec(&mut connection).unwrap();
    let mut set_memory = |bytes: u32| {
        ::redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .exec(&mut connection)
            .unwrap();
    };
    let id = SessionId::from("express");
    for bytes in [1, 0] {
        set_memory(bytes);
        let loaded = store.load(&id, Freshness::Latest).await.unwrap();
        assert_eq!(loaded.unwrap().value, "v", "{bytes}");
    }
    let created = format!("{{{key}}}:created");
    assert!(value(&mut connection, &created).is_some(), "the absolute timeout has begun");
}
