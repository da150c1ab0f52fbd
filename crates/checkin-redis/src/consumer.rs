//! From the log to the figures, in Redis.
//!
//! A partition is read in order under a lease, but nothing relies on that: a check-in is applied to a
//! user or a place by a script that puts it into their history and counts it if it was not there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use super::apply::Applied;
use super::entry::{self, RawEntry};
use super::{RedisStorage, Reply, at_once, number, text, texts, times};
use checkin_domain::{Checkin, CheckinId};
use checkin_storage::{
    Audit, Batch, CheckinConsumer, Completed, DeadLetter, DeadLetterId, Entry, Replay, Result, Turn,
};

#[async_trait]
impl CheckinConsumer for RedisStorage {
    fn partitions(&self) -> usize {
        self.keys.partitions()
    }

    async fn join(&self, owner: &str, lease: Duration) -> Result<Turn> {
        let key = self.keys.processors();
        let until = (now_ms() + milliseconds(lease)).to_string();
        self.call(&["ZADD", &key, &until, owner]).await?;
        let now = now_ms().to_string();
        self.call(&["ZREMRANGEBYSCORE", &key, "-inf", &now]).await?;
        let mut owners = texts(self.call(&["ZRANGE", &key, "0", "-1"]).await?)?;
        owners.sort_unstable();
        let position = owners.iter().position(|other| other == owner).unwrap_or(owners.len());
        Ok(Turn { position, of: owners.len() })
    }

    async fn claim(
        &self,
        partition: usize,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<Batch>> {
        let (log, checkpoint) = (self.keys.log(partition), self.keys.checkpoint(partition));
        let (held, life) = (self.keys.lease(partition), milliseconds(lease).to_string());
        let keys = [log.as_str(), &checkpoint, &held];
        let after = match self.run(&self.scripts.claim, &keys, &[owner, &life]).await? {
            Reply::Nil => return Ok(None),
            id => entry::id(id)?,
        };
        let entries = self.entries_after(partition, after, limit).await?;
        let entries = self.dated(partition, entries).await?;
        let entries = entries.into_iter().map(RawEntry::entry).collect();
        Ok(Some(Batch { partition, owner: owner.to_owned(), after, entries }))
    }

    async fn complete(&self, batch: &Batch) -> Result<Completed> {
        let Some(last) = batch.entries.last() else {
            return Ok(Completed::default());
        };
        let Applied { new, mut dead } = self.apply(&batch.checkins()).await?;
        dead.extend(batch.entries.iter().filter_map(unreadable));
        dead.sort_unstable_by_key(|letter| letter.id);
        let moved = self.move_checkpoint(batch, last.id(), &dead).await?;
        Ok(Completed {
            applied: new,
            dead: if moved { dead.len() as u64 } else { 0 },
            overtaken: !moved,
        })
    }

    async fn release(&self, partition: usize, owner: &str) -> Result<()> {
        self.run(&self.scripts.release, &[&self.keys.lease(partition)], &[owner]).await?;
        Ok(())
    }

    async fn leave(&self, owner: &str) -> Result<()> {
        self.call(&["ZREM", &self.keys.processors(), owner]).await?;
        Ok(())
    }

    async fn backlog(&self) -> Result<u64> {
        let waiting = |partition| self.waiting(partition);
        let waiting = at_once((0..self.keys.partitions()).map(waiting).collect()).await?;
        Ok(waiting.iter().sum())
    }

    async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        let first = after.map_or(0, |after| after.partition);
        for partition in first..self.keys.partitions() {
            let behind = after.filter(|after| after.partition == partition);
            let behind = behind.map_or("-".to_owned(), |after| format!("({}", after.entry));
            let (key, count) =
                (self.keys.dead_letters(partition), (limit - letters.len()).to_string());
            let range = ["XRANGE", &key, &behind, "+", "COUNT", &count];
            let entries = entry::read_all(self.call(&range).await?)?;
            letters.extend(entries.iter().map(|entry| dead_letter(partition, entry)));
            if letters.len() >= limit {
                break;
            }
        }
        Ok(letters)
    }

    async fn replay(&self, id: DeadLetterId) -> Result<Replay> {
        let (key, entry) = (self.keys.dead_letters(id.partition), id.entry.to_string());
        let found = entry::read_all(self.call(&["XRANGE", &key, &entry, &entry]).await?)?;
        let Some(found) = found.first() else {
            return Ok(Replay::Unknown);
        };
        let checkin = match RawEntry::from_json(id.entry, found.value("fields").unwrap_or("{}")) {
            Ok(entry) => match self.dated(id.partition, vec![entry]).await?.pop() {
                Some(entry) => entry.checkin(),
                None => return Ok(Replay::Unknown),
            },
            Err(reason) => Err(reason),
        };
        let checkin = match checkin {
            Ok(checkin) => checkin,
            Err(reason) => return Ok(Replay::StillDead(reason)),
        };
        if let Some(letter) = self.apply(&[checkin]).await?.dead.pop() {
            return Ok(Replay::StillDead(letter.reason));
        }
        self.call(&["XDEL", &key, &entry]).await?;
        Ok(Replay::Applied)
    }

    async fn audit(&self) -> Result<Audit> {
        self.recount().await
    }
}

/// An entry that becomes a dead letter.
pub(super) struct Dead {
    pub(super) id: CheckinId,
    pub(super) reason: String,
    pub(super) fields: String,
}

impl Dead {
    /// A check-in that cannot be applied.
    pub(super) fn of(checkin: &Checkin, reason: &str) -> Self {
        let Checkin { id, time_ms, user, location, stars } = checkin;
        let mut fields = serde_json::json!({
            "userId": user.to_string(),
            "locationId": location.to_string(),
            "starRating": stars.to_string(),
        });
        if *time_ms != id.ms {
            fields[entry::TIME] = time_ms.to_string().into();
        }
        Self { id: *id, reason: reason.to_owned(), fields: fields.to_string() }
    }
}

fn unreadable(entry: &Entry) -> Option<Dead> {
    match entry {
        Entry::Checkin(_) => None,
        Entry::Unreadable { id, reason, fields } => {
            Some(Dead { id: *id, reason: reason.clone(), fields: fields.clone() })
        }
    }
}

fn dead_letter(partition: usize, entry: &RawEntry) -> DeadLetter {
    let value = |name| entry.value(name).unwrap_or_default().to_owned();
    let id = DeadLetterId { partition, entry: entry.id };
    DeadLetter { id, reason: value("reason"), fields: value("fields") }
}

impl RedisStorage {
    /// False if the checkpoint is not where the batch begins.
    async fn move_checkpoint(&self, batch: &Batch, last: CheckinId, dead: &[Dead]) -> Result<bool> {
        let mut words =
            vec![batch.after.to_string(), last.to_string(), batch.entries.len().to_string()];
        let mut checkins = batch.checkins();
        checkins.retain(|checkin| checkin.time_ms != checkin.id.ms);
        words.push(checkins.len().to_string());
        let times = checkins.iter();
        words.extend(times.flat_map(|c| [c.time_ms.to_string(), times::member(c.id)]));
        for letter in dead {
            words.extend([letter.id.to_string(), letter.reason.clone(), letter.fields.clone()]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let partition = batch.partition;
        let keys = [
            self.keys.checkpoint(partition),
            self.keys.dead_letters(partition),
            self.keys.times(partition),
        ];
        let keys = keys.each_ref().map(String::as_str);
        let moved = self.run(&self.scripts.move_checkpoint, &keys, &words).await?;
        Ok(number(moved)? == 1)
    }

    /// How many entries of a partition wait to be counted.
    async fn waiting(&self, partition: usize) -> Result<u64> {
        let length = number(self.call(&["XLEN", &self.keys.log(partition)]).await?)?;
        let key = self.keys.checkpoint(partition);
        let counted = super::array(self.call(&["HMGET", &key, "counted", "trimmed"]).await?)?;
        let counted = counted.into_iter().map(|reply| match reply {
            Reply::Nil => Ok(0),
            number => Ok(text(number)?.parse::<i64>().unwrap_or(0)),
        });
        let counted: Vec<i64> = counted.collect::<Result<_>>()?;
        let waiting = length - (counted[0] - counted[1]);
        Ok(waiting.max(0).unsigned_abs())
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    milliseconds(since)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
