//! Lists of users and of places in Redis.

use async_trait::async_trait;

use super::page::Order::{HighestFirst, LowestFirst};
use super::{RedisStorage, at_once};
use checkin_domain::{
    Category, DetailsSection, Location, LocationId, OpeningHours, User, UserId, monday_ms,
};
use checkin_storage::{
    Directory, LocationRepository, Nearby, Page, Period, Position, Ranked, Result, UserRepository,
    readable,
};

#[async_trait]
impl Directory for RedisStorage {
    async fn recent_users(&self, page: Page) -> Result<Vec<Ranked<User>>> {
        let key = self.keys.recent_users();
        self.page(&key, HighestFirst, page, |entry| self.listed_user(entry)).await
    }

    async fn top_users(&self, period: Period, page: Page) -> Result<Vec<Ranked<User>>> {
        let key = match period {
            Period::AllTime => self.keys.top_users(),
            Period::WeekOf(ms) => self.keys.top_users_of_week(monday_ms(ms)),
        };
        self.page(&key, HighestFirst, page, |entry| self.listed_user(entry)).await
    }

    async fn users_at(&self, location: LocationId, page: Page) -> Result<Vec<Ranked<User>>> {
        let key = self.keys.users_at(location);
        self.page(&key, HighestFirst, page, |entry| self.user_at(location, entry)).await
    }

    async fn top_locations(&self, period: Period, page: Page) -> Result<Vec<Ranked<Location>>> {
        let key = match period {
            Period::AllTime => self.keys.top_locations(),
            Period::WeekOf(ms) => self.keys.top_locations_of_week(monday_ms(ms)),
        };
        self.page(&key, HighestFirst, page, |entry| self.listed_location(entry)).await
    }

    async fn locations_in(&self, category: Category, page: Page) -> Result<Vec<Ranked<Location>>> {
        let key = self.keys.locations_in(category);
        self.page(&key, LowestFirst, page, |entry| self.listed_location(entry)).await
    }

    async fn nearby(&self, near: Nearby, page: Page) -> Result<Vec<Ranked<Location>>> {
        self.places_near(near, page).await
    }

    async fn search_locations(&self, words: &str, page: Page) -> Result<Vec<Ranked<Location>>> {
        self.places_named(words, page).await
    }

    async fn hours_of(&self, ids: &[LocationId]) -> Result<Vec<Option<OpeningHours>>> {
        let read = |id| async move {
            let details = self.location_details(id, &[DetailsSection::Hours]).await;
            Ok(readable(details)?.map(|details| details.hours))
        };
        at_once(ids.iter().copied().map(read).collect()).await
    }
}

impl RedisStorage {
    async fn listed_user(&self, entry: Position) -> Result<Option<User>> {
        let Ok(id) = UserId::try_from(entry.id) else { return Ok(None) };
        readable(self.user(id).await)
    }

    async fn listed_location(&self, entry: Position) -> Result<Option<Location>> {
        let Ok(id) = LocationId::try_from(entry.id) else { return Ok(None) };
        readable(self.location(id).await)
    }

    /// A user who is at the place still; the entry of one who moved on is removed.
    async fn user_at(&self, location: LocationId, entry: Position) -> Result<Option<User>> {
        let Some(user) = self.listed_user(entry).await? else {
            return Ok(None);
        };
        if user.last_seen_at == Some(location) {
            return Ok(Some(user));
        }
        // The entry and the user lie in different slots. One that is not older than what the user
        // says may be about to come true; one that was written again meanwhile stays.
        if user.last_checkin > Some(entry.rank) {
            let (key, words) = (self.keys.users_at(location), [entry.id, entry.rank]);
            let words = words.map(|word| word.to_string());
            let words = words.each_ref().map(String::as_str);
            self.run(&self.scripts.remove_unchanged, &[&key], &words).await?;
        }
        Ok(None)
    }
}
