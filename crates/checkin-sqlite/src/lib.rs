//! The storage in one SQLite file, which several processes on one machine may share.

mod append;
mod applier;
mod attempts;
mod audit;
mod backup;
mod bulk;
mod column;
mod dead_letters;
mod directory;
mod draft;
mod examine;
mod fault;
mod figures;
mod file;
mod health;
mod history;
mod list;
mod locations;
mod log;
mod membership;
mod nearby;
mod permissions;
mod privacy;
mod private;
mod retention;
mod retractions;
mod schema;
mod search;
mod searches;
mod second_factors;
mod security_events;
mod standing;
mod swarm;
mod users;
mod volume;
mod weather;
mod words;

#[cfg(test)]
mod directory_tests;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use checkin_storage::{Result, StorageError};
use sqlite_writer::Database;

pub use self::backup::{Copied, Place, back_up, restore};
pub use self::draft::Draft;
pub use self::examine::{examine, watch};
pub use self::fault::{absent, fault, unusable};
use self::fault::{not_ours, too_new};
use self::file::File;
use self::schema::{SCHEMA_VERSION, Tables, make_tables};

/// How often a write waits until the tables of an earlier version are upgraded. With a million users the
/// upgrade takes several seconds.
const UPGRADE_ATTEMPTS: usize = 20;

/// Users, locations and check-ins in an SQLite file; clones share it.
#[derive(Clone, Debug)]
pub struct SqliteStorage {
    file: File,
}

impl SqliteStorage {
    /// Opens the storage in this database and creates missing tables. Several processes may do so at the
    /// same time.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or was made by a later version of this program.
    pub async fn open(database: Database) -> Result<Self> {
        let file = File::new(database);
        match made_tables(&file).await? {
            Tables::Foreign => return Err(StorageError::new(not_ours(file.path()))),
            Tables::Ours(found) if found > SCHEMA_VERSION => {
                return Err(StorageError::new(too_new(file.path(), found, SCHEMA_VERSION)));
            }
            Tables::Ours(_) | Tables::None => {}
        }
        permissions::make_private(file.path());
        search::index_names(&file).await?;
        Ok(Self { file })
    }

    /// Opens a storage that only reads, in a database with tables of this version.
    fn read_only(database: Database) -> Self {
        Self { file: File::new(database) }
    }

    /// Reads the time from `clock`, so that a test need not wait.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.file.set_clock(clock);
        self
    }
}

/// Upgrades the tables. An upgrade that takes longer than a write may wait goes on, and the next write
/// comes after it.
async fn made_tables(file: &File) -> Result<Tables> {
    let found = file.read(Tables::of).await;
    let is_old = matches!(found, Ok(Tables::Ours(version)) if version < SCHEMA_VERSION);
    let mut made = file.write(make_tables).await;
    for _ in 1..if is_old { UPGRADE_ATTEMPTS } else { 1 } {
        match &made {
            Err(error) if error.is_logged() => made = file.write(make_tables).await,
            _ => break,
        }
    }
    made
}
