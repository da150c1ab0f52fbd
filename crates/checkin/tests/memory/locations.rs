//! Locations.

use std::collections::HashMap;
use std::ops::Bound::{Excluded, Unbounded};

use async_trait::async_trait;
use checkin_domain::words::index_words;
use checkin_domain::{
    Category, Coordinates, DetailsSection, Location, LocationDetails, LocationId,
};
use checkin_storage::{Locations, Result, details};

use crate::store::{Contents, MemoryStorage, StoredLocation};

#[async_trait]
impl Locations for MemoryStorage {
    async fn location(&self, id: LocationId) -> Result<Option<Location>> {
        Ok(self.contents().places.get(&id).map(|stored| stored.place.clone()))
    }

    async fn coordinates(&self, id: LocationId) -> Result<Option<Coordinates>> {
        Ok(self.contents().places.get(&id).map(|stored| stored.place.coordinates))
    }

    async fn categories(&self, ids: &[LocationId]) -> Result<HashMap<LocationId, Category>> {
        let contents = self.contents();
        let category = |id| contents.places.get(id).map(|stored| (*id, stored.place.category));
        Ok(ids.iter().filter_map(category).collect())
    }

    async fn location_details(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<LocationDetails>> {
        self.contents().details_of(id, sections)
    }

    async fn locations_after(
        &self,
        after: Option<LocationId>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let contents = self.contents();
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        let places = contents.places.range(behind).take(limit);
        Ok(places.map(|(_, stored)| stored.place.clone()).collect())
    }

    async fn ratings(&self, id: LocationId) -> Result<[u64; 6]> {
        Ok(self.contents().places.get(&id).map_or([0; 6], |stored| stored.ratings))
    }
}

impl Contents {
    pub(crate) fn details_of(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<LocationDetails>> {
        let text = self.places.get(&id).and_then(|stored| stored.details.as_deref());
        text.map(|text| details::from_json(id, text, sections)).transpose()
    }

    /// Returns false if the id is taken.
    pub(crate) fn insert_location(&mut self, place: &Location) -> bool {
        if self.places.contains_key(&place.id) {
            return false;
        }
        let stored = StoredLocation {
            place: place.clone(),
            first: place.clone(),
            words: index_words(&place.name),
            details: None,
            ratings: [0; 6],
            folded: [0; 6],
        };
        self.places.insert(place.id, stored);
        true
    }
}
