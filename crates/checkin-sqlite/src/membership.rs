//! The live processors and the lease of the log, in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::CheckinId;
use checkin_storage::{Lease, LiveProcessor, MAX_LISTED, Membership, Rank, Result};
use sqlite_writer::rusqlite::{self, Connection, params};

use crate::{SqliteStorage, applier, column};

/// The log has one partition, because SQLite has one writer at a time.
const PARTS: usize = 1;

#[async_trait]
impl Membership for SqliteStorage {
    async fn join(&self, processor: &str, lifetime: Duration) -> Result<usize> {
        let (processor, now) = (processor.to_owned(), self.file.now_ms());
        let until = now.saturating_add(milliseconds(lifetime));
        let write = move |connection: &Connection| {
            let sql = "INSERT OR REPLACE INTO processors (owner, until_ms) VALUES (?1, ?2)";
            connection.prepare_cached(sql)?.execute(params![processor, until])?;
            let over = "DELETE FROM processors WHERE until_ms <= ?1";
            connection.prepare_cached(over)?.execute([now])?;
            let count = "SELECT count(*) FILTER (WHERE owner < ?1), count(*) FROM processors";
            connection.prepare_cached(count)?.query_row([processor], |row| {
                let number = |at| Ok::<_, rusqlite::Error>(column::whole(row, at)? as usize);
                Ok(Rank { position: number(0)?, of: number(1)? })
            })
        };
        self.file.write(write).await.map(|rank| rank.share(PARTS))
    }

    async fn leave(&self, processor: &str) -> Result<()> {
        let processor = processor.to_owned();
        let write = move |connection: &Connection| {
            let sql = "DELETE FROM processors WHERE owner = ?1";
            connection.prepare_cached(sql)?.execute([processor])
        };
        self.file.write(write).await.map(drop)
    }

    async fn acquire(
        &self,
        processor: &str,
        held: &[Lease],
        lifetime: Duration,
    ) -> Result<Option<Lease>> {
        if !held.is_empty() {
            return Ok(None);
        }
        let lease = Lease { part: 0, processor: processor.to_owned() };
        Ok(self.renew(&lease, lifetime).await?.map(|_checkpoint| lease))
    }

    async fn renew(&self, lease: &Lease, lifetime: Duration) -> Result<Option<CheckinId>> {
        let (name, now) = (lease.processor.clone(), self.file.now_ms());
        let (held, checkpoint) = self.file.read(look).await?;
        // A lease with more than half of its lifetime left is not renewed, so that most calls write
        // nothing.
        let lifetime = milliseconds(lifetime);
        match held {
            Held { by: Some(other), until_ms } if other != name && until_ms > now => Ok(None),
            Held { by: Some(own), until_ms } if own == name && until_ms > now + lifetime / 2 => {
                Ok(Some(checkpoint))
            }
            _ => {
                let until = now.saturating_add(lifetime);
                let take = move |connection: &Connection| take(connection, &name, until, now);
                self.file.write(take).await
            }
        }
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let processor = lease.processor.clone();
        let write = move |connection: &Connection| {
            let sql = "UPDATE checkpoint SET owner = NULL, lease_until_ms = 0 WHERE owner = ?1";
            connection.prepare_cached(sql)?.execute([processor])
        };
        self.file.write(write).await.map(drop)
    }

    async fn processors(&self) -> Result<Vec<LiveProcessor>> {
        let now = self.file.now_ms();
        self.file.read(move |connection: &Connection| live(connection, now)).await
    }
}

fn live(connection: &Connection, now_ms: i64) -> rusqlite::Result<Vec<LiveProcessor>> {
    let sql = "SELECT processors.owner, until_ms, checkpoint.owner IS NOT NULL
               FROM processors LEFT JOIN checkpoint
                   ON checkpoint.owner = processors.owner AND lease_until_ms > ?1
               WHERE until_ms > ?1 ORDER BY processors.owner LIMIT ?2";
    let processor = |row: &rusqlite::Row<'_>| {
        let left = row.get::<_, i64>(1)?.saturating_sub(now_ms).unsigned_abs();
        Ok(LiveProcessor {
            name: row.get(0)?,
            expires_in: Duration::from_millis(left),
            parts: if row.get(2)? { (0..PARTS).collect() } else { Vec::new() },
        })
    };
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(params![now_ms, MAX_LISTED as i64], processor)?.collect()
}

struct Held {
    by: Option<String>,
    until_ms: i64,
}

fn look(connection: &Connection) -> rusqlite::Result<(Held, CheckinId)> {
    let sql = "SELECT owner, lease_until_ms FROM checkpoint";
    let held = |row: &rusqlite::Row<'_>| Ok(Held { by: row.get(0)?, until_ms: row.get(1)? });
    let held = connection.prepare_cached(sql)?.query_row([], held)?;
    Ok((held, applier::checkpoint(connection)?))
}

/// Takes the lease and returns the checkpoint, or `None` if another processor was faster.
fn take(
    connection: &Connection,
    processor: &str,
    until: i64,
    now: i64,
) -> rusqlite::Result<Option<CheckinId>> {
    let sql = "UPDATE checkpoint SET owner = ?1, lease_until_ms = ?2
               WHERE owner IS NULL OR owner = ?1 OR lease_until_ms <= ?3";
    let taken = connection.prepare_cached(sql)?.execute(params![processor, until, now])? == 1;
    taken.then(|| applier::checkpoint(connection)).transpose()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
