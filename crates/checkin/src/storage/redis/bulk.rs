//! Bulk loads into Redis.

use std::collections::HashSet;

use async_trait::async_trait;

use super::accounts::Opened;
use super::{RedisStorage, Reply, array, at_once, locations, number, text, texts};
use crate::domain::{Checkin, Location, LocationDetails, LocationId, User, UserId};
use crate::storage::{BulkLoad, Loaded, Result, details};

/// Check-ins that one run of the script appends: it takes about a millisecond, during which Redis
/// does nothing else.
const CHECKINS_A_RUN: usize = 500;

/// Keys that one step of a scan looks at.
const SCAN_COUNT: &str = "10000";

#[async_trait]
impl BulkLoad for RedisStorage {
    /// Finds also what others wrote without our lists; on a cluster, only what the lists name.
    async fn is_empty(&self) -> Result<bool> {
        for ids in [self.keys.user_ids(), self.keys.location_ids()] {
            if number(self.call(&["ZCARD", &ids]).await?)? > 0 {
                return Ok(false);
            }
        }
        if self.is_cluster().await {
            return Ok(true);
        }
        let users = self.matches(&self.keys.any_user()).await?;
        Ok(!users && !self.matches(&self.keys.any_location()).await?)
    }

    async fn load_users(&self, users: &[User]) -> Result<Vec<Loaded>> {
        if let Some(highest) = users.iter().map(|user| user.id).max() {
            let (key, id) = (self.keys.last_user_id(), highest.to_string());
            self.run(&self.scripts.raise_last_id, &[&key], &[&id]).await?;
        }
        let mut loaded = Vec::with_capacity(users.len());
        for users in apart(users) {
            loaded.extend(at_once(users.iter().map(|user| self.load_user(user)).collect()).await?);
        }
        Ok(loaded)
    }

    async fn load_locations(&self, locations: &[Location]) -> Result<Vec<Loaded>> {
        at_once(locations.iter().map(|location| self.load_location(location)).collect()).await
    }

    async fn load_details(&self, details: &[LocationDetails]) -> Result<Vec<Loaded>> {
        at_once(details.iter().map(|details| self.load_one_details(details)).collect()).await
    }

    async fn load_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>> {
        let users: HashSet<UserId> = checkins.iter().map(|checkin| checkin.user).collect();
        let users = self.existing(users, |id| self.keys.user(id)).await?;
        let places: HashSet<LocationId> = checkins.iter().map(|checkin| checkin.location).collect();
        let places = self.existing(places, |id| self.keys.location(id)).await?;
        let known = |checkin: &&Checkin| {
            users.contains(&checkin.user) && places.contains(&checkin.location)
        };
        let mut appended = Vec::with_capacity(checkins.len());
        let whole: Vec<&Checkin> = checkins.iter().filter(known).collect();
        for run in whole.chunks(CHECKINS_A_RUN) {
            appended.extend(self.append_run(run).await?);
        }
        let mut appended = appended.into_iter();
        Ok(checkins
            .iter()
            .map(|checkin| known(&checkin).then(|| appended.next()).flatten())
            .map(|answer| answer.unwrap_or(Loaded::Dangling))
            .collect())
    }
}

impl RedisStorage {
    async fn load_user(&self, user: &User) -> Result<Loaded> {
        Ok(match self.open_account(user).await? {
            Opened::Stored => Loaded::Stored,
            // Whoever was faster to write this id had most likely the same file: the claim is
            // theirs as well, and stays.
            Opened::IdTaken | Opened::IdTakenAfterClaim => Loaded::Unchanged,
            Opened::EmailTaken(owner) => Loaded::EmailTaken(owner),
        })
    }

    async fn load_location(&self, location: &Location) -> Result<Loaded> {
        let (key, id) = (self.keys.location(location.id), location.id.to_string());
        self.call(&["ZADD", &self.keys.location_ids(), &id, &id]).await?;
        let made = self.create_hash(&key, &locations::fields(location)).await?;
        Ok(if made { Loaded::Stored } else { Loaded::Unchanged })
    }

    async fn load_one_details(&self, details: &LocationDetails) -> Result<Loaded> {
        if !self.exists(&self.keys.location(details.id)).await? {
            return Ok(Loaded::Dangling);
        }
        let (key, json) = (self.keys.location_details(details.id), details::to_json(details));
        match self.call(&["SET", &key, &json, "NX"]).await? {
            Reply::Nil => Ok(Loaded::Unchanged),
            _ => Ok(Loaded::Stored),
        }
    }

    async fn append_run(&self, checkins: &[&Checkin]) -> Result<Vec<Loaded>> {
        let words = checkins.iter().flat_map(|checkin| {
            let Checkin { id, user, location, stars } = checkin;
            [id.to_string(), user.to_string(), location.to_string(), stars.to_string()]
        });
        let words: Vec<String> = words.collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let log = self.keys.checkins();
        let answers = self.run(&self.scripts.load_checkins, &[&log], &words).await?;
        let loaded = |answer| match number(answer)? {
            1 => Ok(Loaded::Stored),
            0 => Ok(Loaded::Unchanged),
            _ => Ok(Loaded::TooOld),
        };
        array(answers)?.into_iter().map(loaded).collect()
    }

    /// Those of the ids whose key there is.
    async fn existing<T: Copy + Eq + std::hash::Hash>(
        &self,
        ids: HashSet<T>,
        key: impl Fn(T) -> String,
    ) -> Result<HashSet<T>> {
        let ask = |id: T| {
            let key = key(id);
            async move { Ok(self.exists(&key).await?.then_some(id)) }
        };
        let found = at_once(ids.into_iter().map(ask).collect()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether any key matches the pattern.
    async fn matches(&self, pattern: &str) -> Result<bool> {
        let mut cursor = "0".to_owned();
        loop {
            let scan = ["SCAN", &cursor, "MATCH", pattern, "COUNT", SCAN_COUNT];
            let mut step = array(self.call(&scan).await?)?.into_iter();
            cursor = text(step.next().unwrap_or(Reply::Nil))?;
            if !texts(step.next().unwrap_or(Reply::Nil))?.is_empty() {
                return Ok(true);
            }
            if cursor == "0" {
                return Ok(false);
            }
        }
    }
}

/// Cuts the users into runs in which no id and no address comes twice: those of a run are written
/// at the same time, and of two that collide the first is to be stored.
fn apart(users: &[User]) -> Vec<&[User]> {
    let (mut runs, mut start) = (Vec::new(), 0);
    let (mut ids, mut emails) = (HashSet::new(), HashSet::new());
    for (position, user) in users.iter().enumerate() {
        let email = user.email.canonical();
        if ids.contains(&user.id) || emails.contains(&email) {
            runs.push(&users[start..position]);
            start = position;
            ids.clear();
            emails.clear();
        }
        ids.insert(user.id);
        emails.insert(email);
    }
    runs.push(&users[start..]);
    runs
}
