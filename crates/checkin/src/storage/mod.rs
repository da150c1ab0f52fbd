//! What the services keep, as traits: each with its contract, and with an implementation on SQLite
//! and on Redis that passes one shared suite.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{
    Checkin, CheckinId, Email, Location, LocationDetails, LocationId, NewCheckin, PasswordHash,
    User, UserId,
};

#[cfg(test)]
mod conformance;
mod details;
pub mod redis;
pub mod sqlite;

/// A storage operation failed: the store cannot be reached, or refused. Nothing may be concluded
/// about the data; above all not that something is missing.
#[derive(Debug)]
pub struct StorageError(Box<dyn std::error::Error + Send + Sync>);

/// The result of a storage operation.
pub type Result<T> = std::result::Result<T, StorageError>;

/// People's accounts.
///
/// # Contract
///
/// - Ids and e-mail addresses (compared in their canonical form) are unique at all times, whoever
///   writes at the same time.
/// - A read sees every write that was answered before.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// The account of this id.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The account of this address.
    async fn user_by_email(&self, email: &Email) -> Result<Option<User>>;

    /// Opens an account under the next free id.
    async fn register(&self, new: NewUser) -> Result<Registered>;

    /// Replaces a password if it is still `expected`; false if it is not, or there is no such
    /// account.
    async fn change_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// The accounts with ids above `after`, in order of their ids, at most `limit`.
    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>>;
}

/// An account that is to be opened.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// The address that the person logs in with.
    pub email: Email,
    /// The hash of the password.
    pub password: PasswordHash,
}

/// The answer to [`UserRepository::register`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The account, with its id.
    Opened(User),
    /// Somebody has an account with this address.
    EmailTaken,
}

/// The places where people check in.
#[async_trait]
pub trait LocationRepository: Send + Sync {
    /// The place of this id.
    async fn location(&self, id: LocationId) -> Result<Option<Location>>;

    /// What else is known of a place.
    async fn location_details(&self, id: LocationId) -> Result<Option<LocationDetails>>;
}

/// The log of all check-ins, in the order of their ids.
///
/// # Contract
///
/// - Ids grow: an entry that is appended later has a higher one, whoever appends.
/// - What was answered with [`Accepted::Stored`] is kept: on SQLite committed and synced to disk,
///   on Redis acknowledged.
/// - The duplicate check and the append are one step: of equal check-ins that arrive together one
///   is stored.
#[async_trait]
pub trait CheckinLog: Send + Sync {
    /// Appends a check-in, unless an identical one (same user, place and rating) was appended less
    /// than `duplicate_window` ago; a window of zero never refuses. A store need not remember a
    /// check-in for longer than the window that it was appended with, so callers agree on one.
    ///
    /// With an idempotency key the answer is remembered for [`IDEMPOTENCY_TTL`]: the same user's
    /// same key and check-in is [`Accepted::Replayed`] with the first answer's id, also within the
    /// duplicate window. A key is never looked up across users. A refused duplicate is not
    /// remembered.
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        duplicate_window: Duration,
    ) -> Result<Accepted>;

    /// The entries with ids above `after`, in order, at most `limit`.
    async fn checkins_after(&self, after: CheckinId, limit: usize) -> Result<Vec<Checkin>>;
}

/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer to [`CheckinLog::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// A new entry of this id.
    Stored(CheckinId),
    /// An identical check-in was appended too short a time ago; nothing was stored.
    Duplicate,
    /// The entry that this idempotency key made before; nothing was stored.
    Replayed(CheckinId),
    /// This idempotency key came with another check-in before; nothing was stored.
    KeyReused,
}

/// Takes data in bulk: demo data, imports.
///
/// # Contract
///
/// What is there already (the same id) stays as it is, so that loading twice changes nothing.
/// Records go in in the order given. A batch may be any size; callers send some hundreds at a time
/// and show progress in between.
#[async_trait]
pub trait BulkLoad: Send + Sync {
    /// Whether there is neither a user nor a place.
    async fn is_empty(&self) -> Result<bool>;

    /// Stores accounts. One answer for each, in order.
    async fn load_users(&self, users: &[User]) -> Result<Vec<Loaded>>;

    /// Stores places. One answer for each, in order.
    async fn load_locations(&self, locations: &[Location]) -> Result<Vec<Loaded>>;

    /// Stores what else is known of places. One answer for each, in order.
    async fn load_details(&self, details: &[LocationDetails]) -> Result<Vec<Loaded>>;

    /// Appends check-ins under the ids that they have. One answer for each, in order.
    async fn load_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>>;
}

/// What became of one record of a bulk load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is stored now.
    Stored,
    /// A record of its id was there; that one is as it was.
    Unchanged,
    /// This other user has the address; the record is not stored.
    EmailTaken(UserId),
    /// The log has a later entry already, and its ids only grow; the record is not stored.
    TooOld,
    /// The place that the details are of, or the user or place that the check-in names, is unknown;
    /// the record is not stored.
    Dangling,
}

/// Whether the store can be reached and is fit for its work.
#[async_trait]
pub trait Health: Send + Sync {
    /// Asks the store for a sign of life, writing nothing.
    async fn ping(&self) -> Result<()>;

    /// What `checkin doctor` has to say about the store.
    async fn diagnose(&self) -> Result<Vec<Finding>>;
}

/// One line of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it needs mending.
    pub severity: Severity,
    /// What is the matter, in one sentence.
    pub what: String,
    /// How to mend it; empty when nothing needs mending.
    pub mend: String,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// It works, but not as safely as it could.
    Warning,
    /// It does not work, or data will be lost.
    Problem,
}

impl Finding {
    /// Something that is as it should be.
    pub fn fine(what: impl Into<String>) -> Self {
        Self { severity: Severity::Fine, what: what.into(), mend: String::new() }
    }

    /// Something that works, but not as safely as it could.
    pub fn warning(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), mend: mend.into() }
    }

    /// Something that does not work, or will lose data.
    pub fn problem(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, what: what.into(), mend: mend.into() }
    }
}

impl StorageError {
    /// An error with its cause.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the storage failed")
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl From<tower_express_session::Error> for StorageError {
    fn from(cause: tower_express_session::Error) -> Self {
        Self::new(cause)
    }
}
