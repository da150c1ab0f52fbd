//! Locations.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{
    Category, Coordinates, DetailsSection, Location, LocationDetails, LocationId,
};

/// The locations where people check in.
#[async_trait]
pub trait Locations: Send + Sync {
    /// Returns the location with this id.
    async fn location(&self, id: LocationId) -> Result<Option<Location>>;

    /// Returns the coordinates of a location. Reads nothing else of it.
    async fn coordinates(&self, id: LocationId) -> Result<Option<Coordinates>>;

    /// Returns the categories of these locations, which may repeat, without those that do not exist or cannot be read.
    /// Reads nothing else of them.
    async fn categories(&self, ids: &[LocationId]) -> Result<HashMap<LocationId, Category>>;

    /// Returns these sections of a location's details. The other sections are not read and are empty.
    async fn location_details(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<LocationDetails>>;

    /// Returns the locations with ids above `after`, in order of their ids, at most `limit`.
    async fn locations_after(
        &self,
        after: Option<LocationId>,
        limit: usize,
    ) -> Result<Vec<Location>>;

    /// Returns the number of check-ins that gave a location 0, 1, 2, 3, 4 and 5 stars; zeros if the location
    /// is unknown. Only check-ins in its history count.
    async fn ratings(&self, id: LocationId) -> Result<[u64; 6]>;
}
