//! What the services keep, as traits: each with its contract, and with an implementation on SQLite
//! and on Redis that passes one shared suite.

mod bulk;
mod checkins;
#[cfg(test)]
mod conformance;
mod consumer;
mod details;
mod directory;
mod fault;
mod health;
mod history;
mod locations;
mod nearby;
pub mod redis;
pub mod sqlite;
mod swarm;
mod unreadable;
mod users;
mod weather;

use std::fmt;

pub use bulk::{BulkLoad, Loaded};
pub use checkins::{Accepted, Admission, CheckinLog, IDEMPOTENCY_TTL, LogPosition};
pub use consumer::{
    Audit, Batch, CheckinConsumer, Completed, DeadLetter, DeadLetterId, Difference, Entry, Replay,
    Subject, Turn,
};
pub use directory::{Directory, MAX_SEARCH_WORDS, Nearby, Page, Period, Position, Ranked};
pub use fault::Fault;
pub use health::{Finding, Health, Severity};
pub use history::{History, HistoryPosition};
pub use locations::LocationRepository;
pub use swarm::{SwarmLoad, VenuePlace};
pub use unreadable::{is_there, readable};
pub use users::{Account, NewUser, Registered, UserRepository};
pub use weather::WeatherCache;

/// A storage operation failed: the store cannot be reached, or refused, or one record
/// [cannot be read](StorageError::is_unreadable). Nothing may be concluded about the data; above all
/// not that something is missing.
#[derive(Debug)]
pub struct StorageError {
    cause: Box<dyn std::error::Error + Send + Sync>,
    is_unreadable: bool,
    is_logged: bool,
}

/// The result of a storage operation.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

impl StorageError {
    /// An error with its cause.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), is_unreadable: false, is_logged: false }
    }

    /// Whether one record is there and cannot be read, while the store itself is well.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// Whether there are no ids left: nothing can be added until an operator repairs the store.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*self.cause);
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
        self.is_logged
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the storage failed")
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

/// There is no id behind the last one of this.
#[derive(Debug)]
struct UsedUp(&'static str);

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ids of {} are used up; see `checkin doctor`", self.0)
    }
}

impl std::error::Error for UsedUp {}
