//! Retracting check-ins in Redis.
//!
//! A request removes the entry from the log and stores the retraction in the slot of its partition, in one step.
//! The processor of the partition takes the check-in out of the histories and figures afterwards. Each history has
//! marks of retracted check-ins, so that a batch that a processor read before, or a replay, does not bring one
//! back.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId, LocationId, NewCheckin, UserId};
use checkin_storage::weeks::{MIN_KEPT, kept_weeks};
use checkin_storage::{Result, Retracted, Retractions};
use redis_link::Reply;

use crate::clock::milliseconds;
use crate::connection::{Connection, few_at_once};
use crate::entry::{self, RawEntry};
use crate::erasure::Erasure;
use crate::fault::failed;
use crate::figures::Figures;
use crate::history::{Histories, Member};
use crate::lists::Lists;
use crate::partition::Partition;
use crate::private::Private;
use crate::reply::{array, number, texts};
use crate::retention::horizon_ms;
use crate::{RedisStorage, time_index};

/// How long after a retraction the lists are settled once more, in milliseconds. A raise of a leaderboard from
/// before it may arrive late, after its sender has given up: Redis was held up, or the network was.
const SETTLED_AGAIN_MS: &str = "10000";

#[async_trait]
impl Retractions for RedisStorage {
    async fn retract(&self, user: UserId, id: CheckinId) -> Result<Retracted> {
        let private = Private(&self.redis);
        if private.retract(user, id).await? {
            return Ok(Retracted::Done);
        }
        match self.retract_public(user, id).await? {
            Retracted::Done => Ok(Retracted::Done),
            _ if private.was_retracted(user, id).await? => Ok(Retracted::Done),
            other => {
                // A master that has been replaced does not know the check-ins of the new one.
                let keys = &self.redis.keys;
                let log = keys.log(keys.partition_of(user));
                self.redis.replicate(&[&log, &keys.user_history(user)]).await?;
                Ok(other)
            }
        }
    }

    async fn retract_all(
        &self,
        user: UserId,
        from: Option<String>,
        limit: usize,
    ) -> Result<Option<String>> {
        Erasure { storage: self, user, limit }.step(from.as_deref()).await
    }

    async fn apply_retractions(&self, part: usize, limit: usize) -> Result<usize> {
        let (redis, figures) = (&self.redis, self.figures());
        let keys = [redis.keys.retractions(part), redis.keys.settling(part)];
        let keys = keys.each_ref().map(String::as_str);
        let (are_new, stored) = next(redis, &keys, limit).await?;
        if stored.is_empty() {
            return Ok(0);
        }
        let checkins: Vec<Checkin> = stored.iter().filter_map(|text| read(text)).collect();
        let texts = stored.iter().map(String::as_str);
        if !are_new {
            figures.settle(&checkins).await?;
            redis.call(&["ZREM", keys[1]].into_iter().chain(texts).collect::<Vec<_>>()).await?;
            return Ok(stored.len());
        }
        // As with a batch: a fail-over must not remove the retractions and lose their effects.
        let topology = redis.writes.topology().await.map_err(failed)?;
        figures.retract(&checkins).await?;
        redis.writes.everywhere(&topology, &redis.keys.replicated()).await.map_err(failed)?;
        let words: Vec<&str> = [SETTLED_AGAIN_MS].into_iter().chain(texts).collect();
        redis.run(&redis.scripts.finish_retractions, &keys, &words).await?;
        Ok(stored.len())
    }
}

/// Returns some retractions of a partition, and whether they wait to be applied.
async fn next(redis: &Connection, keys: &[&str], limit: usize) -> Result<(bool, Vec<String>)> {
    let (script, limit) = (&redis.scripts.next_retractions, limit.to_string());
    let mut found = array(redis.run(script, keys, &[&limit]).await?)?.into_iter();
    let mut next = || found.next().unwrap_or(Reply::Nil);
    Ok((number(next())? == 1, texts(next())?))
}

impl RedisStorage {
    /// Retracts a check-in that is not private.
    async fn retract_public(&self, user: UserId, id: CheckinId) -> Result<Retracted> {
        let number = self.redis.keys.partition_of(user);
        let partition = Partition { redis: &self.redis, number };
        if let Some(checkin) = partition.checkin(id).await?.filter(|found| found.user == user) {
            return partition.retract(&checkin).await;
        }
        let (key, mark) = (self.redis.keys.retracted(number), format!("{id} {user}"));
        if self.redis.call(&["ZSCORE", &key, &mark]).await? != Reply::Nil {
            // It may not have reached the replicas.
            self.redis.replicate(&[&key]).await?;
            return Ok(Retracted::Done);
        }
        // Other check-ins of this age may have left one of their histories already.
        if id.ms < horizon_ms(&self.redis).await? {
            return Ok(Retracted::TooOld);
        }
        let found = Histories(&self.redis).find(&self.redis.keys.user_history(user), id).await?;
        match found.and_then(|found| found.of_user(user)) {
            Some(checkin) => partition.retract(&checkin).await,
            None => Ok(Retracted::Unknown),
        }
    }
}

impl Partition<'_> {
    /// Returns the check-in with this id if it is in the log or a dead letter.
    async fn checkin(&self, id: CheckinId) -> Result<Option<Checkin>> {
        let found = match self.entry(id).await? {
            Some(found) => Some(found),
            None => self.dead_letter(id).await?,
        };
        let dated = self.dated(found.into_iter().collect()).await?.pop();
        Ok(dated.and_then(|entry| entry.checkin().ok()))
    }

    async fn dead_letter(&self, id: CheckinId) -> Result<Option<RawEntry>> {
        let (key, entry) = (self.redis.keys.dead_letters(self.number), id.to_string());
        let found = self.redis.call(&["XRANGE", &key, &entry, &entry]).await?;
        let letter = entry::read_all(found)?.pop();
        let fields = letter.as_ref().and_then(|letter| letter.value("fields"));
        Ok(fields.and_then(|fields| RawEntry::from_json(id, fields).ok()))
    }

    pub(crate) async fn retract(&self, checkin: &Checkin) -> Result<Retracted> {
        let Checkin { id, time_ms, user, location, stars, .. } = *checkin;
        let (keys, number) = (&self.redis.keys, self.number);
        let names = [
            self.log(),
            self.checkpoint(),
            keys.retractions(number),
            keys.retracted(number),
            keys.dead_letters(number),
            keys.times(number),
            keys.imported(number),
            keys.recent(&NewCheckin { user, location, stars, comment: None, is_private: false }),
        ];
        let words = [
            id.to_string(),
            user.to_string(),
            format!("{id} {time_ms} {user} {location} {stars}"),
            time_ms.to_string(),
            time_index::member(id),
            format!("{time_ms} {user} {location} {stars}"),
        ];
        let (names, words) = (names.each_ref(), words.each_ref());
        let (names, words) = (names.map(String::as_str), words.map(String::as_str));
        self.redis.run_replicated(&self.redis.scripts.retract, &names, &words).await?;
        Ok(Retracted::Done)
    }

    /// Returns the ids of the retracted check-ins that may still be in histories, of which it reads this number at once.
    pub(crate) async fn retractions(&self, page: usize) -> Result<Vec<CheckinId>> {
        let (key, mut position) = (self.redis.keys.retractions(self.number), None);
        let mut ids = Vec::new();
        loop {
            let found = Histories(self.redis).page(&key, position.as_ref(), page).await?;
            ids.extend(found.iter().filter_map(|(text, _)| read(text)).map(|found| found.id));
            match found.last() {
                Some(last) => position = Some(last.clone()),
                None => return Ok(ids),
            }
        }
    }
}

/// Reads a stored retraction.
fn read(text: &str) -> Option<Checkin> {
    let mut words = text.split(' ');
    Some(Checkin {
        id: words.next()?.parse().ok()?,
        time_ms: words.next()?.parse().ok()?,
        user: words.next()?.parse().ok()?,
        location: words.next()?.parse().ok()?,
        stars: words.next()?.parse().ok()?,
        comment: None,
        is_private: false,
    })
}

impl Histories<'_> {
    /// Looks for a check-in in a history. Its time is mostly that of its id.
    pub(crate) async fn find(&self, key: &str, id: CheckinId) -> Result<Option<Member>> {
        let own = format!("{id} ");
        if let Some(found) = self.find_at(key, id.ms, |member| member.starts_with(&own)).await? {
            return Ok(Some(found));
        }
        let mut cursor = "0".to_owned();
        loop {
            let members;
            (members, cursor) = self.scan(key, &cursor).await?;
            let found = members.into_iter().find(|member| member.id == id);
            if found.is_some() || cursor == "0" {
                return Ok(found);
            }
        }
    }
}

impl Figures<'_> {
    /// Takes check-ins out of the histories and figures, and the leaderboards.
    async fn retract(&self, checkins: &[Checkin]) -> Result<()> {
        let (redis, keys) = (self.redis, &self.redis.keys);
        let (users, locations) = records(checkins);
        // Before the figures are lowered: those who raise a leaderboard look here afterwards.
        add_marks(redis, keys.lowered_users(), users.keys().map(|id| id.get())).await?;
        add_marks(redis, keys.lowered_locations(), locations.iter().map(|id| id.get())).await?;
        let one = async |checkin: &Checkin| {
            retract_from_user(redis, checkin).await?;
            retract_from_location(redis, checkin).await
        };
        few_at_once(checkins.iter().map(one).collect()).await?;
        self.settle(checkins).await
    }

    /// Makes the leaderboards of retracted check-ins those of the figures.
    pub(crate) async fn settle(&self, checkins: &[Checkin]) -> Result<()> {
        if checkins.is_empty() {
            return Ok(());
        }
        let redis = self.redis;
        let (users, locations) = records(checkins);
        let times = checkins.iter().map(|checkin| checkin.time_ms);
        let (weeks, lists) = (kept_weeks(times, redis.clock.now_ms()), Lists(redis));
        let settle = users.iter().map(|(user, places)| lists.settle_user(*user, &weeks, places));
        few_at_once(settle.collect()).await?;
        let settle = locations.iter().map(|location| lists.settle_location(*location, &weeks));
        few_at_once(settle.collect()).await.map(drop)
    }
}

/// Returns the users of check-ins, each with the locations, and all locations.
fn records(checkins: &[Checkin]) -> (BTreeMap<UserId, BTreeSet<LocationId>>, BTreeSet<LocationId>) {
    let (mut users, mut locations) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    for checkin in checkins {
        users.entry(checkin.user).or_default().insert(checkin.location);
        locations.insert(checkin.location);
    }
    (users, locations)
}

async fn retract_from_user(redis: &Connection, checkin: &Checkin) -> Result<()> {
    let Checkin { id, user, location, stars, .. } = checkin;
    let keys = &redis.keys;
    let keys = [
        keys.user(*user),
        keys.user_history(*user),
        keys.user_base(*user),
        keys.retracted_of_user(*user),
        keys.comments(*user),
    ];
    let words = [mark_life(), format!("{id} {location} {stars}")];
    let (keys, words) = (keys.each_ref(), words.each_ref());
    let script = &redis.scripts.retract_from_user;
    redis.run(script, &keys.map(String::as_str), &words.map(String::as_str)).await.map(drop)
}

async fn retract_from_location(redis: &Connection, checkin: &Checkin) -> Result<()> {
    let Checkin { id, user, location, stars, .. } = checkin;
    let keys = &redis.keys;
    let keys = [
        keys.location(*location),
        keys.location_history(*location),
        keys.ratings(*location),
        keys.retracted_of_location(*location),
    ];
    let words = [mark_life(), format!("{id} {user} {stars}")];
    let (keys, words) = (keys.each_ref(), words.each_ref());
    let script = &redis.scripts.retract_from_location;
    redis.run(script, &keys.map(String::as_str), &words.map(String::as_str)).await.map(drop)
}

pub(crate) async fn add_marks(
    redis: &Connection,
    key: String,
    members: impl Iterator<Item = u64>,
) -> Result<()> {
    let words: Vec<String> =
        std::iter::once(mark_life()).chain(members.map(|member| member.to_string())).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    redis.run(&redis.scripts.add_marks, &[&key], &words).await.map(drop)
}

/// How long a mark is kept, in milliseconds: longer than a processor can be held up in a batch that it has read.
fn mark_life() -> String {
    milliseconds(MIN_KEPT).to_string()
}
