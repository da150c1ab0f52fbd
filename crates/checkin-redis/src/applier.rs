//! Applying the entries of the log, in Redis.
//!
//! A partition is read in order under a lease, but correctness does not depend on it: a script adds a
//! check-in to the history of a user or location, and counts it only if it was not in the history.

use async_trait::async_trait;
use checkin_domain::CheckinId;
use checkin_storage::{Applied, Applier, Batch, DeadLetter, Lease, LogEntry, PartState, Result};

use crate::RedisStorage;
use crate::connection::at_once;
use crate::entry::RawEntry;
use crate::fault::failed;
use crate::partition::{PAGE, Partition};

#[async_trait]
impl Applier for RedisStorage {
    async fn read(&self, lease: &Lease, after: CheckinId, limit: usize) -> Result<Batch> {
        let partition = Partition { redis: &self.redis, number: lease.part };
        let (mut entries, mut last, mut is_end) = (Vec::new(), after, false);
        while entries.len() < limit && !is_end {
            let count = PAGE.min(limit - entries.len());
            let page = partition.entries_after(last, count).await?;
            is_end = page.len() < count;
            last = page.last().map_or(last, |entry| entry.id);
            entries.extend(page);
        }
        let entries = partition.dated(entries).await?;
        let entries = entries.into_iter().map(RawEntry::entry).collect();
        Ok(Batch { part: lease.part, after, entries })
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied> {
        let Some(last) = batch.entries.last().map(LogEntry::id) else {
            return Ok(Applied::default());
        };
        // On a cluster, the effects are on other servers than the checkpoint. If their replicas lacked them
        // when the checkpoint moves, a fail-over could lose them for good. A server that has both has them in
        // order, but a master that has replaced it in between may lack the effects.
        let writes = &self.redis.writes;
        let topology = writes.topology().await.map_err(failed)?;
        let applied = self.figures().apply(&batch.checkins()).await?;
        writes.everywhere(&topology, &self.redis.keys.replicated()).await.map_err(failed)?;
        let dangling = applied.dangling.iter();
        let dangling = dangling.map(|(checkin, why)| DeadLetter::of(batch.part, checkin, *why));
        let mut dead: Vec<DeadLetter> = DeadLetter::unreadable(batch).chain(dangling).collect();
        dead.sort_unstable_by_key(|letter| letter.id);
        let partition = Partition { redis: &self.redis, number: batch.part };
        // Before the checkpoint moves, so that it does not count them. An earlier attempt may have listed them.
        let retract = applied.ownerless.iter().map(|checkin| partition.retract(checkin));
        at_once(retract.collect()).await?;
        self.figures().settle(&applied.ownerless).await?;
        let moved = partition.move_checkpoint(batch, last, &dead).await?;
        let dead = if moved { dead.len() as u64 } else { 0 };
        Ok(Applied { new: applied.new, dead })
    }

    async fn backlog(&self) -> Result<u64> {
        let waiting = async |partition: Partition<'_>| partition.waiting().await;
        let waiting = at_once(self.partitions().map(waiting).collect()).await?;
        Ok(waiting.iter().sum())
    }

    async fn part_states(&self) -> Result<Vec<PartState>> {
        let state = async |partition: Partition<'_>| partition.state().await;
        at_once(self.partitions().map(state).collect()).await
    }
}
