//! Loading data in bulk into Redis.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use checkin_domain::{Checkin, Location, LocationDetails, LocationId, User, UserId};
use checkin_storage::{BulkLoad, Loaded, Result, Status, details};
use redis_link::Reply;

use crate::accounts::{Accounts, Opened};
use crate::connection::{Connection, at_once};
use crate::history::Histories;
use crate::info::is_cluster;
use crate::lists::Lists;
use crate::private::Private;
use crate::reply::{array, number, text, texts, unexpected};
use crate::retention::horizon_ms;
use crate::swarm::Swarm;
use crate::{RedisStorage, locations, time_index};

/// Maximum number of check-ins that one run of the script appends. A run takes about a millisecond,
/// during which Redis does nothing else.
const CHECKINS_A_RUN: usize = 500;

/// The number of keys that one step of a scan reads.
const SCAN_COUNT: &str = "10000";

#[async_trait]
impl BulkLoad for RedisStorage {
    /// Also finds records that other programs wrote without our lists; on a cluster, only those in the
    /// lists.
    async fn is_empty(&self) -> Result<bool> {
        for ids in [self.redis.keys.user_ids(), self.redis.keys.location_ids()] {
            if number(self.redis.call(&["ZCARD", &ids]).await?)? > 0 {
                return Ok(false);
            }
        }
        if is_cluster(&self.redis.client).await {
            return Ok(true);
        }
        let users = Bulk(&self.redis).matches(&self.redis.keys.any_user()).await?;
        Ok(!users && !Bulk(&self.redis).matches(&self.redis.keys.any_location()).await?)
    }

    async fn load_users(&self, users: &[User]) -> Result<Vec<Loaded>> {
        if let Some(highest) = users.iter().map(|user| user.id).max() {
            let (key, id) = (self.redis.keys.last_user_id(), highest.to_string());
            self.redis.run(&self.redis.scripts.raise_last_id, &[&key], &[&id]).await?;
        }
        let (bulk, mut loaded) = (Bulk(&self.redis), Vec::with_capacity(users.len()));
        for users in apart(users) {
            loaded.extend(at_once(users.iter().map(|user| bulk.load_user(user)).collect()).await?);
        }
        Ok(loaded)
    }

    async fn load_locations(&self, locations: &[Location]) -> Result<Vec<Loaded>> {
        let bulk = Bulk(&self.redis);
        at_once(locations.iter().map(|location| bulk.load_location(location)).collect()).await
    }

    async fn load_details(&self, details: &[LocationDetails]) -> Result<Vec<Loaded>> {
        let bulk = Bulk(&self.redis);
        at_once(details.iter().map(|details| bulk.load_details(details)).collect()).await
    }

    async fn load_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>> {
        let mut loaded = Vec::with_capacity(checkins.len());
        for run in of_one_form(checkins) {
            loaded.extend(Bulk(&self.redis).load_new_checkins(run).await?);
        }
        Ok(loaded)
    }
}

/// The user and the time of a check-in, and what its member in the history has behind its id.
type Content = (UserId, u64, String);

fn content(checkin: &Checkin) -> Content {
    (checkin.user, checkin.time_ms, format!("{} {}", checkin.location, checkin.stars))
}

/// Bulk loads, record by record.
pub(crate) struct Bulk<'a>(pub(crate) &'a Connection);

impl Bulk<'_> {
    /// Loads the check-ins that are not there in their other form.
    async fn load_new_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>> {
        let swarm = Swarm(self.0);
        let asked = checkins.iter().map(|checkin| swarm.other_form(checkin));
        let others = at_once(asked.collect()).await?;
        let new = checkins.iter().zip(&others).filter(|(_, other)| other.is_none());
        let new: Vec<Checkin> = new.map(|(checkin, _)| checkin.clone()).collect();
        let mut loaded = self.load_checkins(&new).await?.into_iter();
        let answers = others.into_iter().map(|other| other.or_else(|| loaded.next()));
        answers.map(|answer| answer.ok_or_else(|| unexpected("more answers"))).collect()
    }

    pub(crate) async fn load_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>> {
        let users: HashSet<UserId> = checkins.iter().map(|checkin| checkin.user).collect();
        let users = self.existing(users, |id| self.0.keys.user(id)).await?;
        let users = self.not_deleted(users).await?;
        let places: HashSet<LocationId> = checkins.iter().map(|checkin| checkin.location).collect();
        let places = self.existing(places, |id| self.0.keys.location(id)).await?;
        let known = |checkin: &&Checkin| {
            users.contains(&checkin.user) && places.contains(&checkin.location)
        };
        let mut answers = vec![Loaded::Dangling; checkins.len()];
        for partition in 0..self.0.keys.partitions() {
            let of_partition = checkins.iter().enumerate().filter(|(_, checkin)| {
                known(checkin)
                    && !checkin.is_private
                    && self.0.keys.partition_of(checkin.user) == partition
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
        let private = checkins.iter().enumerate();
        let private = private.filter(|(_, checkin)| known(checkin) && checkin.is_private);
        let (places, private): (Vec<usize>, Vec<&Checkin>) = private.unzip();
        if !private.is_empty() {
            let loaded = Private(self.0).load(&private).await?;
            places.into_iter().zip(loaded).for_each(|(place, answer)| answers[place] = answer);
        }
        Ok(answers)
    }

    async fn load_user(&self, user: &User) -> Result<Loaded> {
        match Accounts(self.0).open(user).await? {
            Opened::Stored => {
                Lists(self.0).index_user(user).await?;
                Ok(Loaded::Stored)
            }
            // Another process wrote this id first, most likely from the same file: the claim belongs
            // to it, too, and is kept.
            Opened::IdTaken | Opened::IdTakenAfterClaim => {
                Lists(self.0).reindex_user(user.id).await?;
                Ok(Loaded::Unchanged)
            }
            Opened::EmailTaken(owner) => Ok(Loaded::EmailTaken(owner)),
        }
    }

    pub(crate) async fn load_location(&self, location: &Location) -> Result<Loaded> {
        let (key, id) = (self.0.keys.location(location.id), location.id.to_string());
        self.0.call(&["ZADD", &self.0.keys.location_ids(), &id, &id]).await?;
        if self.0.create_hash(&key, &locations::fields(location)).await? {
            Lists(self.0).index_location(location).await?;
            return Ok(Loaded::Stored);
        }
        Lists(self.0).reindex_location(location.id).await?;
        Ok(Loaded::Unchanged)
    }

    async fn load_details(&self, details: &LocationDetails) -> Result<Loaded> {
        if !self.0.exists(&self.0.keys.location(details.id)).await? {
            return Ok(Loaded::Dangling);
        }
        let (key, json) = (self.0.keys.location_details(details.id), details::to_json(details));
        match self.0.call(&["SET", &key, &json, "NX"]).await? {
            Reply::Nil => Ok(Loaded::Unchanged),
            _ => Ok(Loaded::Stored),
        }
    }

    async fn append_run(&self, partition: usize, checkins: &[&Checkin]) -> Result<Vec<Loaded>> {
        let counted = self.in_histories(checkins).await?;
        // What was removed from a history before it was read is before the horizon that is read now.
        let horizon_ms = horizon_ms(self.0).await?;
        let refusal = |checkin: &&Checkin| match counted.contains(&content(checkin)) {
            true => Some(Loaded::Unchanged),
            false => (checkin.time_ms < horizon_ms).then_some(Loaded::TooOld),
        };
        let known: Vec<Option<Loaded>> = checkins.iter().map(refusal).collect();
        let new = checkins.iter().zip(&known).filter(|(_, known)| known.is_none());
        let new: Vec<&Checkin> = new.map(|(checkin, _)| *checkin).collect();
        let words = new.iter().flat_map(|checkin| {
            let Checkin { id, time_ms, user, location, stars, comment, .. } = checkin;
            [
                id.to_string(),
                time_ms.to_string(),
                user.to_string(),
                location.to_string(),
                stars.to_string(),
                comment.as_ref().map_or_else(String::new, ToString::to_string),
            ]
        });
        let (count, turn) = (self.0.keys.partitions().to_string(), partition.to_string());
        let words: Vec<String> =
            [count, turn, time_index::COMPLETE.to_owned()].into_iter().chain(words).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (log, imported) = (self.0.keys.log(partition), self.0.keys.imported(partition));
        let (times, retracted) = (self.0.keys.times(partition), self.0.keys.retracted(partition));
        let keys = [log.as_str(), &imported, &times, &retracted];
        let answers = self.0.run(&self.0.scripts.load_checkins, &keys, &words).await?;
        let mut answers = array(answers)?.into_iter().map(number);
        let loaded = |known: Option<Loaded>| match known {
            Some(known) => Ok(known),
            None => Ok(match answers.next().ok_or_else(|| unexpected("more answers"))?? {
                1 => Loaded::Stored,
                _ => Loaded::Unchanged,
            }),
        };
        known.into_iter().map(loaded).collect()
    }

    /// Returns the contents of those of the check-ins that are already applied. They may have left the log. Each millisecond
    /// of a history is read once, because very many of them may be in the same one.
    async fn in_histories(&self, checkins: &[&Checkin]) -> Result<HashSet<Content>> {
        let mut moments = HashMap::<_, HashSet<Content>>::new();
        for checkin in checkins {
            let moment = (checkin.user, checkin.time_ms);
            moments.entry(moment).or_default().insert(content(checkin));
        }
        let found = moments.into_iter().map(|((user, time_ms), mut wanted)| async move {
            let (key, mut found) = (self.0.keys.user_history(user), HashSet::new());
            let is_last = |member: &str| {
                let other = member.split_once(' ').map_or("", |(_, other)| other);
                found.extend(wanted.take(&(user, time_ms, other.to_owned())));
                wanted.is_empty()
            };
            Histories(self.0).read_at(&key, time_ms, is_last).await?;
            Ok(found)
        });
        Ok(at_once(found.collect()).await?.into_iter().flatten().collect())
    }

    /// Returns those of the ids whose keys exist.
    async fn existing<T: Copy + Eq + std::hash::Hash + Send>(
        &self,
        ids: HashSet<T>,
        key: impl Fn(T) -> String,
    ) -> Result<HashSet<T>> {
        let ask = |id: T| {
            let key = key(id);
            async move { Ok(self.0.exists(&key).await?.then_some(id)) }
        };
        let found = at_once(ids.into_iter().map(ask).collect()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns those of the users whose accounts are not deleted.
    async fn not_deleted(&self, users: HashSet<UserId>) -> Result<HashSet<UserId>> {
        let ask = |id: UserId| async move {
            let [_, _, status, _] = self.0.keys.standing(id);
            let status = self.0.call(&["GET", &status]).await?;
            Ok((status != Reply::Bytes(Status::Deleted.as_str().into())).then_some(id))
        };
        let found = at_once(users.into_iter().map(ask).collect()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns whether any key matches the pattern.
    async fn matches(&self, pattern: &str) -> Result<bool> {
        let mut cursor = "0".to_owned();
        loop {
            let scan = ["SCAN", &cursor, "MATCH", pattern, "COUNT", SCAN_COUNT];
            let mut step = array(self.0.call(&scan).await?)?.into_iter();
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

/// Splits the users into runs in which each id and each address occurs once. The users of a run are
/// written at the same time; if two users collide, the first must be stored.
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

/// Splits the check-ins into runs in which no visit is both private and public. The check-ins of a run are
/// looked for in their other form before any of them is stored.
fn of_one_form(checkins: &[Checkin]) -> Vec<&[Checkin]> {
    let (mut runs, mut start, mut forms) = (Vec::new(), 0, HashMap::new());
    for (position, checkin) in checkins.iter().enumerate() {
        let visit = (checkin.user, checkin.location, checkin.time_ms);
        if *forms.entry(visit).or_insert(checkin.is_private) != checkin.is_private {
            runs.push(&checkins[start..position]);
            start = position;
            forms = HashMap::from([(visit, checkin.is_private)]);
        }
    }
    runs.push(&checkins[start..]);
    runs
}
