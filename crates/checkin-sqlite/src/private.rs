//! Private check-ins in SQLite: a table of their own, which is log and history at once.

use checkin_domain::{Checkin, CheckinId, NewCheckin, UserId};
use checkin_storage::{HistoryPosition, Loaded, Reports, private_id};
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use crate::column;
use crate::log::{COLUMNS, checkin, insert_into};
use crate::retention::horizon_ms;

pub(crate) fn insert(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<()> {
    insert_into(connection, "private_checkins", checkin)
}

/// Returns an id for a new check-in.
pub(crate) fn free_id(
    connection: &Connection,
    checkin: &NewCheckin,
    idempotency_key: Option<&str>,
    time_ms: u64,
) -> rusqlite::Result<CheckinId> {
    let sql = "SELECT 1 FROM private_checkins WHERE user_id = ?1 AND time_ms = ?2 AND ms = ?2 AND seq = ?3";
    let mut id = private_id(checkin, idempotency_key, time_ms);
    loop {
        let ((ms, seq), user) = (column::position(id), column::number(checkin.user.get()));
        let is_taken = connection.prepare_cached(sql)?.exists([user, ms, seq])?;
        if !is_taken && !was_retracted(connection, checkin.user, id)? {
            return Ok(id);
        }
        id = id.next_private();
    }
}

/// Stores a check-in that keeps its id.
pub(crate) fn load(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<Loaded> {
    let sql = "SELECT 1 FROM private_checkins WHERE user_id = ?1 AND time_ms = ?2
                   AND (ms = ?3 AND seq = ?4 OR location_id = ?5 AND stars = ?6)";
    let (ms, seq) = column::position(checkin.id);
    let is_there = connection.prepare_cached(sql)?.exists(params![
        column::number(checkin.user.get()),
        column::number(checkin.time_ms),
        ms,
        seq,
        column::number(checkin.location.get()),
        checkin.stars.get(),
    ])?;
    if is_there || was_retracted(connection, checkin.user, checkin.id)? {
        return Ok(Loaded::Unchanged);
    }
    if checkin.time_ms < horizon_ms(connection)? {
        return Ok(Loaded::TooOld);
    }
    insert(connection, checkin)?;
    Ok(Loaded::Stored)
}

/// Returns a user's private check-ins after a position, latest first.
pub(crate) fn page(
    connection: &Connection,
    reports: &Reports,
    user: UserId,
    after: Option<HistoryPosition>,
    limit: usize,
) -> rusqlite::Result<Vec<Checkin>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM private_checkins
         WHERE user_id = ?1 AND (time_ms, ms, seq) < (?2, ?3, ?4)
         ORDER BY time_ms DESC, ms DESC, seq DESC"
    );
    let (time, (ms, seq)) = column::before(after);
    let values = params![column::number(user.get()), time, ms, seq];
    let mut statement = connection.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| Ok(Checkin { is_private: true, ..checkin(row)? });
    column::readable_rows(reports, "private_checkins", &mut statement, values, limit, read)
}

/// Removes a check-in, and marks it. Returns false if the user has no such private check-in.
pub(crate) fn retract(
    connection: &Connection,
    user: UserId,
    id: CheckinId,
) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM private_checkins WHERE user_id = ?1 AND ms = ?2 AND seq = ?3
               RETURNING time_ms";
    let (user, (ms, seq)) = (column::number(user.get()), column::position(id));
    let time = |row: &Row<'_>| row.get::<_, i64>(0);
    let removed = connection.prepare_cached(sql)?.query_row([user, ms, seq], time).optional()?;
    let Some(time_ms) = removed else { return Ok(false) };
    let sql = "INSERT OR IGNORE INTO private_retractions (user_id, ms, seq, time_ms)
               VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute([user, ms, seq, time_ms])?;
    Ok(true)
}

/// Returns whether a check-in was retracted.
pub(crate) fn was_retracted(
    connection: &Connection,
    user: UserId,
    id: CheckinId,
) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM private_retractions WHERE user_id = ?1 AND ms = ?2 AND seq = ?3";
    let (ms, seq) = column::position(id);
    connection.prepare_cached(sql)?.exists([column::number(user.get()), ms, seq])
}

/// Returns whether the user has a private check-in at this location and time, of any rating, or retracted it.
pub(crate) fn is_visited(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM private_checkins
               WHERE user_id = ?1 AND time_ms = ?2 AND location_id = ?3";
    let content = [checkin.user.get(), checkin.time_ms, checkin.location.get()];
    let is_there = connection.prepare_cached(sql)?.exists(content.map(column::number))?;
    Ok(is_there || was_retracted(connection, checkin.user, checkin.id)?)
}

/// Returns whether a private visit has this Swarm id.
pub(crate) fn has_visit(
    connection: &Connection,
    user: UserId,
    swarm_id: &str,
) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM private_visits WHERE user_id = ?1 AND swarm_id = ?2";
    connection.prepare_cached(sql)?.exists(params![column::number(user.get()), swarm_id])
}

/// Keeps the Swarm id of a private visit.
pub(crate) fn keep_visit(
    connection: &Connection,
    user: UserId,
    swarm_id: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO private_visits (user_id, swarm_id) VALUES (?1, ?2)";
    let values = params![column::number(user.get()), swarm_id];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Removes at most `limit` check-ins from before a time (ms), and returns how many. Removes the marks of those
/// that were retracted.
pub(crate) fn remove_old(
    connection: &Connection,
    before_ms: i64,
    limit: usize,
) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM private_checkins WHERE (user_id, time_ms, ms, seq) IN
               (SELECT user_id, time_ms, ms, seq FROM private_checkins WHERE time_ms < ?1 LIMIT ?2)";
    let marks = "DELETE FROM private_retractions WHERE time_ms < ?1";
    connection.prepare_cached(marks)?.execute([before_ms])?;
    connection.prepare_cached(sql)?.execute(params![before_ms, column::limit(limit)])
}

/// Removes all that is private of a user who is deleted.
pub(crate) fn erase(connection: &Connection, user: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM private_checkins WHERE user_id = ?1",
        "DELETE FROM private_retractions WHERE user_id = ?1",
        "DELETE FROM private_visits WHERE user_id = ?1",
        "DELETE FROM idempotency_keys WHERE user_id = ?1 AND private",
    ] {
        connection.prepare_cached(sql)?.execute([user])?;
    }
    Ok(())
}
