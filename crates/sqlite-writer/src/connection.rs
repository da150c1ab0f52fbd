//! How a file and its connections are set up.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

/// How long a connection waits for a writer of another process, in milliseconds: it asks again after
/// each. Shorter than the time limit of a write, so that the caller hears why.
const BUSY_MS: i32 = 4_000;

/// Makes the file if it is not there, for its owner alone. SQLite gives the files
/// beside it the same mode. If this fails, opening the database says why.
pub(crate) fn make_private(path: &Path) {
    if path.exists() {
        return;
    }
    // Not `create_new`, which fails on a link to a file that is not there yet.
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(PRIVATE);
        if let Ok(file) = options.open(path) {
            // The process may have a mask that takes even the owner's rights.
            drop(file.set_permissions(std::fs::Permissions::from_mode(PRIVATE)));
        }
    }
    #[cfg(not(unix))]
    drop(options.open(path));
}

/// Read and written by its owner alone.
#[cfg(unix)]
const PRIVATE: u32 = 0o600;

/// A connection that reads and writes, in WAL mode.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_handler(Some(|asked| {
        thread::sleep(Duration::from_millis(1));
        asked < BUSY_MS
    }))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs each commit: what was answered survives the loss of power. NORMAL does not.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Large transactions that touch pages all over a large file stay in memory, and their pages go into
/// the file by many at a time.
pub(crate) fn prepared_to_write(connection: Connection) -> rusqlite::Result<Connection> {
    const MEMORY_KIB: i64 = 64 << 10;
    const CHECKPOINT_PAGES: i64 = 16 << 10;
    // A negative size counts KiB, a positive one pages.
    connection.pragma_update(None, "cache_size", -MEMORY_KIB)?;
    // What a savepoint has to undo.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}
