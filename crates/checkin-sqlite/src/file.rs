//! The store's file: read and write transactions, and the clock.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use checkin_storage::{Fault, Reports, Result};
use sqlite_writer::Database;
use sqlite_writer::rusqlite::{self, Connection};

use crate::fault::{failed, unwritable};

/// The database, the clock and the reports of unreadable records; clones share them.
#[derive(Clone)]
pub(crate) struct File {
    database: Database,
    pub(crate) clock: Clock,
    pub(crate) reports: Reports,
}

/// Tells the time. A write that needs the time at its turn takes this along and not the [`File`]: a write
/// that owns the last handle on the database would not be waited for when the database is closed.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Returns the time in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        let since = (self.0)().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl File {
    pub(crate) fn new(database: Database) -> Self {
        let clock = Clock(Arc::new(SystemTime::now));
        Self { database, clock, reports: Reports::default() }
    }

    pub(crate) fn set_clock(&mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) {
        self.clock = Clock(Arc::new(clock));
    }

    pub(crate) fn path(&self) -> &Path {
        self.database.path()
    }

    /// Returns the time in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Checks that the file can be written, as [`Database::check_writable`] does.
    pub(crate) async fn check_writable(&self) -> Result<(), Fault> {
        let checked = self.database.check_writable().await;
        checked.map_err(|error| unwritable(&error))
    }

    /// Runs `work` in a write transaction, as [`Database::write`] does.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.database.write(work).await.map_err(failed)
    }

    /// Looks up a few rows by their keys, as [`Database::look_up`] does.
    pub(crate) async fn look_up<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.database.look_up(work).await.map_err(failed)
    }

    /// Runs `work` in a read transaction, as [`Database::read`] does.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.database.read(work).await.map_err(failed)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("database", &self.database).finish_non_exhaustive()
    }
}
