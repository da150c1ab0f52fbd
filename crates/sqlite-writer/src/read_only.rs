//! Opening a file without changing anything.

use std::fs;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// How long to wait for a lock.
const BUSY: Duration = Duration::from_secs(1);

/// A connection that reads, and leaves the file and those beside it as they are: it makes no file,
/// does not recover a write-ahead log that a crash left, and moves nothing when it is closed.
///
/// A program that opens a file for the first time while this connection reads one that nobody had
/// open may be seen in the midst of a write.
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
        // Others may have it open: their locks are in the index, which is read and not written.
        (Some(_), Some(_)) => "mode=ro&readonly_shm=1",
        (None | Some(0), _) => "immutable=1",
        // Nobody has it open, since there is no index. With one in memory, SQLite wants an exclusive
        // lock, which a file that is not written does not have.
        (Some(_), None) => "mode=ro&vfs=unix-none",
    };
    let name = percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
    let connection = Connection::open_with_flags(format!("file:{name}?{parameters}"), flags)?;
    // The process that has the file open may be ending.
    connection.busy_timeout(BUSY)?;
    if parameters.ends_with("unix-none") {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}
