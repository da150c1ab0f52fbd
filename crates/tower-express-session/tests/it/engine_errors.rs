//! The conversion of engine errors to session errors.

use std::error::Error as _;

use redis_link::{Client, Obstacle};
use sqlite_writer::{Database, rusqlite};
use testkit::RedisServer;
use tower_express_session::store::Freshness;
use tower_express_session::store::redis::RedisStore;
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::{Error, ErrorKind, SessionId, Store};

async fn load(store: &impl Store) -> Error {
    store.load(&SessionId::from("id"), Freshness::Latest).await.unwrap_err()
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn errors_of_redis_are_converted() {
    let server = RedisServer::start();
    let client = Client::open(&server.url()).unwrap();
    client.call(&[b"LPUSH", b"sess:id", b"x"]).await.unwrap();
    let strict = RedisStore::new(client.clone()).tombstones(false);
    let error = load(&strict).await;
    assert_eq!((error.kind(), error.is_logged()), (ErrorKind::Corrupt, false));
    drop(server);
    let error = load(&strict).await;
    assert_eq!((error.kind(), error.is_logged()), (ErrorKind::Unavailable, true));
    assert!(!Obstacle::of(&error).unwrap().is_lasting());
}

#[tokio::test]
async fn errors_of_sqlite_are_converted() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(directory.path().join("sessions.db")).unwrap();
    let store = SqliteStore::new(database.clone()).await.unwrap();
    let row =
        "INSERT INTO sessions VALUES ('id', x'00', unixepoch() * 2000, unixepoch() * 1000, NULL)";
    database.write(move |connection| connection.execute(row, [])).await.unwrap();
    store.load(&SessionId::from("id"), Freshness::Latest).await.unwrap().unwrap();
    let damage = "ALTER TABLE sessions RENAME COLUMN epoch TO other";
    database.write(move |connection| connection.execute_batch(damage)).await.unwrap();
    let error = load(&store).await;
    assert_eq!((error.kind(), error.is_logged()), (ErrorKind::Store, false));
    assert!(error.source().unwrap().is::<rusqlite::Error>());
}
