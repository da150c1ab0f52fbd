//! The log of check-ins in Redis.

use std::ops::RangeInclusive;

use async_trait::async_trait;

use super::entry::{self, RawEntry};
use super::times::TimeRange;
use super::{RedisStorage, Reply, array, at_once, number, run_over, text, unexpected};
use checkin_domain::{Checkin, CheckinId, NewCheckin};
use checkin_storage::{
    Accepted, Admission, CheckinLog, HistoryPosition, IDEMPOTENCY_TTL, LogPosition, Result,
    StorageError, UsedUp,
};

/// How long replicas may take: less than the time in which Redis has to answer.
const REPLICAS_MS: &str = "150";

/// Entries asked for at a time.
pub(super) const PAGE: usize = 1000;

#[async_trait]
impl CheckinLog for RedisStorage {
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted> {
        let partition = self.keys.partition_of(checkin.user);
        let (log, checkpoint) = (self.keys.log(partition), self.keys.checkpoint(partition));
        let times = self.keys.times(partition);
        let recent = self.keys.recent(&checkin);
        let key = idempotency_key.map(|key| self.keys.idempotency(checkin.user, key));
        let mut keys = vec![log.as_str(), &checkpoint, &times, &recent];
        keys.extend(key.as_deref());
        let arguments = [
            checkin.user.to_string(),
            checkin.location.to_string(),
            checkin.stars.to_string(),
            milliseconds(admission.duplicate_window),
            milliseconds(IDEMPOTENCY_TTL),
            admission.max_backlog.to_string(),
            admission.max_length.to_string(),
            self.keys.partitions().to_string(),
            partition.to_string(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if admission.wait_replicas == 0 {
            return accepted(self.run(&self.scripts.append, &keys, &arguments).await?);
        }
        let append = &self.scripts.append;
        let answer = accepted(run_over(&self.waiting, append, &keys, &arguments).await?)?;
        // A retry asks again whether the replicas have by now what it made the first time.
        if matches!(answer, Accepted::Stored(_) | Accepted::Replayed(_)) {
            self.wait_for_replicas(admission.wait_replicas).await?;
        }
        Ok(answer)
    }

    async fn checkins_between(
        &self,
        times_ms: RangeInclusive<u64>,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let range = TimeRange::new(times_ms, after);
        let partitions = 0..self.keys.partitions();
        let read = partitions.map(|partition| self.between(partition, range, limit));
        let mut checkins = at_once(read.collect()).await?.concat();
        checkins.sort_unstable_by_key(|checkin| HistoryPosition::from(checkin));
        checkins.truncate(limit);
        Ok(checkins)
    }

    async fn latest_checkins(&self, before: CheckinId, limit: usize) -> Result<Vec<Checkin>> {
        let partitions = 0..self.keys.partitions();
        let read = partitions.map(|partition| self.latest(partition, before, limit));
        let mut checkins = at_once(read.collect()).await?.concat();
        checkins.sort_unstable_by_key(|checkin| std::cmp::Reverse(checkin.id));
        checkins.truncate(limit);
        Ok(checkins)
    }

    async fn log_end(&self) -> Result<LogPosition> {
        let last = |partition| async move {
            let log = self.keys.log(partition);
            let last = self.call(&["XREVRANGE", &log, "+", "-", "COUNT", "1"]).await?;
            let last = entry::read_all(last)?;
            Ok(last.first().map_or(CheckinId::MIN, |entry| entry.id))
        };
        let ends = at_once((0..self.keys.partitions()).map(last).collect()).await?;
        Ok(LogPosition(ends))
    }

    async fn follow(&self, from: &mut LogPosition, limit: usize) -> Result<Vec<(usize, Checkin)>> {
        let partitions = self.keys.partitions();
        // A position of another number of partitions is not one of this log.
        from.0.resize(partitions, CheckinId::MIN);
        let share = limit.div_ceil(partitions);
        let read = from.0.iter().enumerate();
        let read = read.map(|(partition, after)| async move {
            let entries = self.entries_after(partition, *after, share).await?;
            self.dated(partition, entries).await
        });
        let read = at_once(read.collect()).await?;
        let mut checkins = Vec::new();
        for (partition, entries) in read.into_iter().enumerate() {
            if let Some(last) = entries.last() {
                from.0[partition] = last.id;
            }
            let entries = entries.into_iter().filter_map(|entry| entry.checkin().ok());
            checkins.extend(entries.map(|checkin| (partition, checkin)));
        }
        checkins.sort_unstable_by_key(|(_, checkin): &(usize, Checkin)| checkin.id);
        Ok(checkins)
    }
}

impl RedisStorage {
    /// Redis counts the replicas that have all that this connection wrote before.
    async fn wait_for_replicas(&self, wanted: u32) -> Result<()> {
        let words = ["WAIT", &wanted.to_string(), REPLICAS_MS].map(str::to_owned);
        let words = words.each_ref().map(String::as_bytes);
        let found = number(self.waiting.call(&words).await.map_err(super::fault::failed)?)?;
        if found >= i64::from(wanted) {
            return Ok(());
        }
        let what = format!("{found} of {wanted} replicas have the check-in after {REPLICAS_MS} ms");
        Err(StorageError::new(what))
    }

    async fn latest(
        &self,
        partition: usize,
        before: CheckinId,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let (log, mut last, mut checkins) =
            (self.keys.log(partition), format!("({before}"), Vec::new());
        // No entry can come before this one, and Redis refuses to ask.
        if before == CheckinId::MIN {
            return Ok(checkins);
        }
        while checkins.len() < limit {
            let count = PAGE.min(limit - checkins.len());
            let range = ["XREVRANGE", &log, &last, "-", "COUNT", &count.to_string()];
            let entries = entry::read_all(self.call(&range).await?)?;
            let at_end = entries.len() < count;
            let before = entries.last().map(|entry| format!("({}", entry.id));
            let entries = self.dated(partition, entries).await?;
            checkins.extend(entries.into_iter().filter_map(|entry| entry.checkin().ok()));
            match before {
                Some(before) if !at_end => last = before,
                _ => break,
            }
        }
        Ok(checkins)
    }

    /// Everything that stands in the log behind an id, check-in or not.
    pub(super) async fn entries_after(
        &self,
        partition: usize,
        after: CheckinId,
        count: usize,
    ) -> Result<Vec<RawEntry>> {
        // No entry can come after this one, and Redis refuses to ask.
        if after == CheckinId::MAX {
            return Ok(Vec::new());
        }
        let (after, count) = (format!("({after}"), count.to_string());
        let range = ["XRANGE", &self.keys.log(partition), &after, "+", "COUNT", &count];
        entry::read_all(self.call(&range).await?)
    }
}

fn accepted(reply: Reply) -> Result<Accepted> {
    let mut replies = array(reply)?.into_iter();
    let verdict = text(replies.next().unwrap_or(Reply::Nil))?;
    let mut id = || entry::id(replies.next().unwrap_or(Reply::Nil));
    match verdict.as_str() {
        "stored" => id().map(Accepted::Stored),
        "replayed" => id().map(Accepted::Replayed),
        "duplicate" => Ok(Accepted::Duplicate),
        "reused" => Ok(Accepted::KeyReused),
        "behind" => Ok(Accepted::Behind),
        "used up" => Err(StorageError::new(UsedUp("the log"))),
        _ => Err(unexpected("what became of a check-in")),
    }
}

/// The longest life that Redis takes is far beyond a century.
fn milliseconds(duration: std::time::Duration) -> String {
    const CENTURY_MS: u128 = 100 * 365 * 24 * 60 * 60 * 1000;
    duration.as_millis().min(CENTURY_MS).to_string()
}
