//! Finds locations near a point: all of them, or only those that are open.

use std::sync::Arc;

use super::local_time::LocalTime;
use crate::domain::{Location, OpeningHours};
use crate::storage::{Directory, Nearby, Page, Position, Ranked, StorageError};

/// The maximum number of candidates that a request checks. After that it returns the open ones among
/// them.
const MAX_CANDIDATES: usize = 1000;

/// The number of candidates whose opening hours are read at once.
const CANDIDATES: usize = 100;

/// Finds locations near a point.
pub(crate) struct NearbyLocations {
    directory: Arc<dyn Directory>,
    local_time: LocalTime,
}

/// A page of locations, the nearest first, and the position of the next page if there is one.
pub(crate) struct NearbyPage {
    pub(crate) locations: Vec<Ranked<Location>>,
    pub(crate) next: Option<Position>,
}

impl NearbyLocations {
    pub(crate) fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory, local_time: LocalTime::new() }
    }

    /// Returns a page of all locations.
    pub(crate) async fn all(&self, near: Nearby, page: Page) -> Result<NearbyPage, StorageError> {
        let one_more = Page { limit: page.limit + 1, ..page };
        Ok(NearbyPage::cut(self.directory.nearby(near, one_more).await?, page.limit))
    }

    /// Returns a page of the locations that are open at `now_ms` (milliseconds since 1970) in their
    /// local time. It may have fewer locations than its limit, or none, although there is a next
    /// page.
    pub(crate) async fn open(
        &self,
        near: Nearby,
        page: Page,
        now_ms: u64,
    ) -> Result<NearbyPage, StorageError> {
        let (mut open, mut looked_at, mut after) = (Vec::new(), 0, page.after);
        loop {
            let candidates = self.directory.nearby(near, Page { after, limit: CANDIDATES }).await?;
            let is_last = candidates.len() < CANDIDATES;
            looked_at += candidates.len();
            after = candidates.last().map(position);
            open.extend(self.open_of(candidates, now_ms).await?);
            if open.len() > page.limit {
                return Ok(NearbyPage::cut(open, page.limit));
            }
            if is_last || looked_at >= MAX_CANDIDATES {
                return Ok(NearbyPage { locations: open, next: after.filter(|_| !is_last) });
            }
        }
    }

    async fn open_of(
        &self,
        candidates: Vec<Ranked<Location>>,
        now_ms: u64,
    ) -> Result<Vec<Ranked<Location>>, StorageError> {
        let ids: Vec<_> = candidates.iter().map(|candidate| candidate.item.id).collect();
        let hours = self.directory.hours_of(&ids).await?;
        let is_open = |(candidate, hours): (Ranked<Location>, Option<OpeningHours>)| {
            let (day, minute) = self.local_time.at(candidate.item.coordinates, now_ms);
            hours?.is_open(day, minute).then_some(candidate)
        };
        Ok(candidates.into_iter().zip(hours).filter_map(is_open).collect())
    }
}

impl NearbyPage {
    /// Returns a page with the first `limit` locations. There is a next page if there are more.
    fn cut(mut locations: Vec<Ranked<Location>>, limit: usize) -> Self {
        let has_more = locations.len() > limit;
        locations.truncate(limit);
        let next = locations.last().filter(|_| has_more).map(position);
        Self { locations, next }
    }
}

fn position(location: &Ranked<Location>) -> Position {
    Position { rank: location.rank, id: location.item.id.get() }
}
