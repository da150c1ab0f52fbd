//! Cached reads are never outdated by more than the lease, whatever fails.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Client as Browser, Express, Proxy, RedisServer, Sentinel, until, wait_until};
use tower_express_session::accounts::Revoked;
use tower_express_session::store::conformance::{self, StoreUnderTest};
use tower_express_session::store::redis::{CacheOptions, RedisStore};
use tower_express_session::store::{Created, Freshness};
use tower_express_session::{AccountSessions, SessionId, Store};

use crate::backend::patient;
use crate::staleness::{History, Reader, STALL};

const PREFIX: &str = "ncc:session:";
const SECRET: &str = "keyboard cat";
const READERS: usize = 3;
const LEASE: Duration = Duration::from_millis(250);

fn options() -> CacheOptions {
    CacheOptions::default()
}

/// Writes versions of one session directly to Redis, as connect-redis does.
struct Writer {
    connection: redis::Connection,
    key: String,
    history: History,
    /// The number of replicas that must have a version before it counts as written.
    replicas: u32,
}

impl Writer {
    fn new(server: &RedisServer, id: &SessionId) -> Writer {
        let key = format!("{PREFIX}{}", id.as_str());
        let history = History::new();
        let mut writer = Writer { connection: server.connection(), key, history, replicas: 0 };
        writer.set(0).unwrap();
        writer
    }

    fn set(&mut self, version: usize) -> redis::RedisResult<()> {
        let value = format!(r#"{{"cookie":{{}},"v":{version}}}"#);
        redis::cmd("SET")
            .arg(&self.key)
            .arg(value)
            .arg("EX")
            .arg(86_400)
            .exec(&mut self.connection)?;
        if self.replicas > 0 {
            let wait =
                redis::cmd("WAIT").arg(self.replicas).arg(10_000).query(&mut self.connection);
            assert_eq!(wait, Ok(self.replicas), "the replica has the version");
        }
        Ok(())
    }

    fn write(&mut self) {
        self.set(self.history.next()).unwrap();
        self.history.written();
    }

    /// Writes a version every few milliseconds for this time, so that readers are often outdated.
    fn write_for(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.write();
            thread::sleep(Duration::from_millis(7));
        }
    }
}

fn readers(urls: &[String], id: &SessionId) -> Vec<Reader> {
    let readers: Vec<_> =
        urls.iter().map(|url| Reader::start(url, PREFIX, id, options())).collect();
    wait_for_reads(&readers, 10);
    readers
}

/// Waits until each reader has read the session `times` more times.
fn wait_for_reads(readers: &[Reader], times: usize) {
    for reader in readers {
        let before = reader.count();
        wait_until("the readers have read", || reader.count() >= before + times);
    }
}

#[expect(clippy::print_stdout, reason = "the test reports how outdated the cached reads were")]
fn check(readers: Vec<Reader>, history: &History) {
    for reader in readers {
        let staleness = reader.staleness(history);
        println!("{staleness}");
        staleness.is_below(LEASE);
    }
}

/// Returns how often a session was read from Redis.
fn reads(connection: &mut redis::Connection) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query(connection).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_store_passes_the_suite() {
    let server = RedisServer::start();
    let connection = Mutex::new(server.connection());
    let options = CacheOptions::with_lease(Duration::from_millis(60));
    let client = patient(&server.url());
    let store = RedisStore::new(client).prefix(PREFIX).cached(options);
    let pass_time = |id: &str, time: Duration| {
        let key = format!("{PREFIX}{id}");
        let mut connection = connection.lock().unwrap();
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut *connection).unwrap();
        let left = left - i64::try_from(time.as_millis()).unwrap();
        redis::cmd("PEXPIRE").arg(&key).arg(left).exec(&mut *connection).unwrap();
        // Another client changed the session, so the cache may be outdated for one lease. What it
        // answers until then depends on chance, so there is no event to wait for.
        thread::sleep(options.lease);
    };
    conformance::run(&StoreUnderTest { store: &store, pass_time: &pass_time }).await;
}

#[test]
fn sessions_are_read_from_the_cache_and_a_write_of_express_is_seen_within_the_lease() {
    let server = RedisServer::start();
    let env = [("STORE", server.url()), ("SECRET", SECRET.to_owned())];
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let express = Express::start("service.js", &env);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut browser = Browser::new(express.url());
    let login = json!({ "email": "al.appelhof@example.com", "password": "secret123" });
    let login = runtime.block_on(browser.post("/login", &login));
    assert_eq!(login.status, 200);
    let set = |browser: &mut Browser, version: usize| {
        let written = runtime.block_on(browser.post("/session/v", &json!(version)));
        assert_eq!(written.status, 200);
    };
    let cookie = login.headers["set-cookie"].to_str().unwrap();
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    let id = testkit::signature::decode(value).unwrap();
    let id = SessionId::from(testkit::signature::unsign(&id, SECRET).unwrap());
    set(&mut browser, 0);
    let mut history = History::new();
    let readers = readers(&[(); READERS].map(|()| server.url()), &id);
    for _ in 0..200 {
        let version = history.next();
        set(&mut browser, version);
        history.written();
        // Some answers from memory between two writes.
        wait_for_reads(&readers, 10);
    }
    let answers: usize = readers.iter().map(Reader::count).sum();
    let asked = reads(&mut server.connection());
    println!("{answers} reads, {asked} of them from Redis");
    assert!(asked < answers as u64 / 2, "most reads are answered by the cache");
    check(readers, &history);
}

#[test]
fn after_a_lost_connection_no_read_is_older_than_the_lease() {
    let server = RedisServer::start();
    let id = SessionId::generate().unwrap();
    let mut writer = Writer::new(&server, &id);
    let readers = readers(&[(); READERS].map(|()| server.url()), &id);
    let mut other = server.connection();
    for _ in 0..20 {
        writer.write_for(Duration::from_millis(100));
        let killed: u32 =
            redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").query(&mut other).unwrap();
        assert!(killed > 0);
        writer.connection = server.connection();
    }
    check(readers, &writer.history);
}

#[test]
fn while_redis_is_suspended_no_read_is_older_than_the_lease() {
    let server = RedisServer::start();
    let id = SessionId::generate().unwrap();
    let mut writer = Writer::new(&server, &id);
    let readers = readers(&[(); READERS].map(|()| server.url()), &id);
    for _ in 0..3 {
        writer.write_for(Duration::from_millis(300));
        server.pause();
        // Longer than the lease.
        thread::sleep(Duration::from_millis(600));
        server.resume();
    }
    writer.write_for(Duration::from_millis(300));
    check(readers, &writer.history);
}

#[test]
fn after_a_process_was_suspended_no_read_is_older_than_the_lease() {
    let server = RedisServer::start();
    let id = SessionId::generate().unwrap();
    let mut writer = Writer::new(&server, &id);
    let readers = readers(&[(); READERS].map(|()| server.url()), &id);
    for _ in 0..3 {
        readers.iter().for_each(Reader::stall);
        writer.write_for(STALL + Duration::from_millis(300));
    }
    check(readers, &writer.history);
}

#[test]
fn a_process_that_is_cut_off_uses_its_cache_no_longer_than_the_lease() {
    let server = RedisServer::start();
    let id = SessionId::generate().unwrap();
    let mut writer = Writer::new(&server, &id);
    let proxies: Vec<_> = (0..READERS).map(|_| Proxy::start(server.port())).collect();
    let urls: Vec<_> =
        proxies.iter().map(|proxy| format!("redis://127.0.0.1:{}", proxy.port())).collect();
    let readers = readers(&urls, &id);
    for _ in 0..3 {
        writer.write_for(Duration::from_millis(300));
        proxies.iter().for_each(Proxy::freeze);
        writer.write_for(Duration::from_millis(600));
        proxies.iter().for_each(Proxy::thaw);
        proxies.iter().for_each(Proxy::cut);
    }
    writer.write_for(Duration::from_millis(500));
    check(readers, &writer.history);
}

#[test]
fn after_a_fail_over_no_read_is_older_than_the_lease() {
    let mut sentinel = Sentinel::start();
    let id = SessionId::generate().unwrap();
    let mut writer = Writer::new(sentinel.master(), &id);
    let readers = readers(&[(); READERS].map(|()| sentinel.url()), &id);
    // Writes that only the lost master had are lost. That has nothing to do with the cache.
    writer.replicas = 1;
    writer.write_for(Duration::from_millis(500));
    sentinel.master().kill();
    sentinel.wait_for_failover();
    (writer.connection, writer.replicas) = (sentinel.replica().connection(), 0);
    let before: Vec<_> = readers.iter().map(Reader::count).collect();
    // A busy machine may need some time for the fail-over.
    let given_up = Instant::now() + Duration::from_secs(30);
    let goes_on = |(reader, before): (&Reader, &_)| reader.count() > before + 100;
    while !readers.iter().zip(&before).all(goes_on) {
        assert!(Instant::now() < given_up, "the new master is read");
        writer.write_for(Duration::from_secs(1));
    }
    check(readers, &writer.history);
}

/// Two applications in one process start from the same store and set different prefixes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_with_different_prefixes_share_no_cache() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let store = RedisStore::new(patient(&server.url())).cached(options());
    let (ours, theirs) = (store.clone().prefix("ours:"), store.prefix("theirs:"));
    let id = SessionId::generate().unwrap();
    ours.create(&id, "{}".into(), Duration::from_secs(60), None).await.unwrap();
    until("ours is cached", async || {
        let before = reads(&mut connection);
        assert!(ours.load(&id, Freshness::Cached).await.unwrap().is_some());
        reads(&mut connection) == before
    })
    .await;
    assert_eq!(theirs.load(&id, Freshness::Cached).await.unwrap(), None);
}

#[test]
fn after_destroy_waits_no_process_accepts_the_session() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (wait, bound) in [(Duration::ZERO, LEASE), (LEASE, Duration::ZERO)] {
        let client = patient(&server.url());
        let store = RedisStore::new(client).prefix(PREFIX).cached(options()).destroy_waits(wait);
        let mut latest = Duration::ZERO;
        for _ in 0..8 {
            let id = SessionId::generate().unwrap();
            Writer::new(&server, &id);
            let readers = readers(&[(); READERS].map(|()| server.url()), &id);
            runtime.block_on(store.destroy(&id, Duration::from_secs(60))).unwrap();
            let ended = Instant::now();
            let here = runtime.block_on(store.load(&id, Freshness::Cached)).unwrap();
            assert_eq!(here, None, "the process that ended it does not accept it");
            wait_for_reads(&readers, 20);
            for reader in readers {
                let accepted = reader.accepted_after(ended);
                assert!(accepted.iter().all(|(late, _)| *late < bound), "{accepted:?}");
                let late = accepted.into_iter().map(|(late, _)| late).max();
                latest = latest.max(late.unwrap_or_default());
            }
        }
        println!("last accepted {latest:?} after the logout; the limit is {bound:?}");
    }
}

/// The end of ten thousand sessions must not take as many leases.
#[tokio::test]
async fn sessions_that_end_together_wait_once_and_leave_tombstones() {
    // Longer than the end of all of them takes on a busy machine.
    let wait = Duration::from_secs(4);
    let server = RedisServer::start();
    let store = RedisStore::new(patient(&server.url())).prefix(PREFIX).destroy_waits(wait);
    let ids: Vec<_> = (0..1100).map(|_| SessionId::generate().unwrap()).collect();
    let value = r#"{"cookie":{},"user":"al"}"#;
    for id in &ids {
        store.create(id, value.into(), Duration::from_secs(60), None).await.unwrap();
    }
    let begin = Instant::now();
    let sessions = AccountSessions::new(store.clone().into(), "user");
    let mut revoked = Revoked::default();
    sessions.revoke_everybody(&mut revoked).await.unwrap();
    assert_eq!(revoked.number(), 1100);
    assert!((wait..2 * wait).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    for id in ids.iter().step_by(100) {
        let again = store.create(id, value.into(), Duration::from_secs(60), None).await;
        assert_eq!(again.unwrap(), Created::Exists, "a tombstone prevents it");
    }
}
