//! Each store passes the same suite.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use testkit::RedisServer;
use tower_express_session::MemoryStore;
use tower_express_session::store::conformance::{self, Subject};
use tower_express_session::store::redis::{Client, RedisStore};
use tower_express_session::store::sqlite::{Database, SqliteStore};

#[tokio::test]
async fn memory() {
    let now = Arc::new(Mutex::new(Instant::now()));
    let clock = Arc::clone(&now);
    let store = MemoryStore::with_clock(move || *clock.lock().unwrap());
    let pass_time = |_: &str, time: Duration| *now.lock().unwrap() += time;
    conformance::run(&Subject { store: &store, pass_time: &pass_time }).await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(Mutex::new(SystemTime::now()));
    let clock = Arc::clone(&now);
    let database = Database::open(&dir.path().join("sessions.db")).unwrap();
    let store = SqliteStore::open(database).await.unwrap();
    let store = store.prefix("sess:").clock(move || *clock.lock().unwrap());
    let pass_time = |_: &str, time: Duration| *now.lock().unwrap() += time;
    conformance::run(&Subject { store: &store, pass_time: &pass_time }).await;
}

#[tokio::test]
async fn redis() {
    let server = RedisServer::start();
    let store = RedisStore::new(Client::open(&server.url()).unwrap()).prefix("app:sess:");
    let connection = Mutex::new(server.connection());
    let pass_time = |id: &str, time: Duration| {
        let key = format!("app:sess:{id}");
        let mut connection = connection.lock().unwrap();
        let left: i64 = ::redis::cmd("PTTL").arg(&key).query(&mut *connection).unwrap();
        let left = left - i64::try_from(time.as_millis()).unwrap();
        ::redis::cmd("PEXPIRE").arg(&key).arg(left).exec(&mut *connection).unwrap();
    };
    conformance::run(&Subject { store: &store, pass_time: &pass_time }).await;
}
