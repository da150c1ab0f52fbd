//! The log of check-ins in Redis.

use std::ops::RangeInclusive;

use async_trait::async_trait;

use checkin_domain::{Checkin, CheckinId, NewCheckin};
use checkin_storage::{
    Accepted, Admission, HistoryPosition, IDEMPOTENCY_TTL, Log, LogPosition, Result, StorageError,
    UsedUp,
};
use redis_link::Reply;

use crate::connection::{Connection, at_once};
use crate::partition::Partition;
use crate::reply::{array, number, text, unexpected};
use crate::times::{self, TimeRange};
use crate::{RedisStorage, entry};

/// How long replicas may take: less than the time-out of a command.
const REPLICAS_MS: &str = "150";

/// The number of replicas that must have an append, and the connection that waits for them.
#[derive(Clone)]
pub(crate) struct Replicas {
    pub(crate) wanted: u32,
    pub(crate) redis: Connection,
}

impl Replicas {
    /// Waits until enough replicas have everything that this connection wrote before.
    async fn wait(&self) -> Result<()> {
        let wanted = self.wanted;
        let found = self.redis.call(&["WAIT", &wanted.to_string(), REPLICAS_MS]).await?;
        let found = number(found)?;
        if found >= i64::from(wanted) {
            return Ok(());
        }
        let what = format!("{found} of {wanted} replicas have the check-in after {REPLICAS_MS} ms");
        Err(StorageError::new(what))
    }
}

#[async_trait]
impl Log for RedisStorage {
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted> {
        let partition = Partition::of(&self.redis, checkin.user);
        let keys = &self.redis.keys;
        let (log, checkpoint) = (partition.log(), partition.checkpoint());
        let (times, recent) = (keys.times(partition.number), keys.recent(&checkin));
        let key = idempotency_key.map(|key| keys.idempotency(checkin.user, key));
        let arguments = [
            checkin.user.to_string(),
            checkin.location.to_string(),
            checkin.stars.to_string(),
            milliseconds(admission.duplicate_window),
            milliseconds(IDEMPOTENCY_TTL),
            admission.max_backlog.to_string(),
            admission.max_length.to_string(),
            keys.partitions().to_string(),
            partition.number.to_string(),
        ];
        let mut keys = vec![log.as_str(), &checkpoint, &times, &recent];
        keys.extend(key.as_deref());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let redis = self.replicas.as_ref().map_or(&self.redis, |replicas| &replicas.redis);
        let answer = accepted(redis.run(&redis.scripts.append, &keys, &arguments).await?)?;
        // A retry waits again for the replicas: they may have the first entry by now.
        if let (Some(replicas), Accepted::Stored(_) | Accepted::Replayed(_)) =
            (&self.replicas, answer)
        {
            replicas.wait().await?;
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
        self.has_times.get_or_try_init(|| times::complete(&self.redis)).await?;
        let read = async |partition: Partition<'_>| partition.between(range, limit).await;
        let mut checkins = at_once(self.partitions().map(read).collect()).await?.concat();
        checkins.sort_unstable_by_key(|checkin| HistoryPosition::from(checkin));
        checkins.truncate(limit);
        Ok(checkins)
    }

    async fn latest_checkins(&self, before: CheckinId, limit: usize) -> Result<Vec<Checkin>> {
        let read = async |partition: Partition<'_>| partition.latest(before, limit).await;
        let mut checkins = at_once(self.partitions().map(read).collect()).await?.concat();
        checkins.sort_unstable_by_key(|checkin| std::cmp::Reverse(checkin.id));
        checkins.truncate(limit);
        Ok(checkins)
    }

    async fn log_end(&self) -> Result<LogPosition> {
        let end = async |partition: Partition<'_>| partition.end().await;
        at_once(self.partitions().map(end).collect()).await.map(LogPosition)
    }

    async fn follow(&self, from: &mut LogPosition, limit: usize) -> Result<Vec<(usize, Checkin)>> {
        let partitions = self.redis.keys.partitions();
        // A position with another number of partitions does not belong to this log.
        from.0.resize(partitions, CheckinId::MIN);
        let share = limit.div_ceil(partitions);
        let read = self.partitions().zip(&from.0).map(|(partition, after)| async move {
            partition.dated(partition.entries_after(*after, share).await?).await
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
        _ => Err(unexpected("the result of an append")),
    }
}

/// Converts a duration. Redis accepts times to live of far more than a century.
fn milliseconds(duration: std::time::Duration) -> String {
    const CENTURY_MS: u128 = 100 * 365 * 24 * 60 * 60 * 1000;
    duration.as_millis().min(CENTURY_MS).to_string()
}
