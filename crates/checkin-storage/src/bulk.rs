//! Data in bulk.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Checkin, Location, LocationDetails, User, UserId};

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

    /// Appends check-ins under the ids that they have; one that the log is past, under an id of its
    /// own, with its time beside it. One answer for each, in order. What has the id of an entry, or
    /// the user, place, rating and time of one that was loaded like this, is there already.
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
    /// The place that the details are of, or the user or place that the check-in names, is unknown;
    /// the record is not stored.
    Dangling,
}
