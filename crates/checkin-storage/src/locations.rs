//! Places.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{
    Category, Coordinates, DetailsSection, Location, LocationDetails, LocationId,
};

/// The places where people check in.
#[async_trait]
pub trait Locations: Send + Sync {
    /// The place of this id.
    async fn location(&self, id: LocationId) -> Result<Option<Location>>;

    /// Where a place is. Reads nothing else of it.
    async fn coordinates(&self, id: LocationId) -> Result<Option<Coordinates>>;

    /// The category of a place. Reads nothing else of it.
    async fn category(&self, id: LocationId) -> Result<Option<Category>>;

    /// These sections of what else is known of a place; the others are not read, and empty.
    async fn location_details(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<LocationDetails>>;

    /// The places with ids above `after`, in order of their ids, at most `limit`.
    async fn locations_after(
        &self,
        after: Option<LocationId>,
        limit: usize,
    ) -> Result<Vec<Location>>;

    /// How many check-ins gave a place no star, one star, and so on to five; zeros for one that is
    /// unknown. Only check-ins that are in its history count.
    async fn ratings(&self, id: LocationId) -> Result<[u64; 6]>;
}
