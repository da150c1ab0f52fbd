//! Sessions in an SQLite file, for the services of one machine.

mod database;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

pub use database::Database;
pub use rusqlite;

use super::{Created, Store, Updated};
use crate::error::Error;
use crate::id::SessionId;

/// So many sessions that are over are deleted along with each new one: more than are made, so that
/// they never pile up, and few enough that nobody waits for them.
const SWEEP: usize = 4;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sessions (
        id TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        expires_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_ms);
";

/// Keeps sessions in a table `sessions` of an SQLite database.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use tower_express_session::SessionLayer;
/// use tower_express_session::store::sqlite::{Database, SqliteStore};
///
/// # let dir = std::env::temp_dir().join(format!("tes-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// # let path = dir.join("sessions.db");
/// let store = SqliteStore::open(Database::open(&path)?).await?;
/// let layer = SessionLayer::new(store, ["keyboard cat"])?;
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct SqliteStore {
    database: Database,
    prefix: Box<str>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl SqliteStore {
    /// A store in this database; makes the table if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) when the table cannot be made,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when another process holds the
    /// database for too long.
    pub async fn open(database: Database) -> Result<Self, Error> {
        database.write(|connection| connection.execute_batch(SCHEMA)).await?;
        Ok(Self { database, prefix: "".into(), clock: Arc::new(SystemTime::now) })
    }

    /// Puts a prefix before each id, so that several applications can share a database.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Asks `clock` for the time, so that a test need not wait.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn key(&self, id: &SessionId) -> String {
        format!("{}{}", self.prefix, id.as_str())
    }

    fn now_ms(&self) -> i64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Bytes>, Error> {
        let (key, now_ms) = (self.key(id), self.now_ms());
        self.database.read(move |connection| live(connection, &key, now_ms)).await
    }

    async fn create(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<Created, Error> {
        let (key, now_ms) = (self.key(id), self.now_ms());
        self.database
            .write(move |connection| {
                if live(connection, &key, now_ms)?.is_some() {
                    return Ok(Created::Exists);
                }
                put(connection, &key, &value, ends(now_ms, ttl))?;
                sweep(connection, now_ms)?;
                Ok(Created::Stored)
            })
            .await
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let (key, base, now_ms) = (self.key(id), base.clone(), self.now_ms());
        self.database
            .write(move |connection| match live(connection, &key, now_ms)? {
                None => Ok(Updated::Gone),
                Some(current) if current != base => Ok(Updated::Changed(current)),
                Some(_) => {
                    put(connection, &key, &value, ends(now_ms, ttl))?;
                    Ok(Updated::Stored)
                }
            })
            .await
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let (key, ends) = (self.key(id), ends(self.now_ms(), ttl));
        self.database.write(move |connection| put(connection, &key, &value, ends)).await
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let (key, now_ms) = (self.key(id), self.now_ms());
        self.database
            .write(move |connection| {
                let sql = "UPDATE sessions SET expires_ms = ?3 WHERE id = ?1 AND expires_ms > ?2";
                let changed = connection.prepare_cached(sql)?.execute(params![
                    key,
                    now_ms,
                    ends(now_ms, ttl)
                ])?;
                Ok(changed > 0)
            })
            .await
    }

    async fn destroy(&self, id: &SessionId) -> Result<(), Error> {
        let key = self.key(id);
        self.database
            .write(move |connection| {
                connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([key])?;
                Ok(())
            })
            .await
    }
}

fn live(connection: &Connection, key: &str, now_ms: i64) -> rusqlite::Result<Option<Bytes>> {
    let sql = "SELECT value FROM sessions WHERE id = ?1 AND expires_ms > ?2";
    connection
        .prepare_cached(sql)?
        .query_row(params![key, now_ms], |row| row.get::<_, Vec<u8>>(0))
        .optional()
        .map(|value| value.map(Bytes::from))
}

fn put(connection: &Connection, key: &str, value: &[u8], ends_ms: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sessions (id, value, expires_ms) VALUES (?1, ?2, ?3)
               ON CONFLICT (id) DO UPDATE SET value = ?2, expires_ms = ?3";
    connection.prepare_cached(sql)?.execute(params![key, value, ends_ms])?;
    Ok(())
}

fn sweep(connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM sessions WHERE id IN
               (SELECT id FROM sessions WHERE expires_ms <= ?1 LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![now_ms, SWEEP as i64])?;
    Ok(())
}

/// The end of a session's time, in milliseconds since 1970; a time beyond all dates is the last one.
fn ends(now_ms: i64, ttl: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("database", &self.database).finish_non_exhaustive()
    }
}
