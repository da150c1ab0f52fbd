//! The tables, and the upgrade of files of earlier versions.

use sqlite_writer::rusqlite::{self, Connection};

use crate::users;

const SCHEMA: &str = include_str!("schema/schema.sql");

/// The statements that upgrade each version to the next one, from version 1 on. This list only grows.
/// The file keeps its version as `user_version`; 0 is a file without tables.
const UPGRADES: [&str; 14] = [
    include_str!("schema/from_version_1.sql"),
    include_str!("schema/from_version_2.sql"),
    include_str!("schema/from_version_3.sql"),
    include_str!("schema/from_version_4.sql"),
    include_str!("schema/from_version_5.sql"),
    include_str!("schema/from_version_6.sql"),
    include_str!("schema/from_version_7.sql"),
    include_str!("schema/from_version_8.sql"),
    include_str!("schema/from_version_9.sql"),
    include_str!("schema/from_version_10.sql"),
    include_str!("schema/from_version_11.sql"),
    include_str!("schema/from_version_12.sql"),
    include_str!("schema/from_version_13.sql"),
    include_str!("schema/from_version_14.sql"),
];

/// The version of the tables.
pub(super) const SCHEMA_VERSION: i64 = UPGRADES.len() as i64 + 1;

/// The last version whose accounts were indexed under their addresses in lower case only.
const LOWER_CASE_ONLY: i64 = 13;

/// The program that made the tables of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tables {
    /// There are no tables, or only those of sessions.
    None,
    /// A version of this program.
    Ours(i64),
    /// Another program.
    Foreign,
}

impl Tables {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let count = |which: &str| {
            let sql = format!(
                "SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND {which}"
            );
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

/// Upgrades the tables, and returns which program made them. It does not change tables of a later version
/// or of another program.
pub(super) fn make_tables(connection: &Connection) -> rusqlite::Result<Tables> {
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
        if (1..=LOWER_CASE_ONLY).contains(&found) {
            users::index_again(connection)?;
        }
        connection.execute_batch(
            "INSERT OR IGNORE INTO checkpoint (one, ms, seq, appended, counted)
             SELECT 1, 0, 0, count(*), 0 FROM checkins",
        )?;
        // A store that has its tables also opens on a full disk.
        if found != SCHEMA_VERSION {
            connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
    }
    Ok(tables)
}
