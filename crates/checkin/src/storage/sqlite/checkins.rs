//! The log of check-ins in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use tower_express_session::store::sqlite::rusqlite::{
    self, Connection, OptionalExtension, Row, params,
};

use super::{SqliteStorage, column, now_ms};
use crate::domain::{Checkin, CheckinId, NewCheckin};
use crate::storage::{Accepted, CheckinLog, IDEMPOTENCY_TTL, Result};

/// So many idempotency keys that are over are deleted along with each append: more than are made,
/// so that they never pile up.
const SWEEP: i64 = 4;

#[async_trait]
impl CheckinLog for SqliteStorage {
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        duplicate_window: Duration,
    ) -> Result<Accepted> {
        let clock = self.clock.clone();
        let key = idempotency_key.map(str::to_owned);
        let window_ms = milliseconds(duplicate_window);
        let write = move |connection: &Connection| {
            // The time of the write's turn, not of the call: so the log's times hardly ever wait.
            let request = Append { checkin, key, window_ms, now_ms: now_ms(&clock) };
            request.run(connection)
        };
        Ok(self.database.write(write).await?)
    }

    async fn checkins_after(&self, after: CheckinId, limit: usize) -> Result<Vec<Checkin>> {
        let read = move |connection: &Connection| {
            let sql = "SELECT ms, seq, user_id, location_id, stars FROM checkins
                       WHERE (ms, seq) > (?1, ?2) ORDER BY ms, seq LIMIT ?3";
            let (ms, seq) = (column::number(after.ms), column::number(after.seq));
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map(params![ms, seq, column::limit(limit)], checkin)?.collect()
        };
        Ok(self.database.read(read).await?)
    }
}

struct Append {
    checkin: NewCheckin,
    key: Option<String>,
    window_ms: i64,
    now_ms: i64,
}

impl Append {
    fn run(&self, connection: &Connection) -> rusqlite::Result<Accepted> {
        if let Some(first) = self.remembered(connection)? {
            let same = first == self.checkin.with_id(first.id);
            return Ok(if same { Accepted::Replayed(first.id) } else { Accepted::KeyReused });
        }
        if self.window_ms > 0 && self.is_recent(connection)? {
            return Ok(Accepted::Duplicate);
        }
        let id = next_id(connection, self.now_ms)?;
        insert(connection, &self.checkin.with_id(id))?;
        self.remember(connection, id)?;
        sweep(connection, self.now_ms)?;
        Ok(Accepted::Stored(id))
    }

    /// The check-in that came with this key before.
    fn remembered(&self, connection: &Connection) -> rusqlite::Result<Option<Checkin>> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let sql = "SELECT ms, seq, user_id, location_id, stars FROM idempotency_keys
                   WHERE user_id = ?1 AND key = ?2 AND expires_ms > ?3";
        let user = column::number(self.checkin.user.get());
        let values = params![user, key, self.now_ms];
        connection.prepare_cached(sql)?.query_row(values, checkin).optional()
    }

    /// Whether an identical check-in is younger than the window.
    fn is_recent(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM checkins
                   WHERE user_id = ?1 AND location_id = ?2 AND stars = ?3 AND ms > ?4";
        connection.prepare_cached(sql)?.exists(params![
            column::number(self.checkin.user.get()),
            column::number(self.checkin.location.get()),
            self.checkin.stars.get(),
            self.now_ms.saturating_sub(self.window_ms),
        ])
    }

    fn remember(&self, connection: &Connection, id: CheckinId) -> rusqlite::Result<()> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        // Replaces a key that is over and not yet swept.
        let sql = "INSERT OR REPLACE INTO idempotency_keys
                       (user_id, key, location_id, stars, ms, seq, expires_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        connection.prepare_cached(sql)?.execute(params![
            column::number(self.checkin.user.get()),
            key,
            column::number(self.checkin.location.get()),
            self.checkin.stars.get(),
            column::number(id.ms),
            column::number(id.seq),
            self.now_ms.saturating_add(milliseconds(IDEMPOTENCY_TTL)),
        ])?;
        Ok(())
    }
}

/// The highest id, or the one before all.
pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<CheckinId> {
    let sql = "SELECT ms, seq FROM checkins ORDER BY ms DESC, seq DESC LIMIT 1";
    let last = connection.prepare_cached(sql)?.query_row([], checkin_id).optional()?;
    Ok(last.unwrap_or(CheckinId::MIN))
}

/// Now, or if the clock went back, or the log has entries of this millisecond: right after the
/// last entry.
fn next_id(connection: &Connection, now_ms: i64) -> rusqlite::Result<CheckinId> {
    let last = last_id(connection)?;
    let now = CheckinId { ms: now_ms.unsigned_abs(), seq: 0 };
    Ok(if now > last { now } else { CheckinId { ms: last.ms, seq: last.seq + 1 } })
}

pub(super) fn insert(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<()> {
    let sql = "INSERT INTO checkins (ms, seq, user_id, location_id, stars)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(sql)?.execute(params![
        column::number(checkin.id.ms),
        column::number(checkin.id.seq),
        column::number(checkin.user.get()),
        column::number(checkin.location.get()),
        checkin.stars.get(),
    ])?;
    Ok(())
}

fn sweep(connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM idempotency_keys WHERE (user_id, key) IN
               (SELECT user_id, key FROM idempotency_keys WHERE expires_ms <= ?1 LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![now_ms, SWEEP])?;
    Ok(())
}

fn checkin(row: &Row<'_>) -> rusqlite::Result<Checkin> {
    Ok(Checkin {
        id: checkin_id(row)?,
        user: column::id(row, 2)?,
        location: column::id(row, 3)?,
        stars: column::id(row, 4)?,
    })
}

fn checkin_id(row: &Row<'_>) -> rusqlite::Result<CheckinId> {
    Ok(CheckinId { ms: column::whole(row, 0)?, seq: column::whole(row, 1)? })
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
