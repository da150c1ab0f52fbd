//! Checks in, and deletes check-ins.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::throttle::{Quota, RateLimit};
use crate::domain::{CheckinId, LocationId, NewCheckin, UserId};
use crate::metrics::Throttled;
use crate::storage::{
    Accepted, Admission, Locations, Log, Retracted, Retractions, Status, StorageError, Users,
    is_there,
};
use crate::traces::recorded;

/// The maximum number of locations, and of users, that are cached as existing. Locations are never
/// deleted.
const MAX_KNOWN: usize = 1_000_000;

/// How long it is cached that a user exists: as long as a session is cached by default.
const USER_KNOWN_FOR: Duration = Duration::from_millis(250);

/// Validates check-ins and appends them to the log.
pub(crate) struct CheckIn {
    log: Arc<dyn Log>,
    retractions: Arc<dyn Retractions>,
    locations: Arc<dyn Locations>,
    users: Arc<dyn Users>,
    known_locations: Cache<LocationId, ()>,
    /// When each user was read.
    known_users: Cache<UserId, Instant>,
    admission: Admission,
    rate: RateLimit<UserId>,
    throttled: Throttled,
}

/// Why a check-in was not stored.
#[derive(Debug)]
pub(crate) enum CheckInError {
    /// The check-in names another user than the one who is logged in.
    AnotherUser,
    /// The user does not exist, or is deleted.
    UnknownUser,
    /// The location does not exist.
    UnknownLocation,
    /// The user made too many check-ins.
    TooMany(Quota),
    /// An identical check-in was stored a moment ago.
    Duplicate,
    /// The idempotency key was used for another check-in before.
    KeyReused,
    /// The processors are too far behind the log.
    Behind,
    /// The store failed.
    Storage(StorageError),
}

impl CheckIn {
    /// Creates the use case. Each user may make `rate_per_user` check-ins a second, and ten times
    /// as many in a burst; 0 means unlimited.
    pub(crate) fn new(
        log: Arc<dyn Log>,
        retractions: Arc<dyn Retractions>,
        locations: Arc<dyn Locations>,
        users: Arc<dyn Users>,
        admission: Admission,
        rate_per_user: u32,
        throttled: Throttled,
    ) -> Self {
        Self {
            log,
            retractions,
            locations,
            users,
            known_locations: Cache::new(MAX_KNOWN),
            known_users: Cache::new(MAX_KNOWN),
            admission,
            rate: RateLimit::per_second("check-ins", rate_per_user),
            throttled,
        }
    }

    /// Stores a check-in and returns its id, and how many more the user may make. If the same check-in was stored with this idempotency
    /// key before, returns the earlier id. `owner` is the user who is logged in; `None` if no login
    /// is required.
    ///
    /// # Errors
    ///
    /// As [`CheckInError`] says; nothing is stored then.
    ///
    /// # Cancel safety
    ///
    /// The check-in may be stored even if the future is dropped.
    pub(crate) async fn check_in(
        &self,
        owner: Option<UserId>,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
    ) -> Result<(CheckinId, Option<Quota>), CheckInError> {
        match owner {
            Some(owner) if owner != checkin.user => return Err(CheckInError::AnotherUser),
            Some(_) => {}
            None => self.expect_user(checkin.user).await?,
        }
        let quota = self.rate.take(&checkin.user).map_err(|quota| {
            self.throttled.checkin_rate.inc();
            CheckInError::TooMany(quota)
        })?;
        self.expect_location(checkin.location).await?;
        let append = self.log.append(checkin, idempotency_key, self.admission);
        match recorded("append check-in", append).await? {
            Accepted::Stored(id) | Accepted::Replayed(id) => Ok((id, quota)),
            Accepted::Duplicate => Err(CheckInError::Duplicate),
            Accepted::KeyReused => Err(CheckInError::KeyReused),
            Accepted::Behind => {
                self.throttled.backlog.inc();
                Err(CheckInError::Behind)
            }
        }
    }

    /// Deletes a check-in of a user, and returns how many more the user may make or delete.
    ///
    /// # Errors
    ///
    /// As [`DeletionError`] says.
    ///
    /// # Cancel safety
    ///
    /// The check-in may be deleted even if the future is dropped.
    pub(crate) async fn delete(
        &self,
        user: UserId,
        id: CheckinId,
    ) -> Result<Option<Quota>, DeletionError> {
        let quota = self.rate.take(&user).map_err(|quota| {
            self.throttled.checkin_rate.inc();
            DeletionError::TooMany(quota)
        })?;
        match recorded("retract check-in", self.retractions.retract(user, id)).await? {
            Retracted::Done => Ok(quota),
            Retracted::Unknown => Err(DeletionError::Unknown),
            Retracted::TooOld => Err(DeletionError::TooOld),
        }
    }

    async fn expect_location(&self, id: LocationId) -> Result<(), CheckInError> {
        if self.known_locations.get(&id).is_none() {
            if !is_there(self.locations.location(id).await)? {
                return Err(CheckInError::UnknownLocation);
            }
            self.known_locations.insert(id, ());
        }
        Ok(())
    }

    async fn expect_user(&self, id: UserId) -> Result<(), CheckInError> {
        if self.known_users.get(&id).is_some_and(|read| read.elapsed() < USER_KNOWN_FOR) {
            return Ok(());
        }
        let now = Instant::now();
        match self.users.user_with_standing(id).await {
            Ok(Some((_, standing))) if standing.status != Status::Deleted => {}
            Ok(_) => return Err(CheckInError::UnknownUser),
            Err(error) if error.is_unreadable() => {}
            Err(error) => return Err(error.into()),
        }
        self.known_users.insert(id, now);
        Ok(())
    }
}

/// Why a check-in was not deleted.
#[derive(Debug)]
pub(crate) enum DeletionError {
    /// The user has no such check-in.
    Unknown,
    /// The check-in may be in the base figures, which do not know it.
    TooOld,
    /// The user made or deleted too many check-ins.
    TooMany(Quota),
    /// The store failed.
    Storage(StorageError),
}

impl From<StorageError> for DeletionError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<StorageError> for CheckInError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
