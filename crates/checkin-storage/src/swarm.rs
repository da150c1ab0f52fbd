//! The histories of Swarm's users.

use async_trait::async_trait;

use crate::{Loaded, Result};
use checkin_domain::{Location, LocationId, Visit};

/// Takes histories of Swarm, and remembers what of them is here, so that importing any part of one
/// again, in any order, duplicates nothing.
///
/// # Contract
///
/// - A venue is at most one place: the one that was remembered last.
/// - However many imports want a place for a venue at the same time, one is made.
/// - What an import did before it was interrupted is found by the next one.
#[async_trait]
pub trait SwarmLoad: Send + Sync {
    /// Returns the places of these venues, one answer for each, in order.
    async fn places_of(&self, venues: &[String]) -> Result<Vec<Option<LocationId>>>;

    /// Remembers these venues as these places.
    async fn remember_venues(&self, venues: &[(String, LocationId)]) -> Result<()>;

    /// Makes a place for each of these venues, each named once, under the id of the given place or
    /// a higher one that is free; none for a venue whose place is there. One answer for each, in
    /// order.
    async fn make_places(&self, venues: &[(String, Location)]) -> Result<Vec<VenuePlace>>;

    /// Appends visits as [`BulkLoad::load_checkins`](super::BulkLoad::load_checkins) appends
    /// check-ins. One answer for each, in order. A visit is there already if one of its user and
    /// Swarm's id is, whatever else that one says. If none is, it is there already if there is a
    /// check-in of its user at its place and time, of any rating, that is not known as another visit.
    /// Beside one that is, it is stored a millisecond later: Swarm's times are whole seconds.
    async fn load_visits(&self, visits: &[Visit]) -> Result<Vec<Loaded>>;
}

/// The place of a venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VenuePlace {
    /// Its id.
    pub id: LocationId,
    /// Whether it was made just now.
    pub made: bool,
}

/// Visits of one user at one place in one second that are told apart, by their milliseconds.
pub const VISITS_A_SECOND: u64 = 1000;
