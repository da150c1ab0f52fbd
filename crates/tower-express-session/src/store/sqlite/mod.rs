//! Sessions in an SQLite file, for the services of one machine.

mod accounts;
mod error;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use sqlite_writer::Database;
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, params};

use super::{Created, Freshness, Store, Stored, Updated, check_absolute_timeout};
use crate::error::{ConfigError, Error};
use crate::id::SessionId;

/// The maximum number of expired sessions that are deleted with each new session. It is more than
/// one, so that they never accumulate, and small, so that no request waits noticeably.
const SWEEP: usize = 4;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sessions (
        id TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        expires_ms INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        epoch INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_ms);
";

/// Adds the column. Existing sessions count as created now.
const ADD_CREATION: &str = "
    ALTER TABLE sessions ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;
    UPDATE sessions SET created_ms = unixepoch() * 1000;
";

/// Adds the column. Existing sessions have no epoch.
const ADD_EPOCH: &str = "ALTER TABLE sessions ADD COLUMN epoch INTEGER";

/// Keeps sessions in a table `sessions` of an SQLite database, on a local disk.
///
/// A write that has returned survives the end of the process and a power failure. Expired sessions
/// are deleted when new ones are created.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use tower_express_session::SessionLayer;
/// use tower_express_session::store::sqlite::SqliteStore;
///
/// # let dir = std::env::temp_dir().join(format!("tes-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// # let path = dir.join("sessions.db");
/// let store = SqliteStore::open(&path).await?;
/// let layer = SessionLayer::builder(store, ["keyboard cat"]).build()?;
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct SqliteStore {
    database: Database,
    prefix: Box<str>,
    absolute_timeout: Option<Duration>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// A point in time with the limits that it implies for the age of sessions.
#[derive(Clone, Copy)]
struct Moment {
    now_ms: i64,
    /// Sessions that were created before this time have ended, even if they were in use.
    oldest_ms: i64,
    absolute_ms: i64,
}

impl SqliteStore {
    /// Opens a store in this file, and creates the file if it is missing.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`ErrorKind::Store`](crate::ErrorKind::Store) if the file cannot be
    /// opened.
    ///
    /// # Cancel safety
    ///
    /// As [`new`](Self::new).
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(Database::open(path)?).await
    }

    /// Returns a store in a database that the application also uses. Creates the table `sessions`
    /// if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the table cannot be created,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if another process locks the
    /// database for too long.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have created the table.
    pub async fn new(database: Database) -> Result<Self, Error> {
        database.write(make_table).await?;
        Ok(Self::existing(database))
    }

    /// Returns a store in a database whose table `sessions` exists. Nothing is created, so that it may
    /// be opened read-only.
    #[must_use]
    pub fn existing(database: Database) -> Self {
        let clock = Arc::new(SystemTime::now);
        Self { database, prefix: "".into(), absolute_timeout: None, clock }
    }

    /// Sets a prefix for all ids and accounts, so that several applications can share a database. Default:
    /// none.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Ends each session this long after its creation, even if it is in use. Default: never. A
    /// login or a renewal creates a new session.
    #[must_use]
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.absolute_timeout = Some(timeout);
        self
    }

    /// Sets the clock, so that a test need not wait.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn key(&self, id: &SessionId) -> String {
        format!("{}{}", self.prefix, id.as_str())
    }

    fn moment(&self) -> Moment {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = milliseconds(since);
        let absolute_ms = self.absolute_timeout.map_or(i64::MAX, milliseconds);
        Moment { now_ms, oldest_ms: now_ms.saturating_sub(absolute_ms), absolute_ms }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, id: &SessionId, _: Freshness) -> Result<Option<Stored>, Error> {
        let (key, at) = (self.key(id), self.moment());
        let row = self.database.look_up(move |connection| live(connection, &key, at)).await?;
        Ok(row.map(|row| {
            let (time_left, is_final) = (row.time_left(at), row.is_final(at));
            Stored::new(row.value, time_left)
                .with_epoch(row.epoch.map(i64::cast_unsigned))
                .with_final(is_final)
        }))
    }

    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        let (key, at) = (self.key(id), self.moment());
        let epoch = epoch.map(u64::cast_signed);
        self.database
            .write(move |connection| {
                if live(connection, &key, at)?.is_some() {
                    return Ok(Created::Exists);
                }
                put(connection, &key, &value, ttl, at, at.now_ms)?;
                let sql = "UPDATE sessions SET epoch = ?2 WHERE id = ?1";
                connection.prepare_cached(sql)?.execute(params![key, epoch])?;
                sweep(connection, at.now_ms)?;
                Ok(Created::Stored)
            })
            .await
            .map_err(Error::from)
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let (key, base, at) = (self.key(id), base.clone(), self.moment());
        self.database
            .write(move |connection| match live(connection, &key, at)? {
                None => Ok(Updated::Gone),
                Some(current) if current.value != base => Ok(Updated::Changed(current.value)),
                Some(current) => {
                    put(connection, &key, &value, ttl, at, current.created_ms)?;
                    Ok(Updated::Stored)
                }
            })
            .await
            .map_err(Error::from)
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let (key, at) = (self.key(id), self.moment());
        self.database
            .write(move |connection| {
                let created_ms =
                    live(connection, &key, at)?.map_or(at.now_ms, |current| current.created_ms);
                put(connection, &key, &value, ttl, at, created_ms)
            })
            .await
            .map_err(Error::from)
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let (key, at) = (self.key(id), self.moment());
        self.database
            .write(move |connection| {
                let Some(current) = live(connection, &key, at)? else { return Ok(false) };
                let sql = "UPDATE sessions SET expires_ms = ?2 WHERE id = ?1";
                let ends = at.end_of(ttl, current.created_ms);
                connection.prepare_cached(sql)?.execute(params![key, ends])?;
                Ok(true)
            })
            .await
            .map_err(Error::from)
    }

    // No other program writes to the file, and this crate never writes an ended session back, so no
    // tombstone is needed.
    async fn destroy(&self, id: &SessionId, _: Duration) -> Result<bool, Error> {
        let (key, at) = (self.key(id), self.moment());
        self.database
            .write(move |connection| delete(connection, &key, at).map(|number| number == 1))
            .await
            .map_err(Error::from)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_absolute_timeout(self.absolute_timeout)
    }
}

/// A session that has not ended.
struct Row {
    value: Bytes,
    expires_ms: i64,
    created_ms: i64,
    epoch: Option<i64>,
}

impl Row {
    fn time_left(&self, at: Moment) -> Duration {
        let left = self.expires_ms.min(self.ends_at_last_ms(at)) - at.now_ms;
        Duration::from_millis(left.max(0).unsigned_abs())
    }

    fn is_final(&self, at: Moment) -> bool {
        self.expires_ms >= self.ends_at_last_ms(at)
    }

    /// Returns the end by the absolute timeout.
    fn ends_at_last_ms(&self, at: Moment) -> i64 {
        self.created_ms.saturating_add(at.absolute_ms)
    }
}

impl Moment {
    /// Returns when a session expires, in milliseconds since 1970; the last representable date if
    /// it would be later.
    fn end_of(self, ttl: Duration, created_ms: i64) -> i64 {
        let idle = self.now_ms.saturating_add(milliseconds(ttl));
        idle.min(created_ms.saturating_add(self.absolute_ms))
    }
}

fn make_table(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(accounts::SCHEMA)?;
    for (column, add) in [("created_ms", ADD_CREATION), ("epoch", ADD_EPOCH)] {
        let has_column = "SELECT 1 FROM pragma_table_info('sessions') WHERE name = ?1";
        if !connection.prepare(has_column)?.exists([column])? {
            connection.execute_batch(add)?;
        }
    }
    Ok(())
}

fn live(connection: &Connection, key: &str, at: Moment) -> rusqlite::Result<Option<Row>> {
    let sql = "SELECT value, expires_ms, created_ms, epoch FROM sessions
               WHERE id = ?1 AND expires_ms > ?2 AND created_ms > ?3";
    connection
        .prepare_cached(sql)?
        .query_row(params![key, at.now_ms, at.oldest_ms], |row| {
            let (value, expires_ms) = (row.get::<_, Vec<u8>>(0)?.into(), row.get(1)?);
            Ok(Row { value, expires_ms, created_ms: row.get(2)?, epoch: row.get(3)? })
        })
        .optional()
}

/// Deletes a session, and returns the number of those that had not ended: 0 or 1.
fn delete(connection: &Connection, key: &str, at: Moment) -> rusqlite::Result<usize> {
    let was_there = live(connection, key, at)?.is_some();
    connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([key])?;
    Ok(usize::from(was_there))
}

fn put(
    connection: &Connection,
    key: &str,
    value: &[u8],
    ttl: Duration,
    at: Moment,
    created_ms: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sessions (id, value, expires_ms, created_ms) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO UPDATE SET value = ?2, expires_ms = ?3, created_ms = ?4";
    let ends_ms = at.end_of(ttl, created_ms);
    connection.prepare_cached(sql)?.execute(params![key, value, ends_ms, created_ms])?;
    Ok(())
}

fn sweep(connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM sessions WHERE id IN
               (SELECT id FROM sessions WHERE expires_ms <= ?1 LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![now_ms, SWEEP as i64])?;
    Ok(())
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("database", &self.database).finish_non_exhaustive()
    }
}
