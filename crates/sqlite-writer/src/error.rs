//! What can go wrong, and what a caller can do about it.

use std::error::Error as StdError;
use std::fmt;

use rusqlite::ErrorCode;

/// An operation on a [`Database`](crate::Database) failed.
///
/// [`kind`](Self::kind) says what to do about it. The [source](StdError::source) is the
/// [`rusqlite::Error`], where there is one.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use sqlite_writer::{Database, ErrorKind};
///
/// let error = Database::open(directory.path().join("no such directory/app.db")).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Database);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
    is_logged: bool,
}

/// The kinds of [`Error`], by what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process holds the database, the disk is full or fails, or it was not this operation's
    /// turn in time. Trying again later may help.
    Unavailable,
    /// A column is not what the work took it for. The database itself is well.
    Unreadable,
    /// SQLite answered with another error, such as a constraint that was violated or a file that is no
    /// database.
    Database,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()), is_logged: false }
    }

    /// The same error, of an outage that the database has logged itself.
    pub(crate) fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the error is part of an outage that the database logs by itself, once when it begins
    /// and once when it ends: there is nothing left to log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// The cause alone, for an error of another type that takes this one's place.
    #[must_use]
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.source
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None, is_logged: false }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        Self::new(kind(&cause), cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::Unavailable => "the database is not available",
            ErrorKind::Unreadable => "a row of the database cannot be read",
            ErrorKind::Database => "the database answered with an error",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What a caller can do about an error of SQLite.
pub(crate) fn kind(cause: &rusqlite::Error) -> ErrorKind {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    match cause {
        // The row is what is wrong, and not the database.
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | Utf8Error(..) => ErrorKind::Unreadable,
        _ => match cause.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure,
            ) => ErrorKind::Unavailable,
            _ => ErrorKind::Database,
        },
    }
}
