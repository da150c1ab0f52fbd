//! Retracting check-ins in SQLite: a check-in, its share of all figures and its mark are one transaction.

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId, UserId};
use checkin_storage::{LogEntry, Result, Retracted, Retractions};
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use crate::applier::checkpoint;
use crate::log::{COLUMNS, checkin_id, entry};
use crate::retention::horizon_ms;
use crate::{SqliteStorage, column, figures, private};

/// Maximum number of rows that one transaction retracts.
const ROWS: usize = 500;

#[async_trait]
impl Retractions for SqliteStorage {
    async fn retract(&self, user: UserId, id: CheckinId) -> Result<Retracted> {
        self.file.write(move |connection| retract(connection, user, id)).await
    }

    async fn retract_all(
        &self,
        user: UserId,
        _: Option<String>,
        _: usize,
    ) -> Result<Option<String>> {
        if self.file.write(move |connection| retract_some(connection, user)).await? {
            return Ok(Some(String::new()));
        }
        self.file.write(move |connection| forget(connection, user)).await?;
        Ok(None)
    }

    async fn apply_retractions(&self, _: usize, _: usize) -> Result<usize> {
        Ok(0)
    }
}

fn retract(connection: &Connection, user: UserId, id: CheckinId) -> rusqlite::Result<Retracted> {
    if private::retract(connection, user, id)? {
        return Ok(Retracted::Done);
    }
    let Some(checkin) = find(connection, user, id)? else {
        return Ok(match id.ms < horizon_ms(connection)? {
            _ if is_retracted(connection, user, id)? => Retracted::Done,
            _ if private::was_retracted(connection, user, id)? => Retracted::Done,
            true => Retracted::TooOld,
            false => Retracted::Unknown,
        });
    };
    if remove(connection, id, user, checkin.time_ms)? {
        figures::take_back(connection, &checkin)?;
    }
    Ok(Retracted::Done)
}

/// Removes a row and leaves its mark. Returns whether it was applied.
fn remove(
    connection: &Connection,
    id: CheckinId,
    user: UserId,
    time_ms: u64,
) -> rusqlite::Result<bool> {
    let (ms, seq) = column::position(id);
    let delete = |table| {
        let sql = format!("DELETE FROM {table} WHERE ms = ?1 AND seq = ?2");
        Ok::<_, rusqlite::Error>(connection.prepare_cached(&sql)?.execute([ms, seq])? > 0)
    };
    delete("checkins")?;
    let (is_counted, is_dead) = (id <= checkpoint(connection)?, delete("dead_letters")?);
    let sql = "INSERT INTO retractions (ms, seq, time_ms, user_id) VALUES (?1, ?2, ?3, ?4)";
    let [time, user] = [time_ms, user.get()].map(column::number);
    connection.prepare_cached(sql)?.execute([ms, seq, time, user])?;
    let sql = "UPDATE checkpoint SET appended = appended - 1, counted = counted - ?1";
    connection.prepare_cached(sql)?.execute([is_counted])?;
    Ok(is_counted && !is_dead)
}

/// Retracts some of a user's check-ins. Returns whether there may be more.
fn retract_some(connection: &Connection, user: UserId) -> rusqlite::Result<bool> {
    let sql = format!("SELECT ms, seq FROM checkins WHERE user_id = ?1 LIMIT {ROWS}");
    let number = column::number(user.get());
    let ids: Vec<CheckinId> = connection
        .prepare_cached(&sql)?
        .query_map([number], checkin_id)?
        .collect::<rusqlite::Result<_>>()?;
    for id in &ids {
        // A row that is no check-in is in no figure.
        if retract(connection, user, *id)? != Retracted::Done {
            remove(connection, *id, user, 0)?;
        }
    }
    Ok(ids.len() == ROWS)
}

/// Removes the figures of a user who has no check-in any more, and what is kept about the check-ins against another
/// import: nothing is imported for a deleted account. The marks keep the ids only.
fn forget(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    for sql in [
        "UPDATE user_figures SET num_checkins = 0, last_checkin = NULL, last_seen_at = NULL
         WHERE id = ?1",
        "UPDATE accounts SET base_checkins = 0, base_last_checkin = NULL, base_last_seen_at = NULL
         WHERE id = ?1",
        "UPDATE retractions SET user_id = 0, time_ms = 0 WHERE user_id = ?1",
        "DELETE FROM user_weeks WHERE user_id = ?1",
        "DELETE FROM swarm_visits WHERE user_id = ?1",
        "DELETE FROM idempotency_keys WHERE user_id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([column::number(user.get())])?;
    }
    Ok(())
}

fn find(connection: &Connection, user: UserId, id: CheckinId) -> rusqlite::Result<Option<Checkin>> {
    let sql = format!("SELECT {COLUMNS} FROM checkins WHERE ms = ?1 AND seq = ?2 AND user_id = ?3");
    let (ms, seq) = column::position(id);
    let values = params![ms, seq, column::number(user.get())];
    let found = connection.prepare_cached(&sql)?.query_row(values, entry).optional()?;
    Ok(found.and_then(|found| match found {
        // A larger number than a column can store was cut.
        LogEntry::Checkin(checkin) => Some(checkin).filter(|checkin| checkin.id == id),
        LogEntry::Unreadable { .. } => None,
    }))
}

fn is_retracted(connection: &Connection, user: UserId, id: CheckinId) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM retractions WHERE ms = ?1 AND seq = ?2 AND user_id = ?3";
    let (ms, seq) = column::position(id);
    connection.prepare_cached(sql)?.exists(params![ms, seq, column::number(user.get())])
}

/// Returns the ids of the retracted check-ins after one id, up to another one.
pub(crate) fn between(
    connection: &Connection,
    after: CheckinId,
    last: CheckinId,
) -> rusqlite::Result<Vec<CheckinId>> {
    let sql = "SELECT ms, seq FROM retractions
               WHERE (ms, seq) > (?1, ?2) AND (ms, seq) <= (?3, ?4)";
    let ((ms, seq), (last_ms, last_seq)) = (column::position(after), column::position(last));
    let id = |row: &Row<'_>| checkin_id(row);
    connection.prepare_cached(sql)?.query_map([ms, seq, last_ms, last_seq], id)?.collect()
}

/// Removes the marks of check-ins before the horizon, which no import can bring back.
pub(crate) fn sweep(connection: &Connection, before_ms: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM retractions WHERE ms < ?1";
    connection.prepare_cached(sql)?.execute([before_ms]).map(drop)
}
