//! Importing the histories of Swarm's users.

use async_trait::async_trait;

use crate::{Loaded, Result};
use checkin_domain::{Location, LocationId, Visit};

/// Loads histories of Swarm, and records what was loaded, so that importing any part of a history
/// again, in any order, duplicates nothing.
///
/// # Contract
///
/// - A venue has at most one location: the one that was recorded last.
/// - If several imports need a location for a venue at the same time, one is created.
/// - The next import finds what an interrupted import has done.
#[async_trait]
pub trait SwarmLoad: Send + Sync {
    /// Returns the locations of these venues, one result for each, in order.
    async fn locations_of(&self, venues: &[String]) -> Result<Vec<Option<LocationId>>>;

    /// Records the locations of these venues.
    async fn remember_venues(&self, venues: &[(String, LocationId)]) -> Result<()>;

    /// Creates a location for each of these venues that has none. Each venue must be named once. The
    /// location gets the id of the given location, or a higher one that is free. Returns one result for each,
    /// in order.
    async fn make_locations(&self, venues: &[(String, Location)]) -> Result<Vec<VenueLocation>>;

    /// Appends visits as [`BulkLoad::load_checkins`](super::BulkLoad::load_checkins) appends
    /// check-ins. Returns one result for each, in order. A visit is unchanged if a visit of its user
    /// with its Swarm id was loaded, even if their other fields differ. Otherwise it is unchanged if
    /// its user has a check-in at its location and time, of any rating, that does not belong to another
    /// visit. If that check-in belongs to another visit, the new one is stored a millisecond later,
    /// because Swarm's times are whole seconds. Private visits are stored as
    /// private check-ins are, and their Swarm ids are among those of the other visits. What was loaded first stays
    /// private, or public, also without a Swarm id: a visit is unchanged if it is, or was until it was retracted,
    /// at its location and time in the other form.
    async fn load_visits(&self, visits: &[Visit]) -> Result<Vec<Loaded>>;
}

/// The location of a venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VenueLocation {
    /// Its id.
    pub id: LocationId,
    /// Whether this call created it.
    pub made: bool,
}

/// Maximum number of visits of one user at one location in one second. They differ in their
/// milliseconds.
pub const VISITS_A_SECOND: u64 = 1000;
