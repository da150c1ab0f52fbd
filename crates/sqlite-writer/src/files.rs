//! Watches the files of an open database: the file itself, its write-ahead log and the log's index.

use std::fmt;
use std::fs::{self, Metadata};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind};

/// The length of the write-ahead log from which on it is reported, in bytes: many times the length at which
/// it is moved into the file.
pub const LONG_LOG_BYTES: u64 = 128 << 20;

/// The room that a database must have: a few times what an ordinary write takes.
const ROOM_BYTES: usize = 256 << 10;

/// The files of a database, as they were when it was opened.
#[derive(Debug)]
pub(crate) struct Files {
    /// The file, the write-ahead log and its index, and what identifies each. SQLite creates the last
    /// two when it needs them, and keeps them for as long as the database is open.
    files: [(PathBuf, Option<Identity>); 3],
    are_gone: bool,
    has_long_log: bool,
}

/// What identifies a file, whatever its name is: the device and the inode.
type Identity = (u64, u64);

impl Files {
    /// Returns the files of the database at this path, which has just been opened.
    pub(crate) fn of(path: &Path) -> Self {
        let file = (path.to_owned(), fs::metadata(path).ok().and_then(|file| identity(&file)));
        let files = [file, (beside(path, "-wal"), None), (beside(path, "-shm"), None)];
        Self { files, are_gone: false, has_long_log: false }
    }

    /// Checks that each file is still the one that its name leads to: otherwise nobody would find what is
    /// written to it. Logs when that changes.
    pub(crate) fn check(&mut self) -> Result<(), Gone> {
        let checked =
            self.files.iter_mut().try_for_each(|(path, opened)| is_in_place(path, opened));
        match &checked {
            Err(gone) if !self.are_gone => tracing::error!(
                "{gone}: nothing more is written to it. Put it back, or stop every program that uses the \
                 database, restore a backup, and start them again"
            ),
            Ok(()) if self.are_gone => tracing::info!("the database file is back in its place"),
            _ => {}
        }
        self.are_gone = checked.is_err();
        checked
    }

    /// Logs when the write-ahead log gets long.
    pub(crate) fn report_long_log(&mut self) {
        let log = &self.files[1].0;
        let bytes = length(log);
        if !self.has_long_log && bytes >= LONG_LOG_BYTES {
            tracing::warn!(
                "{} has {} MiB: a program that has been reading for long keeps it from being emptied. End \
                 it; `fuser {}` names the programs that have the database open",
                log.display(),
                bytes >> 20,
                self.files[0].0.display(),
            );
        }
        // It must become much shorter before it is reported again.
        self.has_long_log =
            bytes >= if self.has_long_log { LONG_LOG_BYTES / 2 } else { LONG_LOG_BYTES };
    }
}

fn is_in_place(path: &Path, opened: &mut Option<Identity>) -> Result<(), Gone> {
    let found = match fs::metadata(path) {
        Ok(found) => identity(&found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // Such as a directory that may not be looked into for the moment: that says nothing.
        Err(_) => return Ok(()),
    };
    let opened = match opened {
        None => {
            *opened = found;
            return Ok(());
        }
        Some(opened) => *opened,
    };
    match found {
        Some(found) if found == opened => Ok(()),
        found => Err(Gone { path: path.to_owned(), is_replaced: found.is_some() }),
    }
}

/// A file that is open no longer has its name.
#[derive(Debug)]
pub(crate) struct Gone {
    path: PathBuf,
    is_replaced: bool,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_replaced { "replaced" } else { "deleted or moved" };
        write!(f, "{} was {what} while it was open", self.path.display())
    }
}

impl From<&Gone> for Error {
    fn from(gone: &Gone) -> Self {
        Self::new(ErrorKind::Unavailable, gone.to_string())
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no identity")]
fn identity(file: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<Identity> {
    None
}

/// Returns the path of the file that SQLite keeps beside the database. It follows symbolic links first.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(suffix);
    name.into()
}

/// Returns the length of the write-ahead log of the database at this path in bytes, 0 if there is none.
///
/// It is moved into the database when it has 16 MiB. It gets longer while a program needs its beginning,
/// because that program has been reading since then.
#[must_use]
pub fn log_bytes(database: &Path) -> u64 {
    length(&beside(database, "-wal"))
}

/// Returns the length of a file, 0 if there is none.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// Checks that the files of a database can grow by [`ROOM_BYTES`]. A write that needs less would otherwise
/// work on a disk that is too full for most others.
pub(crate) fn has_room(path: &Path) -> rusqlite::Result<()> {
    let full = |cause: io::Error| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        rusqlite::Error::SqliteFailure(code, Some(format!("the disk has no room: {cause}")))
    };
    let room = beside(path, "-room");
    // One may be left over from a process that was killed.
    drop(fs::remove_file(&room));
    // Fails if there is another one by now, and so follows no symbolic link.
    let grown = match fs::File::create_new(&room) {
        Ok(file) => grow(file, length(path).max(log_bytes(path))),
        // Another process checks at this moment.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        // The files of the database may be writable in a folder that takes no new ones. If they are not, a write says so.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            return Ok(());
        }
        Err(error) => Err(error),
    };
    drop(fs::remove_file(&room));
    grown.map_err(full)
}

/// Makes a file as long as this, which takes no space, and [`ROOM_BYTES`] longer.
fn grow(mut file: fs::File, length: u64) -> io::Result<()> {
    file.seek(io::SeekFrom::Start(length))?;
    file.write_all(&vec![0; ROOM_BYTES])?;
    // Some file systems find out only now.
    file.sync_data()
}

/// Whether the last write that changed something worked. The writer's thread and the handles share it.
#[derive(Debug)]
pub(crate) struct LastWrite {
    // Locked for a few instructions.
    failure: Mutex<Option<String>>,
}

impl Default for LastWrite {
    fn default() -> Self {
        Self { failure: Mutex::new(Some("nothing has been written yet".to_owned())) }
    }
}

impl LastWrite {
    pub(crate) fn failed(&self, cause: impl fmt::Display) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause.to_string());
    }

    pub(crate) fn worked(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns why it failed, or that there was none, unless it worked.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
