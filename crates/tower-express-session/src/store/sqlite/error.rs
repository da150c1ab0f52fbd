//! Converts errors of `sqlite-writer`.

use crate::error::{Error, ErrorKind};

impl From<sqlite_writer::Error> for Error {
    fn from(error: sqlite_writer::Error) -> Self {
        let kind = match error.kind() {
            sqlite_writer::ErrorKind::Unavailable => ErrorKind::Unavailable,
            sqlite_writer::ErrorKind::Unreadable => ErrorKind::Corrupt,
            _ => ErrorKind::Store,
        };
        Self::of_engine(kind, error.is_logged(), error.into_source())
    }
}
