//! Applying the entries of the log, in SQLite: a batch and its checkpoint are one transaction.

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId};
use checkin_storage::{Applied, Applier, Batch, DeadLetter, Lease, LogEntry, PartState, Result};
use sqlite_writer::rusqlite::{self, Connection, params};

use crate::figures::apply;
use crate::log::{dated, entries_after, part_state, waiting};
use crate::{SqliteStorage, column, dead_letters, retractions};

#[async_trait]
impl Applier for SqliteStorage {
    async fn read(&self, lease: &Lease, after: CheckinId, limit: usize) -> Result<Batch> {
        let read = move |connection: &Connection| entries_after(connection, after, limit);
        let entries = self.file.read(read).await?;
        Ok(Batch { part: lease.part, after, entries })
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied> {
        let Some(last) = batch.entries.last().map(LogEntry::id) else {
            return Ok(Applied::default());
        };
        let (after, part, count) = (batch.after, batch.part, batch.entries.len() as u64);
        let mut checkins: Vec<Checkin> = batch.checkins();
        let unreadable: Vec<DeadLetter> = DeadLetter::unreadable(batch).collect();
        let now = self.file.now_ms();
        let write = move |connection: &Connection| {
            if checkpoint(connection)? != after {
                return Ok(Applied::default());
            }
            // They were retracted after the batch was read.
            let retracted = retractions::between(connection, after, last)?;
            let read = checkins.len();
            checkins.retain(|checkin| !retracted.contains(&checkin.id));
            let count = count - (read - checkins.len()) as u64;
            let checkins = dated(connection, checkins, now)?;
            let dangling = apply(connection, &checkins, now)?;
            let letter = |(checkin, why): &(Checkin, _)| DeadLetter::of(part, checkin, *why);
            let letters = dangling.iter().map(letter).chain(unreadable.iter().cloned());
            for letter in letters {
                dead_letters::insert(connection, &letter)?;
            }
            let (ms, seq) = column::position(last);
            let sql = "UPDATE checkpoint SET ms = ?1, seq = ?2, counted = counted + ?3";
            connection.prepare_cached(sql)?.execute(params![ms, seq, column::number(count)])?;
            let new = (checkins.len() - dangling.len()) as u64;
            Ok(Applied { new, dead: count - new })
        };
        self.file.write(write).await
    }

    async fn backlog(&self) -> Result<u64> {
        self.file.read(waiting).await
    }

    async fn part_states(&self) -> Result<Vec<PartState>> {
        let now = self.file.now_ms();
        let read = move |connection: &Connection| part_state(connection, now);
        Ok(vec![self.file.read(read).await?])
    }
}

pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<CheckinId> {
    let id = |row: &rusqlite::Row<'_>| {
        Ok(CheckinId { ms: column::whole(row, 0)?, seq: column::whole(row, 1)? })
    };
    connection.prepare_cached("SELECT ms, seq FROM checkpoint")?.query_row([], id)
}
