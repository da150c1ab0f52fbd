//! Counts everything again from the log and the histories.
//!
//! Processors may run meanwhile: the figures of a user or location are compared with the length of the
//! history in one step. Histories are compared with the log only in the range that does not change,
//! from the first entry of the log to the checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId, LocationId, StarRating, UserId};
use checkin_storage::{
    Audit, AuditReport, Audited, Difference, Figure, Result, StorageError, Unequal,
};
use redis_link::{Reply, Script};

use crate::RedisStorage;
use crate::connection::{Connection, at_once};
use crate::history::{Histories, Member};
use crate::keys::Keys;
use crate::partition::Partition;
use crate::reply::{array, number, text, texts, unexpected};
use crate::retention::horizon_ms;
use crate::window::{Window, window};

/// Maximum number of entries in one request.
const PAGE: usize = 1000;

/// Maximum number of comparisons of figures that differ. They may have been read during a change.
const LOOKS: usize = 5;

/// A set of check-ins: their number, and a sum that distinguishes two sets of the same size.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    print: u64,
}

impl Sum {
    fn add(&mut self, id: CheckinId, other: u64, stars: StarRating) {
        let mut hasher = DefaultHasher::new();
        (id, other, stars).hash(&mut hasher);
        self.count += 1;
        self.print = self.print.wrapping_add(hasher.finish());
    }
}

/// The sums over the log.
#[derive(Default)]
struct Sums {
    users: BTreeMap<UserId, Sum>,
    locations: BTreeMap<LocationId, Sum>,
}

#[async_trait]
impl Audit for RedisStorage {
    async fn audit(&self) -> Result<AuditReport> {
        // If histories are bounded, an entry may have left the log and then its histories meanwhile. So it may if
        // it was retracted.
        let mut retracted = self.retracted().await?;
        for _ in 1..LOOKS {
            let report = self.recount().await?;
            let before = std::mem::replace(&mut retracted, self.retracted().await?);
            let is_still = horizon_ms(&self.redis).await? == 0 && before == retracted;
            if report.different == 0 || is_still {
                return Ok(report);
            }
        }
        self.recount().await
    }
}

impl RedisStorage {
    /// Returns the number of retracted check-ins of each partition.
    async fn retracted(&self) -> Result<Vec<i64>> {
        let count = async |partition: Partition<'_>| {
            let key = self.redis.keys.retracted(partition.number);
            number(self.redis.call(&["ZCARD", &key]).await?)
        };
        at_once(self.partitions().map(count).collect()).await
    }

    async fn recount(&self) -> Result<AuditReport> {
        let (mut report, mut windows, mut sums) =
            (AuditReport::default(), Vec::new(), Sums::default());
        for partition in self.partitions() {
            let window = window(partition, PAGE).await?;
            sum_up(partition, &window, &mut sums, &mut report).await?;
            windows.push(window);
        }
        let (redis, keys) = (&self.redis, &self.redis.keys);
        let users = ids(redis, &keys.user_ids(), sums.users.keys().map(|id| id.get())).await?;
        let users = users.into_iter().filter_map(|id| UserId::try_from(id).ok());
        let named = sums.locations.keys().map(|id| id.get());
        let locations = ids(redis, &keys.location_ids(), named).await?;
        let locations = locations.into_iter().filter_map(|id| LocationId::try_from(id).ok());
        let all = users.map(Audited::User).chain(locations.map(Audited::Location));
        let all: Vec<Audited> = all.collect();
        report.compared = all.len() as u64;

        let recount = Recount { redis, windows: &windows, sums: &sums };
        for some in all.chunks(PAGE) {
            let compare = some.iter().map(|of| recount.compare(*of)).collect();
            for (of, found) in some.iter().zip(at_once(compare).await?) {
                match found {
                    Some(unequal) => report.add(*of, &unequal),
                    None => report.add_unreadable(*of),
                }
            }
        }
        report.advice = apply_again(&report, keys);
        Ok(report)
    }
}

/// Returns how to repair histories that lack entries of the log, as after a fail-over of a cluster that
/// lost effects. Applying the log again changes nothing else.
fn apply_again(report: &AuditReport, keys: &Keys) -> Option<String> {
    let lacks = |difference: &Difference| {
        difference.figure == Figure::History && difference.stored < difference.counted
    };
    report.differences.iter().any(lacks).then(|| {
        let commands = (0..keys.partitions()).map(|partition| {
            format!("`redis-cli HDEL {} id`", keys.checkpoint(partition))
        });
        let commands: Vec<String> = commands.collect();
        format!(
            "entries of the log are missing in the histories, as after a fail-over: let the processors apply \
             the log again, which adds only what is missing, with {}",
            commands.join(" and ")
        )
    })
}

/// Reads a partition of the log from its first entry to its last.
async fn sum_up(
    partition: Partition<'_>,
    window: &Window,
    sums: &mut Sums,
    report: &mut AuditReport,
) -> Result<()> {
    report.dead += window.dead.len() as u64;
    let mut after = CheckinId::MIN;
    loop {
        let entries = partition.entries_after(after, PAGE).await?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        after = last.id;
        for entry in entries {
            report.entries += 1;
            if entry.id > window.last {
                report.waiting += 1;
            } else if window.holds(entry.id)
                && let Ok(Checkin { id, user, location, stars, .. }) = entry.checkin()
            {
                report.counted += 1;
                sums.users.entry(user).or_default().add(id, location.get(), stars);
                sums.locations.entry(location).or_default().add(id, user.get(), stars);
            }
        }
    }
}

/// Returns the ids in a list of all ids, and those that only the log names.
async fn ids(
    redis: &Connection,
    key: &str,
    named: impl Iterator<Item = u64>,
) -> Result<BTreeSet<u64>> {
    let mut ids: BTreeSet<u64> = named.collect();
    let mut cursor = "0".to_owned();
    loop {
        let step = array(redis.call(&["ZSCAN", key, &cursor, "COUNT", "10000"]).await?)?;
        let mut step = step.into_iter();
        cursor = text(step.next().unwrap_or(Reply::Nil))?;
        let members = texts(step.next().unwrap_or(Reply::Nil))?;
        ids.extend(members.chunks(2).filter_map(|pair| pair[0].parse::<u64>().ok()));
        if cursor == "0" {
            return Ok(ids);
        }
    }
}

/// The content of the log, with which users and locations are compared.
#[derive(Clone, Copy)]
struct Recount<'a> {
    redis: &'a Connection,
    windows: &'a [Window],
    sums: &'a Sums,
}

impl Recount<'_> {
    /// Returns the figures that differ; `None` if what is stored cannot be read.
    async fn compare(self, of: Audited) -> Result<Option<Vec<Unequal>>> {
        let mut found = Vec::new();
        for _ in 0..LOOKS {
            let compared = match of {
                Audited::User(user) => self.user(user).await,
                Audited::Location(location) => self.location(location).await,
            };
            found = match compared {
                Err(error) if error.is_unreadable() => return Ok(None),
                compared => compared?,
            };
            if found.is_empty() {
                break;
            }
        }
        Ok(Some(found))
    }

    async fn user(self, user: UserId) -> Result<Vec<Unequal>> {
        let keys = &self.redis.keys;
        let history = keys.user_history(user);
        let of_user = [keys.user(user), history.clone(), keys.user_base(user)];
        let script = &self.redis.scripts.figures_of_user;
        let [stored, last, base, base_last, length, latest] =
            self.figures(script, &of_user).await?;
        let window = &self.windows[keys.partition_of(user)];
        let history = self.sum_of(&history, |member| window.holds(member.id)).await?;
        let log = self.sums.users.get(&user).copied().unwrap_or_default();
        let mut found = Vec::from_iter(unequal_sums(history, log));
        // Without a history and a base, the figures are the base.
        if length > 0 || base > 0 {
            found.extend(Unequal::of(Figure::NumCheckins, stored, base + length));
            found.extend(Unequal::of(Figure::LastCheckin, last, base_last.max(latest)));
        }
        Ok(found)
    }

    async fn location(self, location: LocationId) -> Result<Vec<Unequal>> {
        let keys = &self.redis.keys;
        let history = keys.location_history(location);
        let (ratings, base) = (keys.ratings(location), keys.location_base(location));
        let of_location = [keys.location(location), history.clone(), ratings, base];
        let script = &self.redis.scripts.figures_of_location;
        let [stored, stars, base, base_stars, length, rated, rated_stars, folded] =
            self.figures(script, &of_location).await?;
        let holds = |member: &Member| {
            let user = UserId::try_from(member.other);
            user.is_ok_and(|user| self.windows[keys.partition_of(user)].holds(member.id))
        };
        let history = self.sum_of(&history, holds).await?;
        let log = self.sums.locations.get(&location).copied().unwrap_or_default();
        let mut found = Vec::from_iter(unequal_sums(history, log));
        if length > 0 || base > 0 {
            // Those that were removed from the history are still among the ratings.
            let applied = length + folded;
            found.extend(Unequal::of(Figure::NumCheckins, stored, base + applied));
            found.extend(Unequal::of(Figure::NumStars, stars, base_stars + rated_stars));
            found.extend(Unequal::of(Figure::Ratings, rated, applied));
        }
        Ok(found)
    }

    async fn figures<const N: usize>(self, script: &Script, keys: &[String]) -> Result<[u64; N]> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let numbers = texts(self.redis.run(script, &keys, &[]).await?)?;
        let numbers = numbers.iter().map(|number| number.parse::<u64>());
        let numbers: Vec<u64> =
            numbers.collect::<std::result::Result<_, _>>().map_err(StorageError::new)?;
        numbers.try_into().map_err(|_| unexpected("the figures of a record"))
    }

    async fn sum_of(self, key: &str, holds: impl Fn(&Member) -> bool) -> Result<Sum> {
        let (mut sum, mut seen, mut cursor) = (Sum::default(), HashSet::new(), "0".to_owned());
        loop {
            let members;
            (members, cursor) = Histories(self.redis).scan(key, &cursor).await?;
            for member in members.iter().filter(|member| holds(member)) {
                if seen.insert(member.id) {
                    sum.add(member.id, member.other, member.stars);
                }
            }
            if cursor == "0" {
                break;
            }
        }
        Ok(sum)
    }
}

/// Compares two sets of check-ins. Sets of the same size may have different check-ins.
fn unequal_sums(history: Sum, log: Sum) -> Option<Unequal> {
    let (stored, counted) = (history.count, log.count);
    (history != log).then_some(Unequal { figure: Figure::History, stored, counted })
}
