//! Converts errors of `redis-link`.

use crate::error::{Error, ErrorKind};

impl From<redis_link::Error> for Error {
    fn from(error: redis_link::Error) -> Self {
        let kind = match error.kind() {
            redis_link::ErrorKind::Unavailable => ErrorKind::Unavailable,
            redis_link::ErrorKind::WrongType => ErrorKind::Corrupt,
            _ => ErrorKind::Store,
        };
        Self::of_engine(kind, error.is_logged(), error.into_source())
    }
}
