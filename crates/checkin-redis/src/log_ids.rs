//! What `checkin doctor` has to say about ids: those of the log, of accounts and of places.

use super::{RedisStorage, Reply, array, text, unexpected};
use checkin_domain::number::decimal;
use checkin_domain::{CLOCK_TOLERANCE_MS, CheckinId, LocationId, MAX_SAFE_INTEGER, UserId};
use checkin_storage::{Finding, Result, StorageError};

use super::entry;

impl RedisStorage {
    /// A finding for each partition whose ids are ahead of the clock.
    pub(super) async fn id_findings(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for partition in 0..self.keys.partitions() {
            let Some(last) = self.last_id(partition).await? else { continue };
            if last.ms <= self.clock_ms(partition).await? + CLOCK_TOLERANCE_MS {
                continue;
            }
            let log = self.keys.log(partition);
            findings.push(match self.is_last_of_all(last) {
                true => Finding::problem(
                    format!("the ids of {log} are used up: nobody can add a check-in behind {last}"),
                    self.way_out(partition, last).await?,
                ),
                false => Finding::warning(
                    format!("the ids of {log} are ahead of the clock: the last one is {last}"),
                    "nothing is lost, each check-in has the time at which it arrives; find the program \
                     that adds entries under ids of its own, and let it use XADD with *",
                ),
            });
        }
        Ok(findings)
    }

    /// Whether the highest id of accounts is in use or was given out, and that of places.
    pub(super) async fn used_up(&self) -> Result<(bool, bool)> {
        let user = UserId::try_from(MAX_SAFE_INTEGER).map_err(StorageError::new)?;
        let place = LocationId::try_from(MAX_SAFE_INTEGER).map_err(StorageError::new)?;
        let users = self.is_last(&self.keys.user(user), &self.keys.last_user_id()).await?;
        let places =
            self.is_last(&self.keys.location(place), &self.keys.last_venue_place()).await?;
        Ok((users, places))
    }

    async fn is_last(&self, record: &str, counter: &str) -> Result<bool> {
        let given = match self.call(&["GET", counter]).await? {
            Reply::Nil => None,
            given => decimal(&text(given)?),
        };
        Ok(given >= Some(MAX_SAFE_INTEGER) || self.exists(record).await?)
    }

    /// The last id that a partition gave out.
    async fn last_id(&self, partition: usize) -> Result<Option<CheckinId>> {
        let log = self.keys.log(partition);
        if !self.exists(&log).await? {
            return Ok(None);
        }
        let mut stream = array(self.call(&["XINFO", "STREAM", &log]).await?)?.into_iter();
        while let (Some(name), Some(value)) = (stream.next(), stream.next()) {
            if name == Reply::Bytes("last-generated-id".into()) {
                return entry::id(value).map(Some);
            }
        }
        Err(unexpected("the last id of a stream"))
    }

    /// Whether the script that appends finds no id behind this one; see `scripts/log_ids.lua`.
    fn is_last_of_all(&self, id: CheckinId) -> bool {
        let room = 2 * self.keys.partitions() as u64;
        id.ms >= MAX_SAFE_INTEGER && id.seq > MAX_SAFE_INTEGER - room
    }

    /// The commands that give the log its ids back.
    async fn way_out(&self, partition: usize, last: CheckinId) -> Result<String> {
        let (log, checkpoint) = (self.keys.log(partition), self.keys.checkpoint(partition));
        let newest = self.call(&["XREVRANGE", &log, "+", "-", "COUNT", "2"]).await?;
        let newest: Vec<CheckinId> =
            entry::read_all(newest)?.iter().map(|entry| entry.id).collect();
        let before = newest.iter().find(|id| **id < last).copied().unwrap_or(CheckinId::MIN);
        let mut commands = Vec::new();
        if newest.contains(&last) {
            commands.push(format!("XDEL {log} {last}"));
        }
        commands.push(format!("XSETID {log} {before}"));
        let counted = match self.call(&["HGET", &checkpoint, "id"]).await? {
            Reply::Nil => CheckinId::MIN,
            id => text(id)?.parse().map_err(|_| unexpected("the id of an entry"))?,
        };
        if counted > before {
            commands.push(format!("HSET {checkpoint} id {before}"));
        }
        let commands = commands.join("`, `");
        Ok(format!(
            "stop every service, run `{commands}` in redis-cli, and start them again; find the program \
             that added the entry under an id of its own, and let it use XADD with *"
        ))
    }
}
