//! Who was where, in SQLite: the log by user and by place.

use async_trait::async_trait;
use tower_express_session::store::sqlite::rusqlite::{self, Connection, params};

use super::checkins::{COLUMNS, checkin};
use super::{SqliteStorage, column};
use crate::domain::{Checkin, LocationId, UserId};
use crate::storage::{History, HistoryPosition, Result};

#[async_trait]
impl History for SqliteStorage {
    async fn of_user(
        &self,
        user: UserId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let id = column::number(user.get());
        let read = move |connection: &Connection| page(connection, "user_id", id, after, limit);
        Ok(self.database.read(read).await?)
    }

    async fn of_location(
        &self,
        location: LocationId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let id = column::number(location.get());
        let read = move |connection: &Connection| page(connection, "location_id", id, after, limit);
        Ok(self.database.read(read).await?)
    }
}

/// What is counted, and no dead letter.
fn page(
    connection: &Connection,
    of: &str,
    id: i64,
    after: Option<HistoryPosition>,
    limit: usize,
) -> rusqlite::Result<Vec<Checkin>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM checkins
         WHERE {of} = ?1 AND (time_ms, ms, seq) < (?2, ?3, ?4)
           AND (ms, seq) <= (SELECT ms, seq FROM checkpoint)
           AND NOT EXISTS (SELECT 1 FROM dead_letters
                           WHERE dead_letters.ms = checkins.ms AND dead_letters.seq = checkins.seq)
         ORDER BY time_ms DESC, ms DESC, seq DESC LIMIT ?5"
    );
    let (time, (ms, seq)) = match after {
        Some(after) => (column::number(after.time_ms), column::position(after.id)),
        None => (i64::MAX, (i64::MAX, i64::MAX)),
    };
    let values = params![id, time, ms, seq, column::limit(limit)];
    connection.prepare_cached(&sql)?.query_map(values, checkin)?.collect()
}
