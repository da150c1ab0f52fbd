//! Why a file cannot be used as a store.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use sqlite_writer::rusqlite::{self, ErrorCode};

use checkin_storage::{Fault, StorageError};

const OTHER: &str = "name another file with --store";

/// Returns the storage error for an error of the database.
pub(super) fn failed(cause: sqlite_writer::Error) -> StorageError {
    match cause.kind() {
        sqlite_writer::ErrorKind::Unreadable => StorageError::unreadable(cause),
        _ if cause.is_logged() => StorageError::logged(cause),
        _ => StorageError::new(cause),
    }
}

/// Returns the fault for an error of the store in this file, with advice.
pub fn fault(path: &Path, error: &(dyn Error + 'static)) -> Fault {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return fault.clone();
        }
        if let Some(cause) = error.downcast_ref::<rusqlite::Error>() {
            return of_sqlite(path, cause);
        }
        cause = error.source();
    }
    // This is the only reason why a writer or a reader waits without success.
    locked(path)
}

/// Returns the fault of a file that can be read only. It names no path, because `/readyz` shows it.
pub(super) fn unwritable(error: &sqlite_writer::Error) -> Fault {
    let why = match error.source().map(|cause| cause.downcast_ref().ok_or(cause)) {
        Some(Ok(cause)) => match rusqlite::Error::sqlite_error_code(cause) {
            Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
            _ => cause.to_string(),
        },
        Some(Err(cause)) => cause.to_string(),
        None => "another program has locked it".to_owned(),
    };
    Fault::passing(format!("the database file cannot be written: {why}"), "")
}

fn of_sqlite(path: &Path, cause: &rusqlite::Error) -> Fault {
    let file = path.display();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => not_a_database(path),
        Some(ErrorCode::DatabaseCorrupt) => damaged(path, &cause.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => locked(path),
        Some(ErrorCode::DiskFull) => Fault::passing(
            format!("the disk that holds {file} is full"),
            "free some space; no accepted check-in is lost",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            unusable(path).unwrap_or_else(|| no_files_beside(path))
        }
        Some(ErrorCode::SystemIoFailure) => Fault::passing(
            format!("the disk that holds {file} failed: {cause}"),
            "look at the system's log, and check the disk and the limit of file sizes (ulimit -f)",
        ),
        _ => Fault::passing(format!("{file}: {cause}"), "`checkin doctor` may say more"),
    }
}

/// Returns the reason why the operating system does not allow a store in this file, if there is one.
/// This opens and closes the file, so no connection of this process may have it open.
pub fn unusable(path: &Path) -> Option<Fault> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::metadata(directory) {
        Err(error) => return Some(no_directory(path, directory, &error)),
        Ok(found) if !found.is_dir() => {
            let what = format!("{} is not a directory", directory.display());
            return Some(Fault::lasting(what, OTHER));
        }
        Ok(_) => {}
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let what = format!("{} is a directory", path.display());
            let advice = format!("name a file in it, such as {}/checkin.db", path.display());
            return Some(Fault::lasting(what, advice));
        }
        Ok(found) if !found.is_file() => {
            let what = format!("{} is not a regular file", path.display());
            return Some(Fault::lasting(what, OTHER));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        _ => {}
    }
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.err().map(|error| match error.kind() {
        io::ErrorKind::PermissionDenied if fs::File::open(path).is_ok() => {
            not_allowed(&format!("may read {}, but not write it", path.display()))
        }
        io::ErrorKind::PermissionDenied => not_allowed(&format!("may not read {}", path.display())),
        io::ErrorKind::ReadOnlyFilesystem => Fault::lasting(
            format!("{} is on a file system that cannot be written", path.display()),
            OTHER,
        ),
        _ => Fault::passing(format!("cannot open {}: {error}", path.display()), OTHER),
    })
}

fn no_directory(path: &Path, directory: &Path, error: &io::Error) -> Fault {
    let (file, directory) = (path.display(), directory.display());
    match error.kind() {
        io::ErrorKind::NotFound => Fault::lasting(
            format!("there is no directory {directory} for {file}"),
            format!("make it, or {OTHER}"),
        ),
        io::ErrorKind::PermissionDenied => {
            not_allowed(&format!("may not look into the directory of {file}"))
        }
        _ => Fault::lasting(format!("cannot use the directory {directory}: {error}"), OTHER),
    }
}

fn no_files_beside(path: &Path) -> Fault {
    let what = format!(
        "no files can be made in the directory of {}, where SQLite keeps its log",
        path.display()
    );
    let advice =
        format!("allow this user to write there, make the file system writable, or {OTHER}");
    Fault::lasting(what, advice)
}

fn not_allowed(what: &str) -> Fault {
    Fault::lasting(format!("this user {what}"), format!("run as the user that owns it, or {OTHER}"))
}

pub(super) fn locked(path: &Path) -> Fault {
    Fault::passing(
        format!("another program has locked {}", path.display()),
        "end the program that writes to it, such as an open sqlite3 shell",
    )
}

pub(super) fn not_a_database(path: &Path) -> Fault {
    Fault::lasting(
        format!("{} is not an SQLite database", path.display()),
        format!("{OTHER}; this one was left as it is"),
    )
}

pub(super) fn not_ours(path: &Path) -> Fault {
    Fault::lasting(
        format!("{} is the database of another program", path.display()),
        format!("{OTHER}; this one was left as it is"),
    )
}

pub(super) fn no_store(path: &Path) -> Fault {
    Fault::lasting(format!("{} holds no store", path.display()), "name another file")
}

pub(super) fn too_new(path: &Path, found: i64, known: i64) -> Fault {
    Fault::lasting(
        format!(
            "{}: the tables have version {found}, this program knows {known} at most",
            path.display()
        ),
        "use the version of checkin that made them, or a later one",
    )
}

pub(super) fn damaged(path: &Path, how: &str) -> Fault {
    Fault::lasting(
        format!("{} is damaged: {how}", path.display()),
        "stop every service, keep a copy of the file, and put a backup in its place with \
         `checkin restore`, or try sqlite3's .recover",
    )
}

/// Returns the fault that there is no file at this path.
pub fn absent(path: &Path) -> Fault {
    Fault::lasting(
        format!("there is no store at {}", path.display()),
        "make one with `checkin up` or `checkin load`, or name another file with --store",
    )
}
