//! An SQLite file for async programs: one writer with group commit, and concurrent readers.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sqlite_writer::Database;
//! use sqlite_writer::rusqlite::params;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("app.db");
//! let database = Database::open(path)?;
//! let schema = "CREATE TABLE IF NOT EXISTS visits (page TEXT PRIMARY KEY, count INTEGER NOT NULL)";
//! database.write(|connection| connection.execute_batch(schema)).await?;
//!
//! let count = "INSERT INTO visits VALUES (?1, 1) ON CONFLICT DO UPDATE SET count = count + 1";
//! database
//!     .write(|connection| connection.prepare_cached(count)?.execute(params!["/home"]))
//!     .await?; // synced to disk by now
//!
//! let visits: u32 = database
//!     .read(|connection| {
//!         connection.query_row("SELECT sum(count) FROM visits", [], |row| row.get(0))
//!     })
//!     .await?;
//! assert_eq!(visits, 1);
//! # Ok(())
//! # }
//! ```
//!
//! - All writes of a process go through one connection, on a dedicated thread. Writes that wait at
//!   the same time share one transaction and one sync of the disk (group commit); each runs in its
//!   own savepoint and returns after the commit.
//! - Reads run concurrently on other connections (WAL mode), and see every write that has returned.
//! - Several processes may use one file. They write one after another.
//! - Every wait has a time limit, after which the operation fails with [`ErrorKind::Unavailable`].
//!   An outage is logged once when it begins and once when it ends (target `outage_log`).
//! - [`Database::observe`] reports each operation, for metrics and traces.
//! - Dropping the last handle moves the write-ahead log into the file and closes it.
//! - [`Database::open_read_only`] reads a file without changing it, its write-ahead log or its
//!   index.
//!
//! SQLite is linked statically. Queries are written with [`rusqlite`], which this crate re-exports.

#![warn(missing_docs)]

mod connection;
mod database;
mod error;
mod files;
mod observer;
mod read_only;
mod readers;
mod writer;

pub use database::Database;
pub use error::{Error, ErrorKind};
pub use files::{LONG_LOG_BYTES, log_bytes};
pub use observer::Completed;
pub use rusqlite;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
