//! The log of check-ins in Redis.

use std::ops::RangeInclusive;

use async_trait::async_trait;

use checkin_domain::{Checkin, CheckinId, NewCheckin};
use checkin_storage::{Accepted, Admission, HistoryPosition, Log, LogPosition, Result};

use crate::RedisStorage;
use crate::connection::at_once;
use crate::partition::Partition;
use crate::private::Private;
use crate::times::{self, TimeRange};

#[async_trait]
impl Log for RedisStorage {
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted> {
        if checkin.is_private {
            // The future of most check-ins has no room for the steps of a private one.
            let private = Private(&self.redis);
            return Box::pin(private.append(&checkin, idempotency_key, admission)).await;
        }
        let keyed = (checkin, idempotency_key);
        self.appends.append(&self.redis, keyed, admission).await
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
