//! Reads a location with its details: joins records of several kinds.

use crate::domain::{DetailsSection, Location, LocationDetails, LocationId};
use crate::storage::{Locations, StorageError, is_there, readable};

/// A location with its ratings and its details.
pub(crate) struct DescribedLocation {
    pub(crate) location: Location,
    /// The numbers of check-ins with no star, one star, and so on to five.
    pub(crate) ratings: [u64; 6],
    /// `None` if none are known, or none were asked for.
    pub(crate) details: Option<LocationDetails>,
}

/// Returns a location with these sections of its details, or `None` if it does not exist.
pub(crate) async fn described(
    locations: &dyn Locations,
    id: LocationId,
    sections: &[DetailsSection],
) -> Result<Option<DescribedLocation>, StorageError> {
    let Some(location) = locations.location(id).await? else { return Ok(None) };
    let ratings = locations.ratings(id).await?;
    let details = match sections {
        [] => None,
        // The location is shown without details that cannot be read.
        sections => readable(locations.location_details(id, sections).await)?,
    };
    Ok(Some(DescribedLocation { location, ratings, details }))
}

/// Returns whether the location is stored. An unreadable location counts as stored, because the
/// lists do not show it.
pub(crate) async fn is_stored(
    locations: &dyn Locations,
    id: LocationId,
) -> Result<bool, StorageError> {
    is_there(locations.location(id).await)
}
