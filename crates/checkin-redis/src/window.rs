//! The range of a partition that does not change, for those who compare the log with the histories.

use std::collections::HashSet;

use checkin_domain::CheckinId;
use checkin_storage::Result;
use redis_link::Reply;

use crate::entry;
use crate::partition::Partition;
use crate::reply::{text, unexpected};

/// The range of a partition that does not change.
pub(crate) struct Window {
    pub(crate) first: CheckinId,
    pub(crate) last: CheckinId,
    pub(crate) dead: HashSet<CheckinId>,
    /// Those that may be in histories, although they are retracted.
    pub(crate) retracted: HashSet<CheckinId>,
}

impl Window {
    /// Returns whether the entry is in the log, applied, neither a dead letter nor retracted.
    pub(crate) fn holds(&self, id: CheckinId) -> bool {
        (self.first..=self.last).contains(&id) && !self.is_exempt(id)
    }

    /// Returns whether the entry is applied, is neither a dead letter nor retracted, and is not in the log any more.
    pub(crate) fn is_behind(&self, id: CheckinId) -> bool {
        id < self.first && id <= self.last && !self.is_exempt(id)
    }

    fn is_exempt(&self, id: CheckinId) -> bool {
        self.dead.contains(&id) || self.retracted.contains(&id)
    }
}

/// Reads the range of a partition that does not change. It reads this number of dead letters and retractions at once.
pub(crate) async fn window(partition: Partition<'_>, page: usize) -> Result<Window> {
    let checkpoint = partition.checkpoint();
    let last = match partition.redis.call(&["HGET", &checkpoint, "id"]).await? {
        Reply::Nil => CheckinId::MIN,
        id => text(id)?.parse().map_err(|_| unexpected("the id of an entry"))?,
    };
    // Entries leave the log when it has its maximum length, or because another program trims it.
    let first = first_entry(partition).await?;
    let retracted = partition.retractions(page).await?.into_iter().collect();
    Ok(Window { first, last, dead: dead_ids(partition, page).await?, retracted })
}

async fn first_entry(partition: Partition<'_>) -> Result<CheckinId> {
    let range = ["XRANGE", &partition.log(), "-", "+", "COUNT", "1"];
    let first = entry::read_all(partition.redis.call(&range).await?)?;
    Ok(first.first().map_or(CheckinId::MAX, |entry| entry.id))
}

async fn dead_ids(partition: Partition<'_>, page: usize) -> Result<HashSet<CheckinId>> {
    let redis = partition.redis;
    let (key, mut from) = (redis.keys.dead_letters(partition.number), "-".to_owned());
    let mut ids = HashSet::new();
    loop {
        let range = ["XRANGE", &key, &from, "+", "COUNT", &page.to_string()];
        let letters = entry::read_all(redis.call(&range).await?)?;
        let Some(last) = letters.last() else {
            return Ok(ids);
        };
        from = format!("({}", last.id);
        ids.extend(letters.iter().map(|letter| letter.id));
    }
}
