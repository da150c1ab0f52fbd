//! Whether Redis is available and suitable, and the diagnosis of `checkin doctor`.

use async_trait::async_trait;

use checkin_storage::health::used_up_ids;
use checkin_storage::{Fault, Finding, Health, ServiceKind, Severity, StorageError};
use redis_link::{Obstacle, Reply};

use crate::connection::{Connection, at_once};
use crate::fault::{failed, fault, of_error};
use crate::info::{Engine, info};
use crate::reply::{number, text};
use crate::settings::{self, not_reported};
use crate::upgrade::upgrade_words;
use crate::{RedisStorage, log_ids, permissions};

/// The first release with all commands that we use.
const OLDEST_VERSION: (u32, u32) = (6, 2);

#[async_trait]
impl Health for RedisStorage {
    /// Tries to write, because a node that was removed from a cluster, or refuses writes, still responds
    /// to `PING`.
    async fn ping(&self) -> Result<(), Fault> {
        let tried = self.redis.client.try_write(self.redis.keys.last_user_id().as_bytes()).await;
        tried.map_err(|error| of_error(&failed(error)))
    }

    async fn check(&self) -> Result<(), Fault> {
        self.redis.client.check().await.map_err(fault)?;
        let found = partition_count(&self.redis).await.map_err(|error| of_error(&error))?;
        found.map_or(Ok(()), |found| fits(&self.redis, &found))
    }

    async fn prepare(&self) -> Result<(), Fault> {
        self.check().await?;
        let found = set_partition_count(&self.redis).await.map_err(|error| of_error(&error))?;
        fits(&self.redis, &found)
    }

    async fn permitted(&self, services: &[ServiceKind]) -> Result<(), Fault> {
        // What makes the store unavailable is for the other checks to say.
        match self.redis.client.check().await {
            Ok(()) => permissions::check(&self.redis, services).await,
            Err(_) => Ok(()),
        }
    }

    async fn upgrade(&self) -> Result<(), Fault> {
        upgrade_words(&self.redis).await.map_err(|error| of_error(&error))
    }

    async fn diagnose(&self, findings: &mut Vec<Finding>) -> checkin_storage::Result<()> {
        self.redis.client.check().await.map_err(|obstacle| StorageError::new(fault(obstacle)))?;
        findings.push(engine_of(&self.redis).await);
        findings.extend(settings::findings(&self.redis, self.replicas).await);
        let permissions = permissions::finding(&self.redis).await;
        let may_read = permissions.severity != Severity::Problem;
        findings.push(permissions);
        if !may_read {
            return Ok(());
        }
        self.check().await.map_err(StorageError::new)?;
        findings.push(counts(&self.redis).await?);
        findings.extend(log_ids::findings(&self.redis).await?);
        let (users, places) = log_ids::used_up(&self.redis).await?;
        findings.extend(used_up_ids(users, places));
        for partition in self.partitions() {
            let lost = partition.state().await?.lost;
            findings.extend(settings::lost_entries(lost, &partition.checkpoint()));
        }
        Ok(())
    }
}

/// Returns the number of partitions of the log; `None` before the first check-in. An operator may have deleted
/// the log of a single partition, but not what it has become.
async fn partition_count(redis: &Connection) -> checkin_storage::Result<Option<String>> {
    match redis.call(&["GET", &redis.keys.partition_count()]).await? {
        Reply::Nil => {}
        found => return text(found).map(Some),
    }
    let [log, checkpoint] = redis.keys.only_partition();
    let found = number(redis.call(&["EXISTS", &log, &checkpoint]).await?)?;
    Ok((found > 0).then(|| "1".to_owned()))
}

/// Sets the number of partitions if it is not set yet, and returns the stored number.
async fn set_partition_count(redis: &Connection) -> checkin_storage::Result<String> {
    if let Some(found) = partition_count(redis).await? {
        return Ok(found);
    }
    let wanted = redis.keys.partitions().to_string();
    // One partition is the default and needs no key.
    if wanted == "1" {
        return Ok(wanted);
    }
    let key = redis.keys.partition_count();
    if redis.call(&["SET", &key, &wanted, "NX"]).await? != Reply::Nil {
        // The store is new, so no receiver of an older version has kept idempotency keys in strings.
        let begin = |partition| async move {
            let checkpoint = redis.keys.checkpoint(partition);
            redis.call(&["HSET", &checkpoint, "keys-since", "0"]).await
        };
        at_once((0..redis.keys.partitions()).map(begin).collect()).await?;
    }
    text(redis.call(&["GET", &key]).await?)
}

/// Checks the number of partitions. With another number, only a part of the log would be read.
fn fits(redis: &Connection, found: &str) -> Result<(), Fault> {
    let wanted = redis.keys.partitions();
    if found == wanted.to_string() {
        return Ok(());
    }
    Err(Fault::lasting(
        format!("the log has {found} partitions and not {wanted}"),
        format!("start every service with --partitions {found}"),
    ))
}

async fn engine_of(redis: &Connection) -> Finding {
    let info = info(&redis.client, &["server"]).await;
    match info.engines().next() {
        Some(_) => engine(info.engines()),
        None => not_reported("INFO", "redis_version"),
    }
}

async fn counts(redis: &Connection) -> checkin_storage::Result<Finding> {
    match counted(redis).await {
        Err(error) if error.is_unreadable() || is_denied(&error) => Ok(Finding::problem(
            "users, locations or check-ins cannot be counted",
            "allow ZCARD and XLEN to this login, and look for keys of another type under the prefix",
        )),
        counted => counted,
    }
}

async fn counted(redis: &Connection) -> checkin_storage::Result<Finding> {
    let count = async |command, key: String| {
        number(redis.call(&[command, &key]).await?).map(i64::unsigned_abs)
    };
    let users = count("ZCARD", redis.keys.user_ids()).await?;
    let locations = count("ZCARD", redis.keys.location_ids()).await?;
    let partitions = (0..redis.keys.partitions()).map(|partition| redis.keys.log(partition));
    let lengths = at_once(partitions.map(|log| count("XLEN", log)).collect()).await?;
    Ok(Finding::content(users, locations, lengths.iter().sum()))
}

fn is_denied(error: &StorageError) -> bool {
    Obstacle::of(error) == Some(Obstacle::NoPermission)
}

fn engine(engines: impl Iterator<Item = Engine>) -> Finding {
    let mut engines: Vec<Engine> = engines.collect();
    engines.sort_unstable();
    engines.dedup();
    let listed: Vec<String> = engines.iter().map(ToString::to_string).collect();
    let listed = listed.join(", ");
    if engines.iter().all(|engine| is_new_enough(&engine.redis_version)) {
        return Finding::fine(format!("the store is {listed}"));
    }
    Finding::problem(
        format!("the store is {listed}, and the commands of Redis 6.2 or later are needed"),
        "upgrade it",
    )
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (version, new_enough) in
            [("6.2.0", true), ("10.0.1", true), ("6.0.16", false), ("5.9", false), ("", false)]
        {
            assert_eq!(is_new_enough(version), new_enough, "{version}");
        }
    }
}
