//! Reads a place with its details, and the people there: joins records of several kinds.

use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::domain::{Checkin, DetailsSection, Location, LocationDetails, LocationId, Name, User};
use crate::storage::{
    Directory, History, HistoryPosition, Locations, Page, Ranked, StorageError, Users, is_there,
    readable,
};

/// Reads places, and who was there. The results are `None` if there is no such place.
pub(crate) struct Places {
    pub(crate) locations: Arc<dyn Locations>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) users: Arc<dyn Users>,
}

/// A place with its ratings and its details.
pub(crate) struct Described {
    pub(crate) location: Location,
    /// Check-ins with no star, one star, and so on to five.
    pub(crate) ratings: [u64; 6],
    /// `None` if none are known, or none were asked for.
    pub(crate) details: Option<LocationDetails>,
}

impl Places {
    /// Reads a place with these sections of its details.
    pub(crate) async fn described(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<Described>, StorageError> {
        let Some(location) = self.locations.location(id).await? else { return Ok(None) };
        let ratings = self.locations.ratings(id).await?;
        let details = match sections {
            [] => None,
            sections => self.locations.location_details(id, sections).await?,
        };
        Ok(Some(Described { location, ratings, details }))
    }

    /// Reads the check-ins at a place, each with the name of its user, or `None` if the user is
    /// gone. The order and the position are those of [`History::of_location`].
    pub(crate) async fn visitors(
        &self,
        id: LocationId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Option<Vec<(Checkin, Option<Name>)>>, StorageError> {
        if !self.is_there(id).await? {
            return Ok(None);
        }
        let checkins = self.history.of_location(id, after, limit).await?;
        let read = async |id| readable(self.users.name(id).await);
        let names = try_join_all(checkins.iter().map(|checkin| read(checkin.user))).await?;
        Ok(Some(checkins.into_iter().zip(names).collect()))
    }

    /// Reads the users who were last seen at a place.
    pub(crate) async fn users_at(
        &self,
        id: LocationId,
        page: Page,
    ) -> Result<Option<Vec<Ranked<User>>>, StorageError> {
        if !self.is_there(id).await? {
            return Ok(None);
        }
        self.directory.users_at(id, page).await.map(Some)
    }

    /// Whether the place is stored. A place that cannot be read counts: the lists do not show it.
    async fn is_there(&self, id: LocationId) -> Result<bool, StorageError> {
        is_there(self.locations.location(id).await)
    }
}
