//! Retracting check-ins in SQLite: a check-in, its share of all figures and its mark are one transaction.

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId, UserId};
use checkin_storage::{LogEntry, Result, Retracted, Retractions};
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use crate::applier::checkpoint;
use crate::log::{COLUMNS, checkin_id, entry};
use crate::retention::horizon_ms;
use crate::{SqliteStorage, column, figures};

#[async_trait]
impl Retractions for SqliteStorage {
    async fn retract(&self, user: UserId, id: CheckinId) -> Result<Retracted> {
        self.file.write(move |connection| retract(connection, user, id)).await
    }

    async fn apply_retractions(&self, _: usize, _: usize) -> Result<usize> {
        Ok(0)
    }
}

fn retract(connection: &Connection, user: UserId, id: CheckinId) -> rusqlite::Result<Retracted> {
    let Some(checkin) = find(connection, user, id)? else {
        return Ok(match id.ms < horizon_ms(connection)? {
            _ if is_retracted(connection, user, id)? => Retracted::Done,
            true => Retracted::TooOld,
            false => Retracted::Unknown,
        });
    };
    let (ms, seq) = column::position(id);
    let delete = |table| {
        let sql = format!("DELETE FROM {table} WHERE ms = ?1 AND seq = ?2");
        Ok::<_, rusqlite::Error>(connection.prepare_cached(&sql)?.execute([ms, seq])? > 0)
    };
    delete("checkins")?;
    let (is_counted, is_dead) = (id <= checkpoint(connection)?, delete("dead_letters")?);
    let sql = "INSERT INTO retractions (ms, seq, time_ms, user_id) VALUES (?1, ?2, ?3, ?4)";
    let [time, user] = [checkin.time_ms, user.get()].map(column::number);
    connection.prepare_cached(sql)?.execute([ms, seq, time, user])?;
    let sql = "UPDATE checkpoint SET appended = appended - 1, counted = counted - ?1";
    connection.prepare_cached(sql)?.execute([is_counted])?;
    if is_counted && !is_dead {
        figures::take_back(connection, &checkin)?;
    }
    Ok(Retracted::Done)
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
