//! The entries of one record in the indexes.
//!
//! A record is written before its entries, so that none names a record that never was. A writer that
//! dies in between leaves entries missing; loading the same record again adds them, as the record
//! stands by then. Figures only ever grow (`GT`), so that whoever counts at the same time is not
//! overtaken by what was read before.

use super::{RedisStorage, nearby};
use checkin_domain::words::index_words;
use checkin_domain::{Location, LocationId, User, UserId};
use checkin_storage::{LocationRepository, Result, UserRepository, readable};

impl RedisStorage {
    pub(super) async fn reindex_user(&self, id: UserId) -> Result<()> {
        match readable(self.user(id).await)? {
            Some(user) => self.index_user(&user).await,
            None => Ok(()),
        }
    }

    pub(super) async fn reindex_location(&self, id: LocationId) -> Result<()> {
        match readable(self.location(id).await)? {
            Some(location) => self.index_location(&location).await,
            None => Ok(()),
        }
    }

    /// Those without a check-in are in no index.
    pub(super) async fn index_user(&self, user: &User) -> Result<()> {
        let id = user.id.get();
        if user.num_checkins > 0 {
            self.raise(&self.keys.top_users(), &[(user.num_checkins, id)]).await?;
        }
        if let Some(ms) = user.last_checkin {
            self.raise(&self.keys.recent_users(), &[(ms, id)]).await?;
            if let Some(place) = user.last_seen_at {
                self.raise(&self.keys.users_at(place), &[(ms, id)]).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn index_location(&self, location: &Location) -> Result<()> {
        let (id, category) = (location.id.get(), location.category);
        let (longitude, latitude) = nearby::position(location.coordinates);
        for key in [self.keys.geo(None), self.keys.geo(Some(category))] {
            self.call(&["GEOADD", &key, &longitude, &latitude, &id.to_string()]).await?;
        }
        self.raise(&self.keys.locations_in(category), &[(id, id)]).await?;
        self.index_name(location).await?;
        if location.num_checkins > 0 {
            self.raise(&self.keys.top_locations(), &[(location.num_checkins, id)]).await?;
        }
        Ok(())
    }

    pub(super) async fn index_name(&self, location: &Location) -> Result<()> {
        let (key, id) = (self.keys.words(), location.id);
        let members: Vec<String> =
            index_words(&location.name).iter().map(|word| format!("{word}\0{id}")).collect();
        if !members.is_empty() {
            let scored = members.iter().flat_map(|member| ["0", member]);
            self.call(&["ZADD", &key].into_iter().chain(scored).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Raises the scores of a list's members, given before their ids; one that is higher already
    /// stays.
    pub(super) async fn raise(&self, key: &str, scores: &[(u64, u64)]) -> Result<()> {
        if scores.is_empty() {
            return Ok(());
        }
        let words = scores.iter().flat_map(|(score, id)| [score.to_string(), id.to_string()]);
        let words: Vec<String> = words.collect();
        let mut command = vec!["ZADD", key, "GT"];
        command.extend(words.iter().map(String::as_str));
        self.call(&command).await?;
        Ok(())
    }
}
