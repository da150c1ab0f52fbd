//! Places in Redis.

use async_trait::async_trait;

use super::hash::Hash;
use super::{ID_PAGE, RedisStorage, Reply, at_once, text};
use checkin_domain::{
    Category, Coordinates, DetailsSection, Location, LocationDetails, LocationId,
};
use checkin_storage::{LocationRepository, Result, details, readable};

#[async_trait]
impl LocationRepository for RedisStorage {
    async fn location(&self, id: LocationId) -> Result<Option<Location>> {
        self.hash(self.keys.location(id), |hash| location(id, hash)).await
    }

    async fn coordinates(&self, id: LocationId) -> Result<Option<Coordinates>> {
        self.hash(self.keys.location(id), coordinates).await
    }

    async fn category(&self, id: LocationId) -> Result<Option<Category>> {
        self.hash(self.keys.location(id), category).await
    }

    async fn location_details(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<LocationDetails>> {
        let key = self.keys.location_details(id);
        let read = async {
            match self.call(&["GET", &key]).await? {
                Reply::Nil => Ok(None),
                json => details::from_json(id, &text(json)?, sections).map(Some),
            }
        };
        self.reports.told(&key, read.await)
    }

    async fn locations_after(
        &self,
        after: Option<LocationId>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let (mut after, mut locations) = (after.map_or(0, LocationId::get), Vec::new());
        while locations.len() < limit {
            let page = ID_PAGE.min(limit - locations.len());
            let ids: Vec<LocationId> =
                self.ids_after(&self.keys.location_ids(), after, page).await?;
            let Some(last) = ids.last() else {
                break;
            };
            after = last.get();
            let read = |id| async move { readable(self.location(id).await) };
            let page = at_once(ids.into_iter().map(read).collect()).await?;
            // An id may stand in the list before its place is written.
            locations.extend(page.into_iter().flatten());
        }
        Ok(locations)
    }

    async fn ratings(&self, id: LocationId) -> Result<[u64; 6]> {
        let key = self.keys.ratings(id);
        let reply = self.call(&["HGETALL", &key]).await?;
        let counts = Hash::read(key, reply)?;
        let count = |stars: usize| counts.as_ref()?.number(&stars.to_string());
        Ok(std::array::from_fn(|stars| count(stars).unwrap_or(0)))
    }
}

/// The place in a hash.
pub(super) fn location(id: LocationId, hash: &Hash) -> Result<Location> {
    Ok(Location {
        id: hash.id(id)?,
        name: hash.text("name"),
        category: category(hash)?,
        coordinates: coordinates(hash)?,
        num_checkins: hash.number("numCheckins").unwrap_or(0),
        num_stars: hash.number("numStars").unwrap_or(0),
    })
}

fn category(hash: &Hash) -> Result<Category> {
    hash.required("category", str::parse)
}

fn coordinates(hash: &Hash) -> Result<Coordinates> {
    hash.required("location", str::parse)
}

/// The fields of a place's hash.
pub(super) fn fields(location: &Location) -> Vec<(&'static str, String)> {
    vec![
        ("id", location.id.to_string()),
        ("name", location.name.clone()),
        ("category", location.category.to_string()),
        ("location", location.coordinates.to_string()),
        ("numCheckins", location.num_checkins.to_string()),
        ("numStars", location.num_stars.to_string()),
        // As JavaScript writes numbers: 4.5, and 4.
        ("averageStars", location.average_stars().to_string()),
    ]
}
