//! The times of check-ins whose ids are not their times.
//!
//! The id of an entry is its time, with two exceptions: a check-in that was imported behind later ones,
//! and a check-in that arrived while the ids were ahead of the clock, because another program wrote an
//! entry with an id that it chose. Such an entry has its time in a field, and is in an index by time. An
//! Express service does not write this field. In that case the time of the entry is the time at which
//! the processor applies it; before that, it is the current time.

use std::ops::RangeInclusive;

use checkin_domain::{CLOCK_TOLERANCE_MS, Checkin, CheckinId};
use checkin_storage::{HistoryPosition, Result};
use redis_link::Reply;

use crate::connection::{Connection, at_once};
use crate::entry::{self, RawEntry, TIME};
use crate::partition::{PAGE, Partition};
use crate::reply::texts;
use crate::time_index::{COMPLETE, id, member};

/// A range of times of check-ins, after a position.
#[derive(Clone, Copy)]
pub(crate) struct TimeRange {
    first_ms: u64,
    last_ms: u64,
    after: Option<HistoryPosition>,
}

impl TimeRange {
    pub(crate) fn new(times_ms: RangeInclusive<u64>, after: Option<HistoryPosition>) -> Self {
        let (first_ms, last_ms) = times_ms.into_inner();
        let first_ms = after.map_or(first_ms, |after| after.time_ms.max(first_ms));
        Self { first_ms, last_ms, after }
    }

    fn holds(self, checkin: &Checkin) -> bool {
        (self.first_ms..=self.last_ms).contains(&checkin.time_ms)
            && self.after.is_none_or(|after| HistoryPosition::from(checkin) > after)
    }
}

impl Partition<'_> {
    /// Returns the first check-ins of a range, unordered, at most `limit` of each kind.
    /// The index must be [complete](complete).
    pub(crate) async fn between(&self, range: TimeRange, limit: usize) -> Result<Vec<Checkin>> {
        // The id of an entry that is further ahead is not its time.
        let last_ms = range.last_ms.min(self.clock_ms().await? + CLOCK_TOLERANCE_MS);
        let mut checkins = self.timed_by_id(range, last_ms, limit).await?;
        checkins.extend(self.timed_by_index(range, limit).await?);
        Ok(checkins)
    }

    /// Skips entries that are not check-ins; otherwise a reader could not continue after them.
    async fn timed_by_id(
        &self,
        range: TimeRange,
        last_ms: u64,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let (log, mut checkins) = (self.log(), Vec::new());
        let (mut first, last) = (range.first_ms.to_string(), last_ms.to_string());
        while checkins.len() < limit && range.first_ms <= last_ms {
            let count = PAGE.min(limit - checkins.len());
            let words = ["XRANGE", &log, &first, &last, "COUNT", &count.to_string()];
            let entries = entry::read_all(self.redis.call(&words).await?)?;
            let at_end = entries.len() < count;
            let behind = entries.last().map(|entry| format!("({}", entry.id));
            let own = entries.into_iter().filter(|entry| entry.value(TIME).is_none());
            let own = own.filter_map(|entry| entry.checkin().ok());
            checkins.extend(own.filter(|checkin| range.holds(checkin)));
            match behind {
                Some(behind) if !at_end => first = behind,
                _ => break,
            }
        }
        Ok(checkins)
    }

    async fn timed_by_index(&self, range: TimeRange, limit: usize) -> Result<Vec<Checkin>> {
        let (key, mut checkins, mut offset) = (self.redis.keys.times(self.number), Vec::new(), 0);
        let (first, last) = (range.first_ms.to_string(), range.last_ms.to_string());
        while checkins.len() < limit {
            let count = PAGE.min(limit - checkins.len());
            let (from, size) = (offset.to_string(), count.to_string());
            let words = ["ZRANGEBYSCORE", &key, &first, &last, "LIMIT", &from, &size];
            let members = texts(self.redis.call(&words).await?)?;
            let read = members.iter().filter_map(|member| id(member));
            let read = read.map(|id| self.entry(id)).collect();
            let entries = at_once(read).await?.into_iter().flatten().collect();
            let entries = self.dated(entries).await?;
            let found = entries.into_iter().filter_map(|entry| entry.checkin().ok());
            checkins.extend(found.filter(|checkin| range.holds(checkin)));
            offset += count;
            if members.len() < count {
                break;
            }
        }
        Ok(checkins)
    }

    /// Returns the entry with this id, unless it has left the log.
    pub(crate) async fn entry(&self, id: CheckinId) -> Result<Option<RawEntry>> {
        let (log, id) = (self.log(), id.to_string());
        Ok(entry::read_all(self.redis.call(&["XRANGE", &log, &id, &id]).await?)?.pop())
    }
}

/// Indexes the check-ins that earlier versions imported without an index of times.
pub(crate) async fn complete(redis: &Connection) -> Result<()> {
    for partition in Partition::all(redis) {
        let key = redis.keys.times(partition.number);
        let is_complete = redis.call(&["ZSCORE", &key, COMPLETE]).await? != Reply::Nil;
        if is_complete || !redis.exists(&redis.keys.imported(partition.number)).await? {
            continue;
        }
        let mut after = CheckinId::MIN;
        loop {
            let entries = partition.entries_after(after, PAGE).await?;
            let Some(last) = entries.last() else { break };
            after = last.id;
            let timed = entries.iter().filter_map(|entry| Some((entry.value(TIME)?, entry.id)));
            let add = timed.map(|(time, id)| {
                let (key, member, time) = (&key, member(id), time.to_owned());
                async move { redis.call(&["ZADD", key, &time, &member]).await }
            });
            at_once(add.collect()).await?;
        }
        redis.call(&["ZADD", &key, "-1", COMPLETE]).await?;
    }
    Ok(())
}
