//! Histories in SQLite: the log by user and by location.

use std::cmp::Reverse;

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, params};

use super::log::{COLUMNS, checkin};
use super::{SqliteStorage, column, private};
use checkin_domain::{Checkin, LocationId, UserId};
use checkin_storage::Reports;
use checkin_storage::{History, HistoryPosition, Result};

#[async_trait]
impl History for SqliteStorage {
    async fn of_user(
        &self,
        user: UserId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let id = column::number(user.get());
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let mut checkins = page(connection, &reports, "user_id", id, after, limit)?;
            let private = private::page(connection, &reports, user, after, limit)?;
            if !private.is_empty() {
                checkins.extend(private);
                checkins.sort_by_key(|checkin| Reverse(HistoryPosition::from(checkin)));
                checkins.truncate(limit);
            }
            Ok(checkins)
        };
        self.file.read(read).await
    }

    async fn of_location(
        &self,
        location: LocationId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let id = column::number(location.get());
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            page(connection, &reports, "location_id", id, after, limit)
        };
        self.file.read(read).await
    }
}

/// Returns a page of the applied check-ins, without dead letters.
fn page(
    connection: &Connection,
    reports: &Reports,
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
         ORDER BY time_ms DESC, ms DESC, seq DESC"
    );
    let (time, (ms, seq)) = column::before(after);
    let (values, mut statement) = (params![id, time, ms, seq], connection.prepare_cached(&sql)?);
    column::readable_rows(reports, "checkins", &mut statement, values, limit, checkin)
}
