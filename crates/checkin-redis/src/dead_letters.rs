//! Dead letters in Redis: streams whose entries have the ids that they had in the log.

use async_trait::async_trait;
use checkin_storage::{DeadLetter, DeadLetterId, DeadLetters, Replay, Result};

use crate::RedisStorage;
use crate::entry::{self, RawEntry};
use crate::partition::Partition;
use crate::reply::number;

#[async_trait]
impl DeadLetters for RedisStorage {
    async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        let first = after.map_or(0, |after| after.part);
        for Partition { number, .. } in self.partitions().skip(first) {
            let behind = after.filter(|after| after.part == number);
            let behind = behind.map_or("-".to_owned(), |after| format!("({}", after.entry));
            let key = self.redis.keys.dead_letters(number);
            let count = (limit - letters.len()).to_string();
            let range = ["XRANGE", &key, &behind, "+", "COUNT", &count];
            let entries = entry::read_all(self.redis.call(&range).await?)?;
            letters.extend(entries.iter().map(|entry| letter(number, entry)));
            if letters.len() >= limit {
                break;
            }
        }
        Ok(letters)
    }

    async fn replay(&self, id: DeadLetterId) -> Result<Replay> {
        let (key, entry) = (self.redis.keys.dead_letters(id.part), id.entry.to_string());
        let found = self.redis.call(&["XRANGE", &key, &entry, &entry]).await?;
        let Some(found) = entry::read_all(found)?.pop() else {
            return Ok(Replay::Unknown);
        };
        let checkin = match RawEntry::from_json(id.entry, found.value("fields").unwrap_or("{}")) {
            Ok(entry) => {
                let partition = Partition { redis: &self.redis, number: id.part };
                match partition.dated(vec![entry]).await?.pop() {
                    Some(entry) => entry.checkin(),
                    None => return Ok(Replay::Unknown),
                }
            }
            Err(reason) => Err(reason),
        };
        let checkin = match checkin {
            Ok(checkin) => checkin,
            Err(reason) => return Ok(Replay::StillDead(reason)),
        };
        let mut applied = self.figures().apply(&[checkin]).await?;
        if let Some((_, why)) = applied.dangling.pop() {
            return Ok(Replay::StillDead(why.to_string()));
        }
        if let Some(ownerless) = applied.ownerless.pop() {
            Partition { redis: &self.redis, number: id.part }.retract(&ownerless).await?;
            return Ok(Replay::Unknown);
        }
        // Somebody else may have replayed it at the same time.
        match number(self.redis.call(&["XDEL", &key, &entry]).await?)? {
            0 => Ok(Replay::Unknown),
            _ => Ok(Replay::Applied),
        }
    }
}

fn letter(part: usize, entry: &RawEntry) -> DeadLetter {
    let value = |name| entry.value(name).unwrap_or_default().to_owned();
    let id = DeadLetterId { part, entry: entry.id };
    DeadLetter { id, reason: value("reason"), fields: value("fields") }
}
