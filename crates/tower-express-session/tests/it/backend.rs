//! The three stores, and one with encryption, each with a clock that a test can advance.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use redis_link::{Client, Timeouts};
use sqlite_writer::Database;
use testkit::RedisServer;
use tower_express_session::store::AccountStore;
use tower_express_session::store::encrypted::{EncryptedStore, EncryptionKeys};
use tower_express_session::store::redis::RedisStore;
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::{MemoryStore, SessionId};

pub(crate) const PREFIX: &str = "app:sess:";
const NEIGHBOURS_PREFIX: &str = "other:sess:";

/// Long time-outs: the tests check results, not the speed of a busy machine.
const PATIENT: Timeouts =
    Timeouts { connect: Duration::from_secs(10), response: Duration::from_secs(10) };

/// Returns a client with long time-outs.
pub(crate) fn patient(url: &str) -> Client {
    Client::with_timeouts(url, PATIENT).unwrap()
}

/// A store with its server or directory.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) store: Arc<dyn AccountStore>,
    /// Another application's store in the same database.
    pub(crate) neighbour: Option<Arc<dyn AccountStore>>,
    pass_time: Box<PassTime>,
    _home: Box<dyn Any + Send + Sync>,
}

type PassTime = dyn Fn(&str, Duration) + Send + Sync;

impl Backend {
    /// Lets time pass, at least for the session with this id or the account with this name.
    pub(crate) fn pass_time(&self, name: &str, time: Duration) {
        (self.pass_time)(name, time);
    }
}

/// Returns all stores; Redis only if tests may start other programs.
pub(crate) async fn all() -> Vec<Backend> {
    vec![
        memory(),
        sqlite().await,
        encrypted("encrypted", memory()),
        #[cfg(feature = "external-tests")]
        redis(RedisServer::start()),
    ]
}

/// Returns the store with encryption around it.
pub(crate) fn encrypted(name: &'static str, backend: Backend) -> Backend {
    let around = |store| Arc::new(EncryptedStore::new(store, keys())) as Arc<dyn AccountStore>;
    let Backend { store, neighbour, .. } = backend;
    Backend { name, store: around(store), neighbour: neighbour.map(around), ..backend }
}

pub(crate) fn keys() -> EncryptionKeys {
    EncryptionKeys::new([1; 32], [[2; 32], [3; 32]]).unwrap()
}

/// Returns the id under which a store with encryption keeps a session.
pub(crate) fn inner_id(id: &str) -> SessionId {
    EncryptedStore::new(MemoryStore::new(), keys()).inner_id(&SessionId::from(id))
}

pub(crate) fn memory() -> Backend {
    let now = Arc::new(Mutex::new(Instant::now()));
    let clock = Arc::clone(&now);
    Backend {
        name: "memory",
        store: Arc::new(MemoryStore::with_clock(move || *clock.lock().unwrap())),
        neighbour: None,
        pass_time: Box::new(move |_, time| *now.lock().unwrap() += time),
        _home: Box::new(()),
    }
}

pub(crate) async fn sqlite() -> Backend {
    let directory = tempfile::tempdir().unwrap();
    let now = Arc::new(Mutex::new(SystemTime::now()));
    let database = Database::open(directory.path().join("sessions.db")).unwrap();
    let clock = Arc::clone(&now);
    let store = async |prefix| {
        let (store, clock) = (SqliteStore::new(database.clone()).await, Arc::clone(&clock));
        Arc::new(store.unwrap().prefix(prefix).clock(move || *clock.lock().unwrap()))
    };
    Backend {
        name: "sqlite",
        store: store(PREFIX).await,
        neighbour: Some(store(NEIGHBOURS_PREFIX).await),
        pass_time: Box::new(move |_, time| *now.lock().unwrap() += time),
        _home: Box::new(directory),
    }
}

pub(crate) fn redis(server: RedisServer) -> Backend {
    let client = patient(&server.url());
    let store = |prefix| Arc::new(RedisStore::new(client.clone()).prefix(prefix));
    let connection = Mutex::new(server.connection());
    Backend {
        name: "redis",
        store: store(PREFIX),
        neighbour: Some(store(NEIGHBOURS_PREFIX)),
        pass_time: Box::new(move |name, time| {
            let mut connection = connection.lock().unwrap();
            // With encryption, the session has another key. A key that does not exist is left so.
            let encrypted = format!("{PREFIX}{}", inner_id(name).as_str());
            for key in [format!("{PREFIX}{name}"), encrypted, format!("accounts:{PREFIX}{name}")] {
                let left: i64 = ::redis::cmd("PTTL").arg(&key).query(&mut *connection).unwrap();
                let left = left - i64::try_from(time.as_millis()).unwrap();
                ::redis::cmd("PEXPIRE").arg(&key).arg(left).exec(&mut *connection).unwrap();
            }
        }),
        _home: Box::new(server),
    }
}
