//! The way of a check-in into the log or, if it is private, beside it.

use std::time::Duration;

use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use super::log::{checkin, insert, next_id, waiting};
use super::{column, private, standing};
use checkin_domain::{Checkin, CheckinId, Comment, NewCheckin};
use checkin_storage::{Accepted, Admission, AdmissionFacts, Decision, IDEMPOTENCY_TTL};

/// Maximum number of expired idempotency keys that are deleted with each new key. It is more than
/// one, so that their number does not grow.
const SWEEP: i64 = 4;

/// A check-in that somebody sends.
pub(super) struct Append {
    pub(super) checkin: NewCheckin,
    pub(super) key: Option<String>,
    pub(super) admission: Admission,
    pub(super) now_ms: i64,
}

impl Append {
    /// Admits the check-in, stores it and remembers its idempotency key, within one transaction.
    pub(super) fn run(&self, connection: &Connection) -> rusqlite::Result<Accepted> {
        if standing::is_deleted(connection, self.checkin.user)? {
            return Ok(Accepted::Behind);
        }
        let facts = AdmissionFacts {
            remembered: self.remembered(connection)?,
            last_identical_ms: self.last_identical(connection)?,
            now_ms: self.now_ms.unsigned_abs(),
            // In SQLite the applied entries are the history and not part of the log's length, so there
            // is nothing to trim.
            // A private check-in never waits.
            length: if self.checkin.is_private { 0 } else { waiting(connection)? },
            counted: 0,
        };
        let admission = match self.checkin.is_private {
            true => Admission { max_backlog: u64::MAX, max_length: u64::MAX, ..self.admission },
            false => self.admission,
        };
        if let Decision::Answer(answer) = admission.decide(&self.checkin, &facts) {
            return Ok(answer);
        }
        let time_ms = self.now_ms.unsigned_abs();
        let id = match self.checkin.is_private {
            true => private::free_id(connection, &self.checkin, self.key.as_deref(), time_ms)?,
            false => next_id(connection, self.now_ms)?,
        };
        let checkin = Checkin { time_ms, ..self.checkin.clone().with_id(id) };
        match checkin.is_private {
            true => private::insert(connection, &checkin)?,
            false => insert(connection, &checkin)?,
        }
        self.remember(connection, id)?;
        Ok(Accepted::Stored(id))
    }

    /// Returns the check-in that came with this key before, and its id.
    fn remembered(
        &self,
        connection: &Connection,
    ) -> rusqlite::Result<Option<(NewCheckin, CheckinId)>> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let sql = "SELECT ms, seq, ms, user_id, location_id, stars, comment, private FROM idempotency_keys
                   WHERE user_id = ?1 AND key = ?2 AND expires_ms > ?3";
        let user = column::number(self.checkin.user.get());
        let values = params![user, key, self.now_ms];
        let read = |row: &Row<'_>| Ok((checkin(row)?, row.get(7)?));
        let first = connection.prepare_cached(sql)?.query_row(values, read).optional()?;
        Ok(first.map(|(Checkin { id, user, location, stars, comment, .. }, is_private)| {
            (NewCheckin { user, location, stars, comment, is_private }, id)
        }))
    }

    /// Returns the time of the last identical check-in within the window.
    fn last_identical(&self, connection: &Connection) -> rusqlite::Result<Option<u64>> {
        if self.admission.duplicate_window.is_zero() {
            return Ok(None);
        }
        let table = if self.checkin.is_private { "private_checkins" } else { "checkins" };
        let sql = format!(
            "SELECT time_ms FROM {table} WHERE user_id = ?1 AND location_id = ?2 AND stars = ?3
                 AND time_ms > ?4 AND time_ms < ?5 LIMIT 1"
        );
        let window = milliseconds(self.admission.duplicate_window);
        let values = params![
            column::number(self.checkin.user.get()),
            column::number(self.checkin.location.get()),
            self.checkin.stars.get(),
            self.now_ms.saturating_sub(window),
            // The clock may have been set back slightly. A time further ahead is not a time of arrival.
            self.now_ms.saturating_add(window),
        ];
        let time = |row: &Row<'_>| column::whole(row, 0);
        connection.prepare_cached(&sql)?.query_row(values, time).optional()
    }

    fn remember(&self, connection: &Connection, id: CheckinId) -> rusqlite::Result<()> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        // Replaces a key that has expired and is not yet deleted.
        let sql = "INSERT OR REPLACE INTO idempotency_keys
                       (user_id, key, location_id, stars, ms, seq, expires_ms, comment, private)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        connection.prepare_cached(sql)?.execute(params![
            column::number(self.checkin.user.get()),
            key,
            column::number(self.checkin.location.get()),
            self.checkin.stars.get(),
            column::number(id.ms),
            column::number(id.seq),
            self.now_ms.saturating_add(milliseconds(IDEMPOTENCY_TTL)),
            self.checkin.comment.as_ref().map(Comment::as_str),
            self.checkin.is_private,
        ])?;
        sweep(connection, self.now_ms)
    }
}

fn sweep(connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM idempotency_keys WHERE (user_id, key) IN
               (SELECT user_id, key FROM idempotency_keys WHERE expires_ms <= ?1 LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![now_ms, SWEEP])?;
    Ok(())
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
