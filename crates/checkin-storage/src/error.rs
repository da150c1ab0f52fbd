//! Why a storage operation failed.

use std::error::Error;
use std::fmt;

/// A storage operation failed: the store cannot be reached, or refused, or one record
/// [cannot be read](StorageError::is_unreadable). Nothing may be concluded about the data; above all
/// not that something is missing.
#[derive(Debug)]
pub struct StorageError {
    cause: Cause,
    kind: Kind,
}

type Cause = Box<dyn Error + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failed,
    Logged,
    Unreadable,
}

/// The result of a storage operation.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

impl StorageError {
    /// An error with its cause.
    pub fn new(cause: impl Into<Cause>) -> Self {
        Self { cause: cause.into(), kind: Kind::Failed }
    }

    /// An error that is part of an outage, which the store itself logs.
    pub fn logged(cause: impl Into<Cause>) -> Self {
        Self { cause: cause.into(), kind: Kind::Logged }
    }

    /// A record that is there and cannot be read; `cause` names it and the rule that it breaks.
    pub fn unreadable(cause: impl Into<Cause>) -> Self {
        Self { cause: cause.into(), kind: Kind::Unreadable }
    }

    /// Whether one record is there and cannot be read, while the store itself is well.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.kind == Kind::Unreadable
    }

    /// Whether there are no ids left: nothing can be added until an operator repairs the store.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*self.cause);
        while let Some(error) = cause {
            if error.is::<UsedUp>() {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether the error is part of an outage that the store itself logs, once when it begins and once
    /// when it ends: there is nothing left to log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.kind == Kind::Logged
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the storage failed")
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// There is no id behind the last one of this.
#[derive(Debug)]
pub struct UsedUp(pub &'static str);

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ids of {} are used up; see `checkin doctor`", self.0)
    }
}

impl Error for UsedUp {}
