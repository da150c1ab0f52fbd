//! The findings of `checkin doctor` about ids: those of the log, of accounts and of locations.

use checkin_domain::number::decimal;
use checkin_domain::{CLOCK_TOLERANCE_MS, CheckinId, LocationId, MAX_SAFE_INTEGER, UserId};
use checkin_storage::{Finding, Result, StorageError};
use redis_link::{Reply, companion_key};

use crate::connection::Connection;
use crate::entry;
use crate::partition::Partition;
use crate::reply::{array, text, unexpected};

/// Copies the entries of a log up to an id, and puts the copy in its place. Since Redis 7.2, `XSETID` refuses an id
/// below that of an entry that was deleted, so only a new stream has lower ids.
const COPY: &str = "local at = '-' while true do \
     local page = redis.call('XRANGE', KEYS[1], at, ARGV[1], 'COUNT', 1000) \
     if #page == 0 then return redis.call('RENAME', KEYS[2], KEYS[1]) end \
     for _, entry in ipairs(page) do \
     redis.call('XADD', KEYS[2], entry[1], unpack(entry[2])) at = '(' .. entry[1] end end";

/// Returns a finding for each partition whose ids are ahead of the clock.
pub(crate) async fn findings(redis: &Connection) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for partition in Partition::all(redis) {
        let Some(last) = last_id(partition).await? else { continue };
        if last.ms <= partition.clock_ms().await? + CLOCK_TOLERANCE_MS {
            continue;
        }
        let log = partition.log();
        findings.push(match is_last_of_all(redis, last) {
            true => Finding::problem(
                format!("the ids of {log} are used up: no check-in can be added after {last}"),
                way_out(partition, last).await?,
            ),
            false => Finding::warning(
                format!("the ids of {log} are ahead of the clock: the last one is {last}"),
                "nothing is lost, each check-in has the time at which it arrives; find the program \
                 that adds entries with ids that it chooses, and let it use XADD with *",
            ),
        });
    }
    Ok(findings)
}

/// Returns whether the highest id of accounts is in use or was assigned, and the same for locations.
pub(crate) async fn used_up(redis: &Connection) -> Result<(bool, bool)> {
    let user = UserId::try_from(MAX_SAFE_INTEGER).map_err(StorageError::new)?;
    let place = LocationId::try_from(MAX_SAFE_INTEGER).map_err(StorageError::new)?;
    let users = is_last(redis, &redis.keys.user(user), &redis.keys.last_user_id()).await?;
    let places =
        is_last(redis, &redis.keys.location(place), &redis.keys.last_venue_location()).await?;
    Ok((users, places))
}

async fn is_last(redis: &Connection, record: &str, counter: &str) -> Result<bool> {
    let given = match redis.call(&["GET", counter]).await? {
        Reply::Nil => None,
        given => decimal(&text(given)?),
    };
    Ok(given >= Some(MAX_SAFE_INTEGER) || redis.exists(record).await?)
}

/// Returns the last id that was assigned in a partition.
async fn last_id(partition: Partition<'_>) -> Result<Option<CheckinId>> {
    let log = partition.log();
    if !partition.redis.exists(&log).await? {
        return Ok(None);
    }
    let mut stream = array(partition.redis.call(&["XINFO", "STREAM", &log]).await?)?.into_iter();
    while let (Some(name), Some(value)) = (stream.next(), stream.next()) {
        if name == Reply::Bytes("last-generated-id".into()) {
            return entry::id(value).map(Some);
        }
    }
    Err(unexpected("the last id of a stream"))
}

/// Returns whether the append script finds no id after this one; see `scripts/log_ids.lua`.
fn is_last_of_all(redis: &Connection, id: CheckinId) -> bool {
    let room = 2 * redis.keys.partitions() as u64;
    id.ms >= MAX_SAFE_INTEGER && id.seq > MAX_SAFE_INTEGER - room
}

/// Returns the commands after which the log has free ids again.
async fn way_out(partition: Partition<'_>, last: CheckinId) -> Result<String> {
    let (log, checkpoint) = (partition.log(), partition.checkpoint());
    let newest = partition.redis.call(&["XREVRANGE", &log, "+", "-", "COUNT", "2"]).await?;
    let newest: Vec<CheckinId> = entry::read_all(newest)?.iter().map(|entry| entry.id).collect();
    let before = newest.iter().find(|id| **id < last).copied().unwrap_or(CheckinId::MIN);
    let mut commands = vec![match before {
        CheckinId::MIN => format!("DEL {log}"),
        _ => format!("EVAL \"{COPY}\" 2 {log} {} {before}", companion_key(&log, "copy")),
    }];
    let counted = match partition.redis.call(&["HGET", &checkpoint, "id"]).await? {
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
