//! Security events in SQLite: a table for each list.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use checkin_storage::{
    EventList, EventPosition, RecordedEvent, Result, SecurityEvent, SecurityEvents,
};
use sqlite_writer::rusqlite::types::Type;
use sqlite_writer::rusqlite::{self, Connection, Row, params};

use crate::{SqliteStorage, column};

/// The maximum number of events that one write removes from a list because of their age, so that none takes long.
const MAX_REMOVED: usize = 100;

#[async_trait]
impl SecurityEvents for SqliteStorage {
    async fn record_event(
        &self,
        list: EventList,
        event: &SecurityEvent,
        number: u64,
    ) -> Result<()> {
        let (event, clock) = (event.clone(), self.file.clock.clone());
        let write = move |connection: &Connection| {
            record(connection, table(list), &event, clock.now_ms())?;
            remove_beyond(connection, table(list), number)
        };
        self.file.write(write).await
    }

    async fn remove_old_events(&self, age: Duration) -> Result<bool> {
        let oldest_ms = self.file.clock.now_ms().saturating_sub(milliseconds(age));
        let write = move |connection: &Connection| {
            let mut may_be_more = false;
            for table in EventList::ALL.map(table) {
                may_be_more |= remove_before(connection, table, oldest_ms)? == MAX_REMOVED;
            }
            Ok(may_be_more)
        };
        self.file.write(write).await
    }

    async fn security_events(
        &self,
        list: EventList,
        after: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        self.events_behind("(time_ms, id) > (?1, ?2) ORDER BY time_ms, id", list, after, limit)
            .await
    }

    async fn latest_security_events(
        &self,
        list: EventList,
        before: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        let order = "(time_ms, id) < (?1, ?2) ORDER BY time_ms DESC, id DESC";
        self.events_behind(order, list, before, limit).await
    }
}

impl SqliteStorage {
    /// Returns the events behind a position, in an order of which it is a part.
    async fn events_behind(
        &self,
        order: &'static str,
        list: EventList,
        position: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let table = table(list);
            let sql = format!(
                "SELECT id, time_ms, kind, account, address, source, detail FROM {table} WHERE {order}"
            );
            let (ms, seq) = (column::number(position.ms), column::number(position.seq));
            let (values, mut statement) = (params![ms, seq], connection.prepare_cached(&sql)?);
            column::readable_rows(&reports, table, &mut statement, values, limit, recorded)
        };
        self.file.read(read).await
    }
}

fn table(list: EventList) -> &'static str {
    match list {
        EventList::FailedLogins => "failed_logins",
        EventList::Changes => "security_events",
        EventList::Logins => "login_events",
        EventList::Operators => "operator_events",
    }
}

fn record(
    connection: &Connection,
    table: &str,
    event: &SecurityEvent,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let SecurityEvent { kind, account, address, source, detail } = event;
    let sql = format!(
        "INSERT INTO {table} (time_ms, kind, account, address, source, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    );
    let account = account.map(|id| column::number(id.get()));
    let address = address.map(|address| address.to_string());
    let values = params![now_ms, kind.as_str(), account, address, source, detail];
    connection.prepare_cached(&sql)?.execute(values).map(drop)
}

/// Removes all but this number of events from a table to which one was added last.
fn remove_beyond(connection: &Connection, table: &str, number: u64) -> rusqlite::Result<()> {
    let beyond = connection.last_insert_rowid().saturating_sub(column::number(number));
    let sql = format!("DELETE FROM {table} WHERE id <= ?1");
    connection.prepare_cached(&sql)?.execute([beyond]).map(drop)
}

/// Removes events before a time, at most [`MAX_REMOVED`]. Returns their number.
fn remove_before(connection: &Connection, table: &str, oldest_ms: i64) -> rusqlite::Result<usize> {
    let sql = format!(
        "DELETE FROM {table} WHERE id IN
         (SELECT id FROM {table} WHERE time_ms < ?1 ORDER BY time_ms LIMIT {MAX_REMOVED})"
    );
    connection.prepare_cached(&sql)?.execute([oldest_ms])
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<RecordedEvent> {
    let position = EventPosition { ms: column::whole(row, 1)?, seq: column::whole(row, 0)? };
    let address = |text: Option<String>| text.map(|text| text.parse::<IpAddr>()).transpose();
    let event = SecurityEvent {
        kind: column::text(row, 2, |text| text.parse())?,
        account: column::optional_id(row, 3)?,
        address: address(row.get(4)?).map_err(|cause| column::wrong(4, Type::Text, cause))?,
        source: row.get(5)?,
        detail: row.get(6)?,
    };
    Ok(RecordedEvent { position, event })
}
