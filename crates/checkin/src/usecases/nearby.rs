//! Finds locations near a point: all of them, or only those with a rating, or that are open.

use std::sync::Arc;

use super::local_time::LocalTime;
use crate::domain::{Location, StarRating};
use crate::storage::{
    Directory, FoundLocations, MAX_CANDIDATES, Nearby, Page, Ranked, StorageError,
};

/// The number of candidates that are read first. Often they fill a page.
const FIRST_CANDIDATES: usize = 100;

/// Finds locations near a point.
pub(crate) struct NearbyLocations {
    directory: Arc<dyn Directory>,
    local_time: LocalTime,
}

/// What a location must have, beside its distance and its category. No index knows it, so candidates are
/// checked one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// At least this average rating (rounded to one decimal, as displayed).
    pub(crate) min_stars: Option<StarRating>,
    /// Opening hours that contain this time (milliseconds since 1970), as local time.
    pub(crate) open_at_ms: Option<u64>,
}

impl NearbyLocations {
    pub(crate) fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory, local_time: LocalTime::new() }
    }

    /// Returns a page of the locations that are wanted. If not all of them are, it may have fewer locations
    /// than its limit, or none, although there is a next page.
    pub(crate) async fn find(
        &self,
        near: Nearby,
        wanted: Wanted,
        page: Page,
    ) -> Result<FoundLocations, StorageError> {
        if wanted == Wanted::default() {
            let one_more = Page { limit: page.limit + 1, ..page };
            return Ok(self.directory.nearby(near, one_more).await?.cut(page.limit));
        }
        let mut found = FoundLocations::default();
        let (mut looked_at, mut after) = (0, page.after);
        while looked_at < MAX_CANDIDATES {
            let limit = looked_at.max(FIRST_CANDIDATES).min(MAX_CANDIDATES - looked_at);
            let FoundLocations { locations: candidates, next } =
                self.directory.nearby(near, Page { after, limit }).await?;
            let is_last = candidates.len() < limit;
            looked_at += limit;
            after = candidates.last().map(Ranked::position);
            found.locations.extend(self.wanted_of(candidates, wanted).await?);
            if is_last || found.locations.len() > page.limit {
                // The store may have checked as many as it can.
                found.next = next;
                return Ok(found.cut(page.limit));
            }
        }
        found.next = after;
        Ok(found)
    }

    async fn wanted_of(
        &self,
        mut candidates: Vec<Ranked<Location>>,
        wanted: Wanted,
    ) -> Result<Vec<Ranked<Location>>, StorageError> {
        if let Some(least) = wanted.min_stars {
            candidates.retain(|found| found.item.average_stars() >= f64::from(least.get()));
        }
        let Some(now_ms) = wanted.open_at_ms else {
            return Ok(candidates);
        };
        let ids: Vec<_> = candidates.iter().map(|candidate| candidate.item.id).collect();
        let mut hours = self.directory.hours_of(&ids).await?.into_iter();
        candidates.retain(|candidate| {
            let is_open = hours.next().flatten().map(|hours| {
                let (day, minute) = self.local_time.at(candidate.item.coordinates, now_ms);
                hours.is_open(day, minute)
            });
            is_open == Some(true)
        });
        Ok(candidates)
    }
}
