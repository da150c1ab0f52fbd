//! Folding old members of the histories into the base figures.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::{LocationId, UserId};
use checkin_storage::{Folded, Result, Retention};
use redis_link::Reply;

use crate::RedisStorage;

use crate::clock::milliseconds;
use crate::connection::{Connection, at_once};
use crate::fault::failed;
use crate::history::{Histories, Member};
use crate::partition::Partition;
use crate::private::Private;
use crate::reply::{number, text};
use crate::window::{Window, window};

/// Returns the time (ms) before which members may have been removed from the histories.
pub(crate) async fn horizon_ms(redis: &Connection) -> Result<u64> {
    match redis.call(&["GET", &redis.keys.horizon()]).await? {
        Reply::Nil => Ok(0),
        time => Ok(text(time)?.parse().unwrap_or(0)),
    }
}

#[async_trait]
impl Retention for RedisStorage {
    async fn fold(&self, keep: Duration, from: Option<String>, limit: usize) -> Result<Folded> {
        let redis = &self.redis;
        let now_ms = Partition { redis, number: 0 }.clock_ms().await?;
        let before_ms = now_ms.saturating_sub(milliseconds(keep));
        let (key, horizon) = (redis.keys.horizon(), before_ms.to_string());
        redis.run(&redis.scripts.raise_last_id, &[&key], &[&horizon]).await?;
        // On a cluster, the log and the horizon are on other servers than the histories. If their replicas
        // lacked the end of an entry, a fail-over could restore the entry, which would be applied again.
        let topology = redis.writes.topology().await.map_err(failed)?;
        if from.is_none() {
            self.sweep_retracted(before_ms).await?;
        }
        let windows =
            at_once(self.partitions().map(|partition| window(partition, limit)).collect()).await?;
        redis.writes.everywhere(&topology, &redis.keys.replicated()).await.map_err(failed)?;
        let place = from.and_then(|from| Place::parse(&from)).unwrap_or(Place::FIRST);
        Step { redis, before_ms, windows: &windows, limit }.run(place).await
    }
}

impl RedisStorage {
    /// Removes the marks of retracted check-ins before the horizon, which no import can bring back.
    async fn sweep_retracted(&self, before_ms: u64) -> Result<()> {
        let before = format!("({before_ms}");
        for Partition { number, .. } in self.partitions() {
            let key = self.redis.keys.retracted(number);
            self.redis.call(&["ZREMRANGEBYSCORE", &key, "-inf", &before]).await?;
        }
        Ok(())
    }
}

/// Where a step begins: at the first user or location after an id, whose first members are skipped.
#[derive(Clone, Copy)]
struct Place {
    of_locations: bool,
    after: u64,
    skipped: usize,
}

impl Place {
    const FIRST: Self = Self { of_locations: false, after: 0, skipped: 0 };

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            of_locations: words.next()? == "locations",
            after: words.next()?.parse().ok()?,
            skipped: words.next()?.parse().ok()?,
        })
    }

    fn to_text(self) -> String {
        let of = if self.of_locations { "locations" } else { "users" };
        format!("{of} {} {}", self.after, self.skipped)
    }
}

/// A history with its base.
struct Record {
    id: u64,
    /// The user, if it is a user's history.
    user: Option<UserId>,
    history: String,
    base: String,
    /// The field of the base to which the number of removed members is added.
    field: &'static str,
}

struct Step<'a> {
    redis: &'a Connection,
    before_ms: u64,
    /// The ranges of the partitions, which were read before any history.
    windows: &'a [Window],
    /// Maximum number of users or locations, and of members of each of their histories.
    limit: usize,
}

impl Step<'_> {
    async fn run(self, place: Place) -> Result<Folded> {
        let records = self.records(place).await?;
        let fold = |(position, record)| {
            let skipped = if position == 0 { place.skipped } else { 0 };
            self.fold(record, skipped)
        };
        let folded = at_once(records.iter().enumerate().map(fold).collect()).await?;
        let users = records.iter().filter_map(|record| record.user);
        Private(self.redis).remove_old(users, self.before_ms).await?;
        let removed = folded.iter().map(|(removed, _)| removed).sum();
        // A step also visits the records behind one that it has not finished.
        let open = records.iter().zip(&folded).find_map(|(record, (_, skipped))| {
            Some(Place { after: record.id.saturating_sub(1), skipped: (*skipped)?, ..place })
        });
        let next = match (open, records.last()) {
            (Some(open), _) => Some(open),
            (None, Some(last)) => Some(Place { after: last.id, skipped: 0, ..place }),
            (None, None) if place.of_locations => None,
            (None, None) => Some(Place { of_locations: true, ..Place::FIRST }),
        };
        let removed = if place.of_locations { 0 } else { removed };
        Ok(Folded { removed, next: next.map(Place::to_text) })
    }

    async fn records(&self, place: Place) -> Result<Vec<Record>> {
        let (redis, keys) = (self.redis, &self.redis.keys);
        if place.of_locations {
            let ids = redis.ids_after(&keys.location_ids(), place.after, self.limit).await?;
            let record = |id: LocationId| Record {
                id: id.get(),
                user: None,
                history: keys.location_history(id),
                base: keys.location_base(id),
                field: "folded",
            };
            return Ok(ids.into_iter().map(record).collect());
        }
        let ids = redis.ids_after(&keys.user_ids(), place.after, self.limit).await?;
        let record = |id: UserId| Record {
            id: id.get(),
            user: Some(id),
            history: keys.user_history(id),
            base: keys.user_base(id),
            field: "numCheckins",
        };
        Ok(ids.into_iter().map(record).collect())
    }

    /// Folds a page of a history. Returns the number of members that were removed, and how many are skipped
    /// on the next page, if there is one.
    async fn fold(&self, record: &Record, skipped: usize) -> Result<(u64, Option<usize>)> {
        let histories = Histories(self.redis);
        let page = histories.before(&record.history, self.before_ms, skipped, self.limit).await?;
        let old: Vec<String> = page
            .iter()
            .filter(|member| self.may_go(record, member))
            .map(Member::to_string)
            .collect();
        let mut removed = 0;
        if !old.is_empty() {
            let words: Vec<&str> =
                std::iter::once(record.field).chain(old.iter().map(String::as_str)).collect();
            let comments = record.user.map(|user| self.redis.keys.comments(user));
            let keys = [record.history.as_str(), &record.base].into_iter();
            let keys: Vec<&str> = keys.chain(comments.as_deref()).collect();
            let script = &self.redis.scripts.fold;
            removed = number(self.redis.run(script, &keys, &words).await?)?.unsigned_abs();
        }
        let kept = page.len().saturating_sub(usize::try_from(removed).unwrap_or(page.len()));
        Ok((removed, (page.len() == self.limit).then_some(skipped + kept)))
    }

    fn may_go(&self, record: &Record, member: &Member) -> bool {
        let user = record.user.or_else(|| UserId::try_from(member.other).ok());
        let window = user.and_then(|user| self.windows.get(self.redis.keys.partition_of(user)));
        member.id.ms < self.before_ms && window.is_some_and(|window| window.is_behind(member.id))
    }
}
