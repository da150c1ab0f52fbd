//! The error type, with kinds by what a caller can do.

use std::error::Error as StdError;
use std::fmt;

use rusqlite::ErrorCode;

/// The error of an operation on a [`Database`](crate::Database).
///
/// [`kind`](Self::kind) tells what the caller can do. The [source](StdError::source) is the
/// [`rusqlite::Error`], if there is one.
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
    /// Another process holds the database, the disk is full or fails, or the operation could not
    /// start in time. A later attempt may succeed.
    Unavailable,
    /// A column has another type than the one that was read. The database itself works.
    Unreadable,
    /// SQLite returned another error, such as a violated constraint or a file that is not a
    /// database.
    Database,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()), is_logged: false }
    }

    /// Marks the error as part of an outage that the database has logged.
    pub(crate) fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns whether the error is part of an outage. The database itself logs an outage, once
    /// when it begins and once when it ends, so the caller need not log this error.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// Returns the cause, for a caller that wraps it in an error type of its own.
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
            ErrorKind::Database => "the database returned an error",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Returns the kind of an SQLite error.
pub(crate) fn kind(cause: &rusqlite::Error) -> ErrorKind {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    match cause {
        // The row is wrong, and not the database.
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
