//! Loading data in bulk.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Checkin, Location, LocationDetails, User, UserId};

/// Loads data in bulk: demo data, imports.
///
/// # Contract
///
/// A record whose id is already stored is not changed, so that loading twice changes nothing.
/// Records are stored in the given order. A batch may have any size; callers send some hundreds at a
/// time and show progress in between.
#[async_trait]
pub trait BulkLoad: Send + Sync {
    /// Returns whether there is neither a user nor a location.
    async fn is_empty(&self) -> Result<bool>;

    /// Stores accounts. Returns one result for each, in order.
    async fn load_users(&self, users: &[User]) -> Result<Vec<Loaded>>;

    /// Stores locations. Returns one result for each, in order.
    async fn load_locations(&self, locations: &[Location]) -> Result<Vec<Loaded>>;

    /// Stores details of locations. Returns one result for each, in order.
    async fn load_details(&self, details: &[LocationDetails]) -> Result<Vec<Loaded>>;

    /// Appends check-ins with the ids that they have. If the log has a later entry already, the
    /// check-in gets a new id, and its time is stored in a field. Returns one result for each, in
    /// order. A check-in is unchanged if an entry has its id, or if a loaded check-in has its user,
    /// location, rating and time. One that is neither, and older than what [`Retention`](crate::Retention)
    /// keeps, is too old. A private check-in keeps its id; it is unchanged if its user has a private one with
    /// this id, or with its location, rating and time. A check-in stays private or public, as it was loaded first: it is
    /// not stored if all that its user has at its location and time is public instead of private, or the reverse.
    async fn load_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>>;
}

/// The result of loading one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is stored now.
    Stored,
    /// A record with this id was already stored and was not changed.
    Unchanged,
    /// The record is not stored, because this other user has the address.
    EmailTaken(UserId),
    /// The record is not stored, because the location of the details, or the user or the location of the
    /// check-in, is unknown, or the user's account is deleted.
    Dangling,
    /// The check-in, which is not private, is not stored, because it is there as a private one.
    IsPrivate,
    /// The private check-in is not stored, because it is there as one that is not private.
    IsPublic,
    /// The check-in is not stored, because it is older than the histories that the store keeps: it may have
    /// been counted and removed.
    TooOld,
}
