//! Reads a location with its details, and its visitors: joins records of several kinds.

use futures_util::future::try_join_all;

use crate::domain::{Checkin, DetailsSection, Location, LocationDetails, LocationId, Name, User};
use crate::storage::{
    Directory, History, HistoryPosition, Locations, Page, Ranked, StorageError, Users, is_there,
    readable,
};

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
        sections => locations.location_details(id, sections).await?,
    };
    Ok(Some(DescribedLocation { location, ratings, details }))
}

/// Returns the check-ins at a location, or `None` if it does not exist. Each check-in has the name of
/// its user, or `None` if the user no longer exists. The order and the position are those of
/// [`History::of_location`].
pub(crate) async fn visitors(
    locations: &dyn Locations,
    history: &dyn History,
    users: &dyn Users,
    id: LocationId,
    after: Option<HistoryPosition>,
    limit: usize,
) -> Result<Option<Vec<(Checkin, Option<Name>)>>, StorageError> {
    if !is_stored(locations, id).await? {
        return Ok(None);
    }
    let checkins = history.of_location(id, after, limit).await?;
    let read = async |id| readable(users.name(id).await);
    let names = try_join_all(checkins.iter().map(|checkin| read(checkin.user))).await?;
    Ok(Some(checkins.into_iter().zip(names).collect()))
}

/// Returns the users who were last seen at a location, or `None` if it does not exist.
pub(crate) async fn users_at(
    locations: &dyn Locations,
    directory: &dyn Directory,
    id: LocationId,
    page: Page,
) -> Result<Option<Vec<Ranked<User>>>, StorageError> {
    if !is_stored(locations, id).await? {
        return Ok(None);
    }
    directory.users_at(id, page).await.map(Some)
}

/// Returns whether the location is stored. An unreadable location counts as stored, because the
/// lists do not show it.
async fn is_stored(locations: &dyn Locations, id: LocationId) -> Result<bool, StorageError> {
    is_there(locations.location(id).await)
}
