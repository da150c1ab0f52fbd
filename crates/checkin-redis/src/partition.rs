//! One partition of the log: a stream with its companions, all in one slot.

use std::time::Duration;

use checkin_domain::{CLOCK_TOLERANCE_MS, Checkin, CheckinId};
use checkin_storage::{Batch, DeadLetter, PartState, Result};
use redis_link::Reply;

use crate::connection::Connection;
use crate::entry::{self, RawEntry, TIME};
use crate::reply::{array, number, text, texts, unexpected};
use crate::{history, time_index};

/// Maximum number of entries in one request.
pub(crate) const PAGE: usize = 1000;

/// One partition of the log.
#[derive(Clone, Copy)]
pub(crate) struct Partition<'a> {
    pub(crate) redis: &'a Connection,
    pub(crate) number: usize,
}

impl<'a> Partition<'a> {
    /// Returns all partitions, in order.
    pub(crate) fn all(redis: &'a Connection) -> impl Iterator<Item = Self> + Clone {
        (0..redis.keys.partitions()).map(move |number| Self { redis, number })
    }

    pub(crate) fn log(&self) -> String {
        self.redis.keys.log(self.number)
    }

    pub(crate) fn checkpoint(&self) -> String {
        self.redis.keys.checkpoint(self.number)
    }

    /// Returns the id of the last entry.
    pub(crate) async fn end(&self) -> Result<CheckinId> {
        let last = self.redis.call(&["XREVRANGE", &self.log(), "+", "-", "COUNT", "1"]).await?;
        let last = entry::read_all(last)?;
        Ok(last.first().map_or(CheckinId::MIN, |entry| entry.id))
    }

    pub(crate) async fn latest(&self, before: CheckinId, limit: usize) -> Result<Vec<Checkin>> {
        let (log, mut last, mut checkins) = (self.log(), format!("({before}"), Vec::new());
        // No entry can be before this one, and Redis refuses such a range.
        if before == CheckinId::MIN {
            return Ok(checkins);
        }
        while checkins.len() < limit {
            let count = PAGE.min(limit - checkins.len());
            let range = ["XREVRANGE", &log, &last, "-", "COUNT", &count.to_string()];
            let entries = entry::read_all(self.redis.call(&range).await?)?;
            let at_end = entries.len() < count;
            let before = entries.last().map(|entry| format!("({}", entry.id));
            let entries = self.dated(entries).await?;
            checkins.extend(entries.into_iter().filter_map(|entry| entry.checkin().ok()));
            match before {
                Some(before) if !at_end => last = before,
                _ => break,
            }
        }
        Ok(checkins)
    }

    /// Returns all entries of the log after an id, check-ins or not.
    pub(crate) async fn entries_after(
        &self,
        after: CheckinId,
        count: usize,
    ) -> Result<Vec<RawEntry>> {
        // No entry can be after this one, and Redis refuses such a range.
        if after == CheckinId::MAX {
            return Ok(Vec::new());
        }
        let (after, count) = (format!("({after}"), count.to_string());
        let range = ["XRANGE", &self.log(), &after, "+", "COUNT", &count];
        entry::read_all(self.redis.call(&range).await?)
    }

    /// Moves the checkpoint to the end of a batch and stores its dead letters. Returns false and changes
    /// nothing if the checkpoint is not at the beginning of the batch.
    pub(crate) async fn move_checkpoint(
        &self,
        batch: &Batch,
        last: CheckinId,
        dead: &[DeadLetter],
    ) -> Result<bool> {
        let mut words =
            vec![batch.after.to_string(), last.to_string(), batch.entries.len().to_string()];
        let mut checkins = batch.checkins();
        checkins.retain(|checkin| checkin.time_ms != checkin.id.ms);
        words.push(checkins.len().to_string());
        let times = checkins.iter();
        words.extend(times.flat_map(|c| [c.time_ms.to_string(), time_index::member(c.id)]));
        for letter in dead {
            words.extend([
                letter.id.entry.to_string(),
                letter.reason.clone(),
                letter.fields.clone(),
            ]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let keys = [
            self.checkpoint(),
            self.redis.keys.dead_letters(self.number),
            self.redis.keys.times(self.number),
            self.log(),
            self.redis.keys.retracted(self.number),
        ];
        let keys = keys.each_ref().map(String::as_str);
        let moved = self.redis.run(&self.redis.scripts.move_checkpoint, &keys, &words).await?;
        Ok(number(moved)? == 1)
    }

    /// Returns the number of entries that are not yet applied.
    pub(crate) async fn waiting(&self) -> Result<u64> {
        let length = number(self.redis.call(&["XLEN", &self.log()]).await?)?;
        let key = self.checkpoint();
        let counted = array(self.redis.call(&["HMGET", &key, "counted", "trimmed"]).await?)?;
        let counted = counted.into_iter().map(|reply| match reply {
            Reply::Nil => Ok(0),
            number => Ok(text(number)?.parse::<i64>().unwrap_or(0)),
        });
        let counted: Vec<i64> = counted.collect::<Result<_>>()?;
        let waiting = length - (counted[0] - counted[1]);
        Ok(waiting.max(0).unsigned_abs())
    }

    /// Measures the partition in one step.
    pub(crate) async fn state(&self) -> Result<PartState> {
        let keys = [self.log(), self.checkpoint(), self.redis.keys.dead_letters(self.number)];
        let keys = keys.each_ref().map(String::as_str);
        let state = texts(self.redis.run(&self.redis.scripts.part_state, &keys, &[]).await?)?;
        let [length, applied, trimmed, dead_letters, now_ms, oldest, time, lost] =
            <[String; 8]>::try_from(state).map_err(|_| unexpected("the state of a partition"))?;
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let (length, now_ms) = (number(&length), number(&now_ms));
        let in_log = number(&applied).saturating_sub(number(&trimmed));
        // An id ahead of the clock is not the time at which its entry arrived.
        let arrived_ms = match oldest.parse::<CheckinId>() {
            Ok(id) if id.ms <= now_ms => id.ms,
            Ok(_) => time.parse().unwrap_or(now_ms),
            Err(_) => now_ms,
        };
        Ok(PartState {
            length,
            waiting: length.saturating_sub(in_log),
            oldest_waiting: Duration::from_millis(now_ms.saturating_sub(arrived_ms)),
            counted: number(&applied),
            dead_letters: number(&dead_letters),
            lost: number(&lost),
        })
    }

    /// Sets the time of arrival of entries whose ids are ahead of the clock and that have no time of
    /// their own.
    pub(crate) async fn dated(&self, mut entries: Vec<RawEntry>) -> Result<Vec<RawEntry>> {
        let latest_ms = self.redis.clock.now_ms() + CLOCK_TOLERANCE_MS;
        let is_ahead = |entry: &RawEntry| entry.id.ms > latest_ms && entry.value(TIME).is_none();
        let mut ahead: Vec<&mut RawEntry> =
            entries.iter_mut().filter(|entry| is_ahead(entry)).collect();
        for ahead in ahead.chunks_mut(PAGE) {
            let ids: Vec<CheckinId> = ahead.iter().map(|entry| entry.id).collect();
            let (now_ms, times) = self.arrivals(&ids).await?;
            for (entry, time) in ahead.iter_mut().zip(times) {
                entry.arrived_ms = Some(time.unwrap_or(now_ms).min(entry.id.ms));
            }
        }
        Ok(entries)
    }

    /// Returns the time of Redis.
    pub(crate) async fn clock_ms(&self) -> Result<u64> {
        Ok(self.arrivals(&[]).await?.0)
    }

    /// Returns the time of Redis, and the times of those entries that are in the index of times.
    async fn arrivals(&self, ids: &[CheckinId]) -> Result<(u64, Vec<Option<u64>>)> {
        let members: Vec<String> = ids.iter().map(|id| time_index::member(*id)).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let key = self.redis.keys.times(self.number);
        let replies =
            array(self.redis.run(&self.redis.scripts.arrivals, &[&key], &members).await?)?;
        let mut times = replies.into_iter().map(time);
        let now_ms = times.next().transpose()?.flatten().ok_or_else(|| unexpected("the time"))?;
        Ok((now_ms, times.collect::<Result<_>>()?))
    }
}

/// Reads a time, or `None`.
fn time(reply: Reply) -> Result<Option<u64>> {
    match reply {
        Reply::Nil => Ok(None),
        reply => Ok(history::milliseconds(&text(reply)?)),
    }
}
