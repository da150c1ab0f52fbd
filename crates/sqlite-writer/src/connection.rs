//! Creates the file and configures its connections.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// How long a connection waits for a writer of another process. This is shorter than the time limit
/// of a write, so that the caller gets the reason.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(4);

/// The length at which the write-ahead log is moved into the file. A longer log would take space that a
/// small volume does not have; a shorter one would be moved more often.
const LOG_BYTES: i64 = 16 << 20;

/// Creates the file if it does not exist, readable by its owner only. SQLite gives the write-ahead
/// log and its index the same mode. An error is ignored here: opening the database reports it.
pub(crate) fn make_private(path: &Path) {
    if path.exists() {
        return;
    }
    // Not `create_new`, which fails on a symbolic link to a file that does not exist yet.
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(PRIVATE);
        if let Ok(file) = options.open(path) {
            // The umask of the process may remove even the owner's permissions.
            drop(file.set_permissions(std::fs::Permissions::from_mode(PRIVATE)));
        }
    }
    #[cfg(not(unix))]
    drop(options.open(path));
}

/// The mode of a file that only its owner may read and write.
#[cfg(unix)]
const PRIVATE: u32 = 0o600;

/// Opens a connection for reading and writing, in WAL mode.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_handler(Some(wait_for_locks(MAX_WAIT)))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs each commit, so that a committed write survives a power failure. NORMAL does not.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    // What is deleted is overwritten with zeros, so that it cannot be read in the file.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.set_prepared_statement_cache_capacity(128);
    // Plans do not depend on parameters. Otherwise each use of a prepared statement whose parameter
    // could decide whether a partial index applies would parse it again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Returns a busy handler: SQLite calls it before it tries again to get a lock, and gives up if it
/// returns false.
pub(crate) fn wait_for_locks(max_wait: Duration) -> impl Fn(i32) -> bool + Send + 'static {
    move |tries| {
        thread::sleep(Duration::from_millis(1));
        u128::from(tries.unsigned_abs()) < max_wait.as_millis()
    }
}

/// Configures the writer's connection for large transactions: changed pages stay in memory, and a
/// checkpoint moves many of them into the file at a time.
pub(crate) fn configured_for_writing(connection: Connection) -> rusqlite::Result<Connection> {
    const MEMORY_KIB: i64 = 64 << 10;
    // A negative size counts KiB, a positive one pages.
    connection.pragma_update(None, "cache_size", -MEMORY_KIB)?;
    // Keeps the undo data of savepoints in memory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let page_bytes: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_BYTES / page_bytes)?;
    Ok(connection)
}
