//! Lists of users and of locations, from indexes.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Category, Coordinates, Location, LocationId, OpeningHours, User};

/// Lists of users and locations, in pages.
///
/// # Contract
///
/// - Each list is ordered by the rank that its method names. Records of equal rank are in an order that
///   the store chooses and does not change. A page begins after its [`Position`], even if that record
///   is elsewhere now.
/// - The time for a page depends on the page, and hardly on the number of users or locations.
/// - The lists contain the changes of a batch as soon as the batch is applied. A user or a location that
///   no longer exists is left out.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Returns users by their last check-in (milliseconds since 1970), latest first.
    async fn recent_users(&self, page: Page) -> Result<Vec<Ranked<User>>>;

    /// Returns users by their number of check-ins, most first. Users without a check-in are left out.
    async fn top_users(&self, period: Period, page: Page) -> Result<Vec<Ranked<User>>>;

    /// Returns users whose last check-in was at this location, by its time, latest first.
    async fn users_at(&self, location: LocationId, page: Page) -> Result<Vec<Ranked<User>>>;

    /// Returns locations by their number of check-ins, most first. Locations without a check-in are left out.
    async fn top_locations(&self, period: Period, page: Page) -> Result<Vec<Ranked<Location>>>;

    /// Returns the locations of a category by their id (the rank), lowest first.
    async fn locations_in(&self, category: Category, page: Page) -> Result<Vec<Ranked<Location>>>;

    /// Returns locations within a circle by their distance (in millimetres), nearest first.
    async fn nearby(&self, near: Nearby, page: Page) -> Result<FoundLocations>;

    /// Returns the locations whose names have, for each of these words, a word that begins with it, by
    /// their id (the rank), lowest first. Case does not matter. Only the first [`MAX_SEARCH_WORDS`]
    /// words are used.
    async fn search_locations(&self, words: &str, page: Page) -> Result<FoundLocations>;

    /// Returns the opening hours of these locations, one for each, in order; `None` where they are
    /// unknown.
    async fn hours_of(&self, ids: &[LocationId]) -> Result<Vec<Option<OpeningHours>>>;
}

/// Maximum number of words in a search. Names have fewer words.
pub const MAX_SEARCH_WORDS: usize = 8;

/// The maximum number of candidates that a request checks one by one, where no index leads to those that it
/// wants. After that it returns those that it found.
pub const MAX_CANDIDATES: usize = 1000;

/// A page of locations that a search found among its candidates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundLocations {
    /// The locations. There may be fewer than the limit of the page, or none, although there are more of them.
    pub locations: Vec<Ranked<Location>>,
    /// The position from which the search goes on, if it ended before the page was full and before the end of
    /// the list.
    pub next: Option<Position>,
}

impl FoundLocations {
    /// Returns the first `limit` locations. If there are more, the next page begins after these.
    #[must_use]
    pub fn cut(mut self, limit: usize) -> Self {
        if self.locations.len() > limit {
            self.locations.truncate(limit);
            self.next = self.locations.last().map(Ranked::position);
        }
        self
    }
}

/// The part of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page begins after this record; with `None`, at the first one.
    pub after: Option<Position>,
    /// Maximum number of records. There are fewer only at the end of the list.
    pub limit: usize,
}

/// The position of a record in a list: its rank and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The rank, by which the list is ordered.
    pub rank: u64,
    /// The id of the user or the location.
    pub id: u64,
}

/// A record with its rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked<T> {
    /// The rank, by which the list is ordered.
    pub rank: u64,
    /// The record.
    pub item: T,
}

impl Ranked<Location> {
    pub fn position(&self) -> Position {
        Position { rank: self.rank, id: self.item.id.get() }
    }
}

/// The time that a leaderboard covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// All check-ins.
    AllTime,
    /// The week that contains this time (milliseconds since 1970); it begins on Monday 00:00 UTC.
    WeekOf(u64),
}

/// A search for locations near a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearby {
    /// The point.
    pub center: Coordinates,
    /// The radius in metres.
    pub radius_m: f64,
    /// Finds only locations of this category.
    pub category: Option<Category>,
}
