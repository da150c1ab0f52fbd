//! Where the check-ins come from.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use super::ExportedCheckin;
use crate::domain::{Checkin, Location, LocationId, UserId};
use crate::storage::{History, HistoryPosition, Locations, Result, readable};

/// Check-ins that are read in one go. As a file they have some 60 KB, which wait for as long as a
/// client is slow.
const PAGE: usize = 250;

/// Places that are remembered from page to page.
const MAX_PLACES: usize = 1000;

/// A user's history page by page, the latest first, with the places.
pub struct HistoryReader {
    history: Arc<dyn History>,
    locations: Arc<dyn Locations>,
    user: UserId,
    now_ms: u64,
    after: Option<HistoryPosition>,
    /// Each place once: who goes out goes to the same ones.
    places: HashMap<LocationId, Option<Location>>,
}

impl HistoryReader {
    /// Nothing is read yet. `now_ms` is the time in milliseconds since 1970.
    #[must_use]
    pub fn new(
        history: Arc<dyn History>,
        locations: Arc<dyn Locations>,
        user: UserId,
        now_ms: u64,
    ) -> Self {
        Self { history, locations, user, now_ms, after: None, places: HashMap::new() }
    }

    /// The next page; empty at the end.
    ///
    /// # Errors
    ///
    /// When the store fails; the page can be read again.
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

    /// A check-in of a page that was read, with its place. Ids may have run ahead of the clock: such
    /// a one is left out, as an import would refuse the check-in for it.
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
