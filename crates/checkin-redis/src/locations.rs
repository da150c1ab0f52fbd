//! Locations in Redis.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use checkin_domain::{
    Category, Coordinates, DetailsSection, Location, LocationDetails, LocationId,
};
use checkin_storage::{Locations, Result, details, readable};
use redis_link::Reply;

use crate::RedisStorage;
use crate::connection::{Connection, ID_PAGE, at_once};
use crate::hash::{Fields, Hash};
use crate::reply::text;

/// The fields of a location's hash that are read.
pub(crate) const FIELDS: Fields =
    &["id", "name", "category", "location", "numCheckins", "numStars"];

#[async_trait]
impl Locations for RedisStorage {
    async fn location(&self, id: LocationId) -> Result<Option<Location>> {
        read(&self.redis, id).await
    }

    async fn coordinates(&self, id: LocationId) -> Result<Option<Coordinates>> {
        self.redis.hash(self.redis.keys.location(id), &["id", "location"], coordinates).await
    }

    async fn categories(&self, ids: &[LocationId]) -> Result<HashMap<LocationId, Category>> {
        let ids: HashSet<LocationId> = ids.iter().copied().collect();
        let read = |id| async move {
            let key = self.redis.keys.location(id);
            let found = self.redis.hash(key, &["id", "category"], category).await;
            Ok(readable(found)?.map(|category| (id, category)))
        };
        let found = at_once(ids.into_iter().map(read).collect()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn location_details(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<LocationDetails>> {
        let key = self.redis.keys.location_details(id);
        let read = async {
            match self.redis.call(&["GET", &key]).await? {
                Reply::Nil => Ok(None),
                json => details::from_json(id, &text(json)?, sections).map(Some),
            }
        };
        self.redis.reports.logged(&key, read.await)
    }

    async fn locations_after(
        &self,
        after: Option<LocationId>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        read_after(&self.redis, after, limit).await
    }

    async fn ratings(&self, id: LocationId) -> Result<[u64; 6]> {
        const STARS: [&str; 6] = ["0", "1", "2", "3", "4", "5"];
        let counts = |hash: &Hash<'_>| Ok(STARS.map(|stars| hash.number(stars).unwrap_or(0)));
        let counts = self.redis.hash(self.redis.keys.ratings(id), &STARS, counts).await?;
        Ok(counts.unwrap_or_default())
    }
}

/// Reads the location of this id.
pub(crate) async fn read(redis: &Connection, id: LocationId) -> Result<Option<Location>> {
    redis.hash(redis.keys.location(id), FIELDS, |hash| location(id, hash)).await
}

/// Reads the locations with ids above `after`, in order of their ids, at most `limit`.
pub(crate) async fn read_after(
    redis: &Connection,
    after: Option<LocationId>,
    limit: usize,
) -> Result<Vec<Location>> {
    let (mut after, mut locations) = (after.map_or(0, LocationId::get), Vec::new());
    while locations.len() < limit {
        let page = ID_PAGE.min(limit - locations.len());
        let ids: Vec<LocationId> = redis.ids_after(&redis.keys.location_ids(), after, page).await?;
        let Some(last) = ids.last() else {
            break;
        };
        after = last.get();
        let one = |id| async move { readable(read(redis, id).await) };
        let page = at_once(ids.into_iter().map(one).collect()).await?;
        // An id may be in the list before its location is written.
        locations.extend(page.into_iter().flatten());
    }
    Ok(locations)
}

/// Reads a location from its hash.
pub(crate) fn location(id: LocationId, hash: &Hash<'_>) -> Result<Location> {
    Ok(Location {
        id: hash.id(id)?,
        name: hash.text("name"),
        category: category(hash)?,
        coordinates: coordinates(hash)?,
        num_checkins: hash.number("numCheckins").unwrap_or(0),
        num_stars: hash.number("numStars").unwrap_or(0),
    })
}

fn category(hash: &Hash<'_>) -> Result<Category> {
    hash.required("category", str::parse)
}

fn coordinates(hash: &Hash<'_>) -> Result<Coordinates> {
    hash.required("location", str::parse)
}

/// Returns the fields of a location's hash.
pub(crate) fn fields(location: &Location) -> Vec<(&'static str, String)> {
    vec![
        ("id", location.id.to_string()),
        ("name", location.name.clone()),
        ("category", location.category.to_string()),
        ("location", location.coordinates.to_string()),
        ("numCheckins", location.num_checkins.to_string()),
        ("numStars", location.num_stars.to_string()),
        // Written as JavaScript writes numbers: 4.5, and 4.
        ("averageStars", location.average_stars().to_string()),
    ]
}
