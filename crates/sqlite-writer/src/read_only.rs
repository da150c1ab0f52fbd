//! Opens a file without changing anything on disk.

use std::fs;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// How long to wait for a lock: the process that has the file open may be closing it.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(1);

/// Opens a connection that reads and changes nothing on disk: it creates no file, does not recover
/// the write-ahead log that a crash left, and runs no checkpoint when it is closed.
///
/// If no process had the file open when this connection was made, and a process opens it later, a
/// read may see a half-finished write of that process.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let length = |suffix: &str| {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        fs::metadata(name).ok().map(|file| file.len())
    };
    let (log, index) = (length("-wal"), length("-shm"));
    let parameters = match (log, index) {
        // Other processes may have it open. Their locks are in the index, which is only read.
        (Some(_), Some(_)) => "mode=ro&readonly_shm=1",
        (None | Some(0), _) => "immutable=1",
        // No process has it open, since there is no index. SQLite then keeps an index in memory,
        // for which it needs an exclusive lock; a read-only file cannot have one, so locking is
        // off.
        (Some(_), None) => "mode=ro&vfs=unix-none",
    };
    let name = percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
    let connection = Connection::open_with_flags(format!("file:{name}?{parameters}"), flags)?;
    connection.busy_timeout(MAX_WAIT)?;
    if parameters.ends_with("unix-none") {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}
