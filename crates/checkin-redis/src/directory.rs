//! Lists of users and of locations in Redis.

use async_trait::async_trait;

use checkin_domain::{
    Category, DetailsSection, Location, LocationId, OpeningHours, User, UserId, monday_ms,
};
use checkin_storage::{
    Directory, FoundLocations, Locations, Nearby, Page, Period, Position, Ranked, Result, readable,
};

use crate::connection::{Connection, at_once};
use crate::lists::Lists;
use crate::lists::Order::{HighestFirst, LowestFirst};
use crate::{RedisStorage, locations, nearby, search, users};

#[async_trait]
impl Directory for RedisStorage {
    async fn recent_users(&self, page: Page) -> Result<Vec<Ranked<User>>> {
        let key = self.redis.keys.recent_users();
        Lists(&self.redis)
            .page(&key, HighestFirst, page, |entry| listed_user(&self.redis, entry))
            .await
    }

    async fn top_users(&self, period: Period, page: Page) -> Result<Vec<Ranked<User>>> {
        let key = match period {
            Period::AllTime => self.redis.keys.top_users(),
            Period::WeekOf(ms) => self.redis.keys.top_users_of_week(monday_ms(ms)),
        };
        Lists(&self.redis)
            .page(&key, HighestFirst, page, |entry| listed_user(&self.redis, entry))
            .await
    }

    async fn users_at(&self, location: LocationId, page: Page) -> Result<Vec<Ranked<User>>> {
        let key = self.redis.keys.users_at(location);
        Lists(&self.redis)
            .page(&key, HighestFirst, page, |entry| user_at(&self.redis, location, entry))
            .await
    }

    async fn top_locations(&self, period: Period, page: Page) -> Result<Vec<Ranked<Location>>> {
        let key = match period {
            Period::AllTime => self.redis.keys.top_locations(),
            Period::WeekOf(ms) => self.redis.keys.top_locations_of_week(monday_ms(ms)),
        };
        Lists(&self.redis)
            .page(&key, HighestFirst, page, |entry| listed_location(&self.redis, entry))
            .await
    }

    async fn locations_in(&self, category: Category, page: Page) -> Result<Vec<Ranked<Location>>> {
        let key = self.redis.keys.locations_in(category);
        Lists(&self.redis)
            .page(&key, LowestFirst, page, |entry| listed_location(&self.redis, entry))
            .await
    }

    async fn nearby(&self, near: Nearby, page: Page) -> Result<FoundLocations> {
        nearby::places(&self.redis, near, page).await
    }

    async fn search_locations(&self, words: &str, page: Page) -> Result<FoundLocations> {
        search::places(&self.redis, words, page).await
    }

    async fn hours_of(&self, ids: &[LocationId]) -> Result<Vec<Option<OpeningHours>>> {
        let read = |id| async move {
            let details = self.location_details(id, &[DetailsSection::Hours]).await;
            Ok(readable(details)?.map(|details| details.hours))
        };
        at_once(ids.iter().copied().map(read).collect()).await
    }
}

async fn listed_user(redis: &Connection, entry: Position) -> Result<Option<User>> {
    let Ok(id) = UserId::try_from(entry.id) else { return Ok(None) };
    readable(users::read(redis, id).await)
}

async fn listed_location(redis: &Connection, entry: Position) -> Result<Option<Location>> {
    let Ok(id) = LocationId::try_from(entry.id) else { return Ok(None) };
    readable(locations::read(redis, id).await)
}

/// Returns the user if they are still at the location. If not, their entry is removed.
async fn user_at(
    redis: &Connection,
    location: LocationId,
    entry: Position,
) -> Result<Option<User>> {
    let Some(user) = listed_user(redis, entry).await? else {
        return Ok(None);
    };
    if user.last_seen_at == Some(location) {
        return Ok(Some(user));
    }
    // The entry and the user lie in different slots. If the entry is not older than the user's last
    // check-in, the user may be about to be updated. If the entry was written again meanwhile, it
    // stays.
    if user.last_checkin > Some(entry.rank) {
        let (key, words) = (redis.keys.users_at(location), [entry.id, entry.rank]);
        let words = words.map(|word| word.to_string());
        let words = words.each_ref().map(String::as_str);
        redis.run(&redis.scripts.remove_unchanged, &[&key], &words).await?;
    }
    Ok(None)
}
