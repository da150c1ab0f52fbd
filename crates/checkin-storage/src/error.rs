//! Why a storage operation failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The error of a storage operation: the store is unavailable or refused the operation, or one record
/// [cannot be read](StorageError::is_unreadable). It says nothing about the data; in particular, it
/// does not mean that a record is missing.
///
/// Clones share the cause.
#[derive(Clone, Debug)]
pub struct StorageError {
    cause: Arc<dyn Error + Send + Sync>,
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
    /// Creates an error with its cause.
    pub fn new(cause: impl Into<Cause>) -> Self {
        Self { cause: Arc::from(cause.into()), kind: Kind::Failed }
    }

    /// Creates an error that is part of an outage, which the store itself logs.
    pub fn logged(cause: impl Into<Cause>) -> Self {
        Self { cause: Arc::from(cause.into()), kind: Kind::Logged }
    }

    /// Creates the error of a record that exists and cannot be read; `cause` names the record and the
    /// rule that it violates.
    pub fn unreadable(cause: impl Into<Cause>) -> Self {
        Self { cause: Arc::from(cause.into()), kind: Kind::Unreadable }
    }

    /// Returns whether one record exists and cannot be read, while the store itself is available.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.kind == Kind::Unreadable
    }

    /// Returns whether all ids are used up: nothing can be added until an operator repairs the store.
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

    /// Returns whether the error is part of an outage. The store itself logs an outage, once when it
    /// begins and once when it ends, so the caller need not log the error. What Redis denies to the login of a
    /// service is logged by the service, once for all operations that fail.
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

/// The error that all ids of these records are used up.
#[derive(Debug)]
pub struct UsedUp(pub &'static str);

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ids of {} are used up; see `checkin doctor`", self.0)
    }
}

impl Error for UsedUp {}
