//! From the log to the figures, in SQLite: a batch and its checkpoint are one transaction.

use std::time::Duration;

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, params};

use super::apply::{Unapplied, apply};
use super::checkins::{COLUMNS, entries_after, entry, waiting};
use super::{SqliteStorage, audit, column};
use checkin_domain::{CLOCK_TOLERANCE_MS, Checkin, CheckinId};
use checkin_storage::{
    Audit, Batch, CheckinConsumer, Completed, DeadLetter, DeadLetterId, Entry, Replay, Result, Turn,
};

#[async_trait]
impl CheckinConsumer for SqliteStorage {
    /// One writer at a time makes more of them useless.
    fn partitions(&self) -> usize {
        1
    }

    async fn join(&self, owner: &str, lease: Duration) -> Result<Turn> {
        let (owner, now) = (owner.to_owned(), self.file.now_ms());
        let until = now.saturating_add(milliseconds(lease));
        let write = move |connection: &Connection| {
            let sql = "INSERT OR REPLACE INTO processors (owner, until_ms) VALUES (?1, ?2)";
            connection.prepare_cached(sql)?.execute(params![owner, until])?;
            let over = "DELETE FROM processors WHERE until_ms <= ?1";
            connection.prepare_cached(over)?.execute([now])?;
            let count = "SELECT count(*) FILTER (WHERE owner < ?1), count(*) FROM processors";
            connection.prepare_cached(count)?.query_row([owner], |row| {
                let number = |at| Ok::<_, rusqlite::Error>(column::whole(row, at)? as usize);
                Ok(Turn { position: number(0)?, of: number(1)? })
            })
        };
        self.file.write(write).await
    }

    async fn claim(
        &self,
        partition: usize,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<Batch>> {
        let (name, now) = (owner.to_owned(), self.file.now_ms());
        // Most of the time there is nothing to do: a lease that has half its life is not renewed,
        // and nothing is written.
        let half = milliseconds(lease) / 2;
        let held = self.file.read(move |connection: &Connection| lease_of(connection)).await?;
        match held {
            Lease { owner: Some(other), until_ms } if other != name && until_ms > now => {
                return Ok(None);
            }
            Lease { owner: Some(own), until_ms } if own == name && until_ms > now + half => {}
            _ => {
                let until = now.saturating_add(milliseconds(lease));
                let taken = self
                    .file
                    .write(move |connection: &Connection| take(connection, &name, until, now))
                    .await?;
                if !taken {
                    return Ok(None);
                }
            }
        }
        let read = move |connection: &Connection| {
            let after = checkpoint(connection)?;
            Ok((after, entries_after(connection, after, limit)?))
        };
        let (after, entries) = self.file.read(read).await?;
        Ok(Some(Batch { partition, owner: owner.to_owned(), after, entries }))
    }

    async fn complete(&self, batch: &Batch) -> Result<Completed> {
        let Some(last) = batch.entries.last().map(Entry::id) else {
            return Ok(Completed::default());
        };
        let (after, count) = (batch.after, batch.entries.len() as u64);
        let checkins: Vec<Checkin> = batch.checkins();
        let unreadable: Vec<(CheckinId, String, String)> =
            batch.entries.iter().filter_map(unreadable).collect();
        let now = self.file.now_ms();
        let write = move |connection: &Connection| {
            if checkpoint(connection)? != after {
                return Ok(Completed { overtaken: true, ..Completed::default() });
            }
            let checkins = dated(connection, checkins, now)?;
            let unapplied = apply(connection, &checkins, now)?;
            for Unapplied { checkin, reason } in &unapplied {
                dead_letter(connection, checkin.id, reason, &fields(checkin))?;
            }
            for (id, reason, fields) in &unreadable {
                dead_letter(connection, *id, reason, fields)?;
            }
            let (ms, seq) = column::position(last);
            let sql = "UPDATE checkpoint SET ms = ?1, seq = ?2, counted = counted + ?3";
            connection.prepare_cached(sql)?.execute(params![ms, seq, column::number(count)])?;
            let applied = (checkins.len() - unapplied.len()) as u64;
            Ok(Completed { applied, dead: count - applied, overtaken: false })
        };
        self.file.write(write).await
    }

    async fn release(&self, _partition: usize, owner: &str) -> Result<()> {
        let owner = owner.to_owned();
        let write = move |connection: &Connection| {
            let sql = "UPDATE checkpoint SET owner = NULL, lease_until_ms = 0 WHERE owner = ?1";
            connection.prepare_cached(sql)?.execute([owner])
        };
        self.file.write(write).await?;
        Ok(())
    }

    async fn leave(&self, owner: &str) -> Result<()> {
        let owner = owner.to_owned();
        let write = move |connection: &Connection| {
            connection.prepare_cached("DELETE FROM processors WHERE owner = ?1")?.execute([owner])
        };
        self.file.write(write).await?;
        Ok(())
    }

    async fn backlog(&self) -> Result<u64> {
        self.file.read(waiting).await
    }

    async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let sql = "SELECT ms, seq, reason, fields FROM dead_letters
                       WHERE (ms, seq) > (?1, ?2) ORDER BY ms, seq";
            let (ms, seq) = after.map_or((-1, -1), |after| column::position(after.entry));
            let letter = |row: &rusqlite::Row<'_>| {
                let entry = CheckinId { ms: column::whole(row, 0)?, seq: column::whole(row, 1)? };
                let id = DeadLetterId { partition: 0, entry };
                Ok(DeadLetter { id, reason: row.get(2)?, fields: row.get(3)? })
            };
            let (values, mut statement) = (params![ms, seq], connection.prepare_cached(sql)?);
            column::readable_rows(&reports, "dead_letters", &mut statement, values, limit, letter)
        };
        self.file.read(read).await
    }

    async fn replay(&self, id: DeadLetterId) -> Result<Replay> {
        let now = self.file.now_ms();
        let write = move |connection: &Connection| {
            let (ms, seq) = column::position(id.entry);
            let sql = format!(
                "SELECT {COLUMNS} FROM checkins JOIN dead_letters USING (ms, seq)
                 WHERE ms = ?1 AND seq = ?2"
            );
            let found =
                connection.prepare_cached(&sql)?.query_row(params![ms, seq], entry).optional()?;
            let found = match found {
                None => return Ok(Replay::Unknown),
                Some(Entry::Unreadable { reason, .. }) => return Ok(Replay::StillDead(reason)),
                Some(Entry::Checkin(checkin)) => checkin,
            };
            let found = dated(connection, vec![found], now)?;
            if let Some(letter) = apply(connection, &found, now)?.pop() {
                return Ok(Replay::StillDead(letter.reason.to_owned()));
            }
            let sql = "DELETE FROM dead_letters WHERE ms = ?1 AND seq = ?2";
            connection.prepare_cached(sql)?.execute(params![ms, seq])?;
            Ok(Replay::Applied)
        };
        self.file.write(write).await
    }

    async fn audit(&self) -> Result<Audit> {
        self.file.read(audit::recount).await
    }
}

struct Lease {
    owner: Option<String>,
    until_ms: i64,
}

fn lease_of(connection: &Connection) -> rusqlite::Result<Lease> {
    let sql = "SELECT owner, lease_until_ms FROM checkpoint";
    let lease = |row: &rusqlite::Row<'_>| Ok(Lease { owner: row.get(0)?, until_ms: row.get(1)? });
    connection.prepare_cached(sql)?.query_row([], lease)
}

/// False if another owner was faster.
fn take(connection: &Connection, owner: &str, until: i64, now: i64) -> rusqlite::Result<bool> {
    let sql = "UPDATE checkpoint SET owner = ?1, lease_until_ms = ?2
               WHERE owner IS NULL OR owner = ?1 OR lease_until_ms <= ?3";
    Ok(connection.prepare_cached(sql)?.execute(params![owner, until, now])? == 1)
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<CheckinId> {
    let id = |row: &rusqlite::Row<'_>| {
        Ok(CheckinId { ms: column::whole(row, 0)?, seq: column::whole(row, 1)? })
    };
    connection.prepare_cached("SELECT ms, seq FROM checkpoint")?.query_row([], id)
}

/// Gives entries that are ahead of the clock the time at which they are counted: somebody wrote them
/// under ids of their own, and did not say when they were made.
fn dated(
    connection: &Connection,
    mut checkins: Vec<Checkin>,
    now_ms: i64,
) -> rusqlite::Result<Vec<Checkin>> {
    let now_ms = now_ms.unsigned_abs();
    let ahead = |checkin: &&mut Checkin| checkin.time_ms > now_ms + CLOCK_TOLERANCE_MS;
    for checkin in checkins.iter_mut().filter(ahead) {
        checkin.time_ms = now_ms;
        let (ms, seq) = column::position(checkin.id);
        let sql = "UPDATE checkins SET time_ms = ?3 WHERE ms = ?1 AND seq = ?2";
        connection.prepare_cached(sql)?.execute(params![ms, seq, column::number(now_ms)])?;
    }
    Ok(checkins)
}

fn dead_letter(
    connection: &Connection,
    id: CheckinId,
    reason: &str,
    fields: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO dead_letters (ms, seq, reason, fields)
               VALUES (?1, ?2, ?3, ?4)";
    let (ms, seq) = column::position(id);
    connection.prepare_cached(sql)?.execute(params![ms, seq, reason, fields])?;
    Ok(())
}

fn unreadable(entry: &Entry) -> Option<(CheckinId, String, String)> {
    match entry {
        Entry::Checkin(_) => None,
        Entry::Unreadable { id, reason, fields } => Some((*id, reason.clone(), fields.clone())),
    }
}

/// The fields of a check-in as a dead letter keeps them.
fn fields(checkin: &Checkin) -> String {
    let Checkin { user, location, stars, .. } = checkin;
    let fields = serde_json::json!({
        "userId": user.to_string(),
        "locationId": location.to_string(),
        "starRating": stars.to_string(),
    });
    fields.to_string()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
