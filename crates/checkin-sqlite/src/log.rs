//! The log of check-ins in SQLite.

use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use super::append::Append;
use super::{SqliteStorage, column};
use checkin_domain::{CLOCK_TOLERANCE_MS, Checkin, CheckinId, Comment, NewCheckin};
use checkin_storage::Reports;
use checkin_storage::{
    Accepted, Admission, Finding, HistoryPosition, Log, LogEntry, LogPosition, PartState, Result,
};

/// The largest number that a column can store.
pub(super) const LAST_NUMBER: u64 = i64::MAX.unsigned_abs();

#[async_trait]
impl Log for SqliteStorage {
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted> {
        let clock = self.file.clock.clone();
        let key = idempotency_key.map(str::to_owned);
        let write = move |connection: &Connection| {
            // The time at which the write runs, not that of the call, so that the times of the log are rarely out of order.
            let request = Append { checkin, key, admission, now_ms: clock.now_ms() };
            request.run(connection)
        };
        self.file.write(write).await
    }

    async fn checkins_between(
        &self,
        times_ms: RangeInclusive<u64>,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let mut checkins = Vec::new();
            // Each of the two queries is in the order of an index.
            for (kind, time) in [("time_ms = ms", "ms"), ("time_ms <> ms", "time_ms")] {
                let found = between(connection, &reports, kind, time, &times_ms, after, limit)?;
                checkins.extend(found);
            }
            checkins.sort_unstable_by_key(|checkin| HistoryPosition::from(checkin));
            checkins.truncate(limit);
            Ok(checkins)
        };
        self.file.read(read).await
    }

    async fn latest_checkins(&self, before: CheckinId, limit: usize) -> Result<Vec<Checkin>> {
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM checkins WHERE (ms, seq) < (?1, ?2)
                 ORDER BY ms DESC, seq DESC"
            );
            let (ms, seq) = column::position(before);
            let mut statement = connection.prepare_cached(&sql)?;
            let (table, values) = ("checkins", params![ms, seq]);
            column::readable_rows(&reports, table, &mut statement, values, limit, checkin)
        };
        self.file.read(read).await
    }

    async fn log_end(&self) -> Result<LogPosition> {
        let last = self.file.read(last_id).await?;
        Ok(LogPosition(vec![last]))
    }

    async fn follow(&self, from: &mut LogPosition, limit: usize) -> Result<Vec<(usize, Checkin)>> {
        // A position with another number of partitions does not belong to this log.
        from.0.resize(1, CheckinId::MIN);
        let after = from.0[0];
        let read = move |connection: &Connection| entries_after(connection, after, limit);
        let entries = self.file.read(read).await?;
        if let Some(last) = entries.last() {
            from.0[0] = last.id();
        }
        let checkins = entries.into_iter().filter_map(|entry| match entry {
            LogEntry::Checkin(checkin) => Some((0, checkin)),
            LogEntry::Unreadable { .. } => None,
        });
        Ok(checkins.collect())
    }
}

pub(super) const COLUMNS: &str = "ms, seq, time_ms, user_id, location_id, stars, comment";

/// Returns check-ins in a range of times: those whose id is their time, or those whose id is not.
fn between(
    connection: &Connection,
    reports: &Reports,
    kind: &str,
    time: &str,
    times_ms: &RangeInclusive<u64>,
    after: Option<HistoryPosition>,
    limit: usize,
) -> rusqlite::Result<Vec<Checkin>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM checkins WHERE {kind} AND {time} BETWEEN ?1 AND ?2
             AND ({time}, ms, seq) > (?3, ?4, ?5) ORDER BY {time}, ms, seq"
    );
    let (first, last) = (column::number(*times_ms.start()), column::number(*times_ms.end()));
    let (time_ms, (ms, seq)) = match after {
        Some(after) => (column::number(after.time_ms), column::position(after.id)),
        None => (-1, (-1, -1)),
    };
    let values = params![first.max(time_ms), last, time_ms, ms, seq];
    let mut statement = connection.prepare_cached(&sql)?;
    column::readable_rows(reports, "checkins", &mut statement, values, limit, checkin)
}

/// Returns the entries after an id, in order, including those that are not check-ins.
pub(super) fn entries_after(
    connection: &Connection,
    after: CheckinId,
    limit: usize,
) -> rusqlite::Result<Vec<LogEntry>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM checkins WHERE (ms, seq) > (?1, ?2) ORDER BY ms, seq LIMIT ?3"
    );
    let (ms, seq) = column::position(after);
    let values = params![ms, seq, column::limit(limit)];
    connection.prepare_cached(&sql)?.query_map(values, entry)?.collect()
}

/// Reads a row of [`COLUMNS`], even if it is not a check-in.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<LogEntry> {
    let cause = match checkin(row) {
        Err(cause) if column::is_unreadable(&cause) => cause,
        read => return read.map(LogEntry::Checkin),
    };
    let number = |column| row.get::<_, i64>(column).map(|number| number.to_string());
    let fields = serde_json::json!({
        "userId": number(3)?, "locationId": number(4)?, "starRating": number(5)?,
    });
    let reason = format!("the row cannot be read: {cause}");
    Ok(LogEntry::Unreadable { id: checkin_id(row)?, reason, fields: fields.to_string() })
}

/// Returns the highest id so far, or the one before all ids. Its check-in may be retracted.
pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<CheckinId> {
    let last = |sql| connection.prepare_cached(sql)?.query_row([], checkin_id).optional();
    let here = last("SELECT ms, seq FROM checkins ORDER BY ms DESC, seq DESC LIMIT 1")?;
    let gone = last("SELECT ms, seq FROM retractions ORDER BY ms DESC, seq DESC LIMIT 1")?;
    Ok(here.max(gone).unwrap_or(CheckinId::MIN))
}

/// Returns an id for the current time. If the clock was set back, or the log has entries of this
/// millisecond, the id is directly after the last entry.
pub(super) fn next_id(connection: &Connection, now_ms: i64) -> rusqlite::Result<CheckinId> {
    let last = last_id(connection)?;
    let now = CheckinId { ms: now_ms.unsigned_abs(), seq: 0 };
    let next = match last {
        _ if now > last => Some(now),
        CheckinId { ms, seq } if seq < LAST_NUMBER => Some(CheckinId { ms, seq: seq + 1 }),
        CheckinId { ms, .. } if ms < LAST_NUMBER => Some(CheckinId { ms: ms + 1, seq: 0 }),
        _ => None,
    };
    next.ok_or_else(|| column::used_up("the log"))
}

/// Returns the finding of `checkin doctor` about ids that are ahead of the clock.
pub(super) fn id_finding(
    connection: &Connection,
    now_ms: i64,
) -> rusqlite::Result<Option<Finding>> {
    let last = last_id(connection)?;
    if last.ms <= now_ms.unsigned_abs() + CLOCK_TOLERANCE_MS {
        return Ok(None);
    }
    if next_id(connection, now_ms).is_ok() {
        return Ok(Some(Finding::warning(
            format!("the ids of the log are ahead of the clock: the last one is {last}"),
            "nothing is lost, each check-in has the time at which it arrives; check the clock, and \
             whether another program writes into the table checkins",
        )));
    }
    let sql = "SELECT ms, seq FROM checkins WHERE (ms, seq) < (?1, ?2)
               ORDER BY ms DESC, seq DESC LIMIT 1";
    let (ms, seq) = column::position(last);
    let before = connection.prepare_cached(sql)?.query_row([ms, seq], checkin_id).optional()?;
    let CheckinId { ms: new_ms, seq: before } = before.unwrap_or(CheckinId::MIN);
    let new_seq = before + 1;
    Ok(Some(Finding::problem(
        format!("the ids of the log are used up: no check-in can be added after {last}"),
        format!(
            "stop every service, and give the entry another id with sqlite3: \
             `UPDATE checkins SET ms = {new_ms}, seq = {new_seq} WHERE ms = {ms} AND seq = {seq}; \
             UPDATE checkpoint SET ms = {new_ms}, seq = {new_seq} WHERE ms = {ms} AND seq = {seq}`"
        ),
    )))
}

pub(super) fn insert(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<()> {
    insert_into(connection, "checkins", checkin)?;
    connection.prepare_cached("UPDATE checkpoint SET appended = appended + 1")?.execute([])?;
    Ok(())
}

/// Adds a check-in to a table that has the columns of the log.
pub(super) fn insert_into(
    connection: &Connection,
    table: &str,
    checkin: &Checkin,
) -> rusqlite::Result<()> {
    let sql = format!("INSERT INTO {table} ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    let (ms, seq) = column::position(checkin.id);
    connection.prepare_cached(&sql)?.execute(params![
        ms,
        seq,
        column::number(checkin.time_ms),
        column::number(checkin.user.get()),
        column::number(checkin.location.get()),
        checkin.stars.get(),
        checkin.comment.as_ref().map(Comment::as_str),
    ])?;
    Ok(())
}

/// Returns the number of entries that wait to be applied.
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT max(appended - counted, 0) FROM checkpoint";
    connection.prepare_cached(sql)?.query_row([], |row| column::whole(row, 0))
}

/// Measures the log. Appends never trim it: what was folded is not in it. An id ahead of
/// the clock is not the time at which its entry arrived.
pub(crate) fn part_state(connection: &Connection, now_ms: i64) -> rusqlite::Result<PartState> {
    let sql = "SELECT appended, max(appended - counted, 0), (SELECT count(*) FROM dead_letters),
                   counted,
                   (SELECT CASE WHEN checkins.ms <= ?1 THEN checkins.ms ELSE min(time_ms, ?1) END
                    FROM checkins
                    WHERE (checkins.ms, checkins.seq) > (checkpoint.ms, checkpoint.seq)
                    ORDER BY checkins.ms, checkins.seq LIMIT 1)
               FROM checkpoint";
    connection.prepare_cached(sql)?.query_row([now_ms], |row| {
        let oldest_ms = row.get::<_, Option<i64>>(4)?.unwrap_or(now_ms);
        Ok(PartState {
            length: column::whole(row, 0)?,
            waiting: column::whole(row, 1)?,
            oldest_waiting: Duration::from_millis(now_ms.saturating_sub(oldest_ms).unsigned_abs()),
            dead_letters: column::whole(row, 2)?,
            counted: column::whole(row, 3)?,
            // No other program writes to it.
            lost: 0,
        })
    })
}

/// Sets the time of entries that are ahead of the clock to the time at which they are applied, because
/// another program wrote them with ids that it chose, and without a time.
pub(crate) fn dated(
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

/// Reads a row of [`COLUMNS`].
pub(super) fn checkin(row: &Row<'_>) -> rusqlite::Result<Checkin> {
    Ok(Checkin {
        id: checkin_id(row)?,
        time_ms: column::whole(row, 2)?,
        user: column::id(row, 3)?,
        location: column::id(row, 4)?,
        stars: column::id(row, 5)?,
        // Another program may have written a text that breaks the rules. It is no comment.
        comment: row.get::<_, Option<String>>(6)?.and_then(|comment| comment.parse().ok()),
        is_private: false,
    })
}

pub(super) fn checkin_id(row: &Row<'_>) -> rusqlite::Result<CheckinId> {
    Ok(CheckinId { ms: column::whole(row, 0)?, seq: column::whole(row, 1)? })
}
