//! Reads the check-ins to export.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use super::ExportedCheckin;
use crate::domain::{Checkin, Location, LocationId, UserId};
use crate::storage::{History, HistoryPosition, Locations, Result, readable};

/// The number of check-ins that are read at once. They take about 60 KB in a file, which wait as
/// long as a client is slow.
const PAGE: usize = 250;

/// The maximum number of locations that are cached between pages.
const MAX_PLACES: usize = 1000;

/// Reads a user's history page by page, the latest check-in first, with the locations.
pub struct HistoryReader {
    history: Arc<dyn History>,
    locations: Arc<dyn Locations>,
    user: UserId,
    now_ms: u64,
    after: Option<HistoryPosition>,
    /// Cached locations, because users often return to the same ones.
    places: HashMap<LocationId, Option<Location>>,
}

impl HistoryReader {
    /// Creates a reader at the start. `now_ms` is the time in milliseconds since 1970.
    #[must_use]
    pub fn new(
        history: Arc<dyn History>,
        locations: Arc<dyn Locations>,
        user: UserId,
        now_ms: u64,
    ) -> Self {
        Self { history, locations, user, now_ms, after: None, places: HashMap::new() }
    }

    /// Returns the next page, which is empty at the end.
    ///
    /// # Errors
    ///
    /// If the store fails. The page can be read again.
    pub async fn next_page(&mut self) -> Result<Vec<Checkin>> {
        let page = self.history.of_user(self.user, self.after, PAGE).await?;
        if self.places.len() > MAX_PLACES {
            self.places.clear();
        }
        for checkin in &page {
            if let Entry::Vacant(entry) = self.places.entry(checkin.location) {
                entry.insert(readable(self.locations.location(checkin.location).await)?);
            }
        }
        self.after = page.last().map(HistoryPosition::from).or(self.after);
        Ok(page)
    }

    /// Returns a check-in of a page with its location. An id that is ahead of the clock is left
    /// out, because an import would refuse the check-in.
    #[must_use]
    pub fn visit(&self, checkin: Checkin) -> ExportedCheckin<'_> {
        let id = Some(checkin.id).filter(|id| id.is_portable(self.now_ms));
        let location = self.places.get(&checkin.location).and_then(Option::as_ref);
        ExportedCheckin { id, checkin, location }
    }
}

impl fmt::Debug for HistoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryReader").field("user", &self.user).finish_non_exhaustive()
    }
}
