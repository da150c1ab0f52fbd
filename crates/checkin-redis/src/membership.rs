//! The live processors and the leases of the partitions, in Redis.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::CheckinId;
use checkin_storage::{Lease, LiveProcessor, MAX_LISTED, Membership, Rank, Result};
use redis_link::Reply;

use crate::clock::milliseconds;
use crate::connection::at_once;
use crate::partition::Partition;
use crate::reply::{scored, text, texts};
use crate::{RedisStorage, entry, history};

#[async_trait]
impl Membership for RedisStorage {
    async fn join(&self, processor: &str, lifetime: Duration) -> Result<usize> {
        let (key, script) = (self.redis.keys.processors(), &self.redis.scripts.join);
        let words = [processor, &milliseconds(lifetime).to_string()];
        let mut live = texts(self.redis.run(script, &[&key], &words).await?)?;
        live.sort_unstable();
        let position = live.iter().position(|other| other == processor).unwrap_or(live.len());
        Ok(Rank { position, of: live.len() }.share(self.redis.keys.partitions()))
    }

    async fn leave(&self, processor: &str) -> Result<()> {
        self.redis.call(&["ZREM", &self.redis.keys.processors(), processor]).await.map(drop)
    }

    async fn acquire(
        &self,
        processor: &str,
        held: &[Lease],
        lifetime: Duration,
    ) -> Result<Option<Lease>> {
        let is_held = |part| held.iter().any(|lease| lease.part == part);
        for Partition { number, .. } in self.partitions().filter(|part| !is_held(part.number)) {
            let lease = Lease { part: number, processor: processor.to_owned() };
            if self.renew(&lease, lifetime).await?.is_some() {
                return Ok(Some(lease));
            }
        }
        Ok(None)
    }

    async fn renew(&self, lease: &Lease, lifetime: Duration) -> Result<Option<CheckinId>> {
        let keys = &self.redis.keys;
        let keys = [keys.log(lease.part), keys.checkpoint(lease.part), keys.lease(lease.part)];
        let keys = keys.each_ref().map(String::as_str);
        let words = [lease.processor.as_str(), &milliseconds(lifetime).to_string()];
        match self.redis.run(&self.redis.scripts.claim, &keys, &words).await? {
            Reply::Nil => Ok(None),
            id => entry::id(id).map(Some),
        }
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let (key, words) = (self.redis.keys.lease(lease.part), [lease.processor.as_str()]);
        self.redis.run(&self.redis.scripts.release, &[&key], &words).await.map(drop)
    }

    async fn processors(&self) -> Result<Vec<LiveProcessor>> {
        let now_ms = Partition { redis: &self.redis, number: 0 }.clock_ms().await?;
        let (key, from, limit) =
            (self.redis.keys.processors(), format!("({now_ms}"), MAX_LISTED.to_string());
        let live = ["ZRANGEBYSCORE", &key, &from, "+inf", "WITHSCORES", "LIMIT", "0", &limit];
        let live = scored(self.redis.call(&live).await?)?;
        let holder = async |partition: Partition<'_>| {
            let key = self.redis.keys.lease(partition.number);
            match self.redis.call(&["GET", &key]).await? {
                Reply::Nil => Ok(None),
                name => text(name).map(Some),
            }
        };
        let holders = at_once(self.partitions().map(holder).collect()).await?;
        let mut processors: Vec<LiveProcessor> = live
            .into_iter()
            .map(|(name, until)| {
                let left = history::milliseconds(&until).unwrap_or(now_ms).saturating_sub(now_ms);
                let held = (0..).zip(&holders).filter(|(_, holder)| holder.as_ref() == Some(&name));
                let parts = held.map(|(part, _)| part).collect();
                LiveProcessor { name, expires_in: Duration::from_millis(left), parts }
            })
            .collect();
        processors.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(processors)
    }
}
