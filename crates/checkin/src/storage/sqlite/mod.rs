//! Everything in one SQLite file, which several processes of a machine may share.

mod apply;
mod audit;
mod backup;
mod bulk;
mod checkins;
mod column;
mod consumer;
mod directory;
mod examine;
mod fault;
mod file;
mod health;
mod history;
mod list;
mod locations;
mod nearby;
mod search;
mod swarm;
mod users;
mod weather;

#[cfg(test)]
mod directory_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sqlite_writer::Database;
use sqlite_writer::rusqlite::{self, Connection};

pub use self::backup::{Copied, Place, back_up, restore};
pub use self::examine::examine;
pub use self::fault::{absent, fault, unusable};
use self::fault::{not_ours, too_new};
use super::unreadable::Reports;
use super::{Result, StorageError};

const SCHEMA: &str = include_str!("schema.sql");

/// What each version needs to become the next one, from version 1 on: this list only grows. A
/// version is kept in the file as its `user_version`; 0 is a file without tables.
const UPGRADES: [&str; 3] = [
    include_str!("from_version_1.sql"),
    include_str!("from_version_2.sql"),
    include_str!("from_version_3.sql"),
];

/// The version of the tables.
const SCHEMA_VERSION: i64 = UPGRADES.len() as i64 + 1;

/// Users, places and check-ins in an SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteStorage {
    database: Database,
    clock: Clock,
    reports: Reports,
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl SqliteStorage {
    /// Storage in this database; makes the tables that are missing. Several processes may do so at
    /// once.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or was made by a later version of this program.
    pub async fn open(database: Database) -> Result<Self> {
        match database.write(make_tables).await? {
            Tables::Foreign => return Err(StorageError::new(not_ours(database.path()))),
            Tables::Ours(found) if found > SCHEMA_VERSION => {
                return Err(StorageError::new(too_new(database.path(), found, SCHEMA_VERSION)));
            }
            Tables::Ours(_) | Tables::None => {}
        }
        file::make_private(database.path());
        search::index_names(&database).await?;
        Ok(Self { database, clock: Arc::new(SystemTime::now), reports: Reports::default() })
    }

    /// Storage that reads only, in a database with tables of this version.
    fn read_only(database: Database) -> Self {
        Self { database, clock: Arc::new(SystemTime::now), reports: Reports::default() }
    }

    /// Asks `clock` for the time, so that a test need not wait.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

/// Whose tables a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tables {
    /// None, or those of sessions alone.
    None,
    /// Those of some version of this program.
    Ours(i64),
    /// Those of another program.
    Foreign,
}

impl Tables {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let count = |which: &str| {
            let sql =
                format!("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND {which}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
        };
        let ours = count("name IN ('users', 'locations', 'checkins')")?;
        let others = count(
            "name NOT LIKE 'sqlite%'
             AND name NOT IN ('sessions', 'noted_sessions', 'account_sessions')",
        )?;
        Ok(match (ours, others) {
            (3, _) => Self::Ours(version),
            (_, 0) if version == 0 => Self::None,
            (_, 0) => Self::Ours(version),
            _ => Self::Foreign,
        })
    }
}

/// Gives whose tables there were; leaves those of a later version and of other programs alone.
fn make_tables(connection: &Connection) -> rusqlite::Result<Tables> {
    let tables = Tables::of(connection)?;
    let found = match tables {
        Tables::None => Some(0),
        Tables::Ours(found) => Some(found),
        Tables::Foreign => None,
    };
    if let Some(found) = found.filter(|found| *found <= SCHEMA_VERSION) {
        for (version, upgrade) in (1..).zip(UPGRADES) {
            if found != 0 && found <= version {
                connection.execute_batch(upgrade)?;
            }
        }
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(
            "INSERT OR IGNORE INTO checkpoint (one, ms, seq, appended, counted)
             SELECT 1, 0, 0, count(*), 0 FROM checkins",
        )?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    Ok(tables)
}

/// Milliseconds since 1970.
fn now_ms(clock: &Clock) -> i64 {
    let since = clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for SqliteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStorage").field("database", &self.database).finish_non_exhaustive()
    }
}
