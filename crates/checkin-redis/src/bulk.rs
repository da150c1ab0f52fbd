//! Bulk loads into Redis.

use std::collections::HashSet;

use async_trait::async_trait;

use super::accounts::Opened;
use super::{
    RedisStorage, Reply, array, at_once, locations, number, text, texts, times, unexpected,
};
use checkin_domain::{Checkin, Location, LocationDetails, LocationId, User, UserId};
use checkin_storage::{BulkLoad, Loaded, Result, details};

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
        let mut answers = vec![Loaded::Dangling; checkins.len()];
        for partition in 0..self.keys.partitions() {
            let of_partition = checkins.iter().enumerate().filter(|(_, checkin)| {
                known(checkin) && self.keys.partition_of(checkin.user) == partition
            });
            let (places, of_partition): (Vec<usize>, Vec<&Checkin>) = of_partition.unzip();
            let mut loaded = Vec::with_capacity(of_partition.len());
            for run in of_partition.chunks(CHECKINS_A_RUN) {
                loaded.extend(self.append_run(partition, run).await?);
            }
            for (place, answer) in places.into_iter().zip(loaded) {
                answers[place] = answer;
            }
        }
        Ok(answers)
    }
}

impl RedisStorage {
    async fn load_user(&self, user: &User) -> Result<Loaded> {
        match self.open_account(user).await? {
            Opened::Stored => {
                self.index_user(user).await?;
                Ok(Loaded::Stored)
            }
            // Whoever was faster to write this id had most likely the same file: the claim is
            // theirs as well, and stays.
            Opened::IdTaken | Opened::IdTakenAfterClaim => {
                self.reindex_user(user.id).await?;
                Ok(Loaded::Unchanged)
            }
            Opened::EmailTaken(owner) => Ok(Loaded::EmailTaken(owner)),
        }
    }

    pub(super) async fn load_location(&self, location: &Location) -> Result<Loaded> {
        let (key, id) = (self.keys.location(location.id), location.id.to_string());
        self.call(&["ZADD", &self.keys.location_ids(), &id, &id]).await?;
        if self.create_hash(&key, &locations::fields(location)).await? {
            self.index_location(location).await?;
            return Ok(Loaded::Stored);
        }
        self.reindex_location(location.id).await?;
        Ok(Loaded::Unchanged)
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

    async fn append_run(&self, partition: usize, checkins: &[&Checkin]) -> Result<Vec<Loaded>> {
        let counted = checkins.iter().map(|checkin| self.is_in_history(checkin)).collect();
        let counted = at_once(counted).await?;
        let new: Vec<&Checkin> = checkins
            .iter()
            .zip(&counted)
            .filter(|(_, counted)| !**counted)
            .map(|(c, _)| *c)
            .collect();
        let words = new.iter().flat_map(|checkin| {
            let Checkin { id, time_ms, user, location, stars } = checkin;
            [
                id.to_string(),
                time_ms.to_string(),
                user.to_string(),
                location.to_string(),
                stars.to_string(),
            ]
        });
        let (count, turn) = (self.keys.partitions().to_string(), partition.to_string());
        let words: Vec<String> =
            [count, turn, times::COMPLETE.to_owned()].into_iter().chain(words).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (log, imported) = (self.keys.log(partition), self.keys.imported(partition));
        let keys = [log.as_str(), &imported, &self.keys.times(partition)];
        let answers = self.run(&self.scripts.load_checkins, &keys, &words).await?;
        let mut answers = array(answers)?.into_iter().map(number);
        let loaded = |counted: bool| match counted {
            true => Ok(Loaded::Unchanged),
            false => Ok(match answers.next().ok_or_else(|| unexpected("more answers"))?? {
                1 => Loaded::Stored,
                _ => Loaded::Unchanged,
            }),
        };
        counted.into_iter().map(loaded).collect()
    }

    /// Whether this check-in is counted already: it may have left the log.
    async fn is_in_history(&self, checkin: &Checkin) -> Result<bool> {
        let (key, time) = (self.keys.user_history(checkin.user), checkin.time_ms.to_string());
        let found = texts(self.call(&["ZRANGEBYSCORE", &key, &time, &time]).await?)?;
        let content = format!(" {} {}", checkin.location, checkin.stars);
        Ok(found.iter().any(|member| member.ends_with(&content)))
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
