//! Lists of users and of places, from indexes.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Category, Coordinates, Location, LocationId, OpeningHours, StarRating, User};

/// Lists of users and places, in pages.
///
/// # Contract
///
/// - Each list has an order: by the rank that is named, and among equals by an order of the store's
///   own that does not change. A page begins after its [`Position`], wherever that record is now.
/// - The time for a page grows with the page and hardly with the number of users or places.
/// - What the processors write into the indexes is there once the batch is complete; a user or a
///   place that is gone is left out.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Users by their last check-in (milliseconds since 1970), the latest first.
    async fn recent_users(&self, page: Page) -> Result<Vec<Ranked<User>>>;

    /// Users by their number of check-ins, most first. Those without any are left out.
    async fn top_users(&self, period: Period, page: Page) -> Result<Vec<Ranked<User>>>;

    /// Users whose last check-in was at this place, by its time, the latest first.
    async fn users_at(&self, location: LocationId, page: Page) -> Result<Vec<Ranked<User>>>;

    /// Places by their number of check-ins, most first. Those without any are left out.
    async fn top_locations(&self, period: Period, page: Page) -> Result<Vec<Ranked<Location>>>;

    /// Places of a category by their id (the rank), lowest first.
    async fn locations_in(&self, category: Category, page: Page) -> Result<Vec<Ranked<Location>>>;

    /// Places within a circle by their distance (in millimetres), nearest first.
    async fn nearby(&self, near: Nearby, page: Page) -> Result<Vec<Ranked<Location>>>;

    /// Places in whose name a word begins with each of these words, by their id (the rank), lowest
    /// first. Case does not matter. At most [`MAX_SEARCH_WORDS`] words count.
    async fn search_locations(&self, words: &str, page: Page) -> Result<Vec<Ranked<Location>>>;

    /// The opening hours of these places, one for each, in order; nothing where none are known.
    async fn hours_of(&self, ids: &[LocationId]) -> Result<Vec<Option<OpeningHours>>>;
}

/// More words than a name has.
pub const MAX_SEARCH_WORDS: usize = 8;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page begins behind this record; with none, at the first one.
    pub after: Option<Position>,
    /// Records at most. Fewer come only at the end of the list.
    pub limit: usize,
}

/// The place of a record in a list: what it is ordered by, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// As the list says.
    pub rank: u64,
    /// Of the user or the place.
    pub id: u64,
}

/// A record, and what its list is ordered by.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked<T> {
    /// As the list says.
    pub rank: u64,
    /// The record.
    pub item: T,
}

/// Of which time a leaderboard tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From the beginning.
    AllTime,
    /// The week with this moment in it (milliseconds since 1970), from Monday 00:00 UTC.
    WeekOf(u64),
}

/// Places near a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearby {
    /// The point.
    pub center: Coordinates,
    /// In metres.
    pub radius_m: f64,
    /// Of this category alone.
    pub category: Option<Category>,
    /// With at least this average (to one decimal, as it is shown).
    pub min_stars: Option<StarRating>,
}
