//! Dead letters in SQLite.

use async_trait::async_trait;
use checkin_domain::CheckinId;
use checkin_storage::{DeadLetter, DeadLetterId, DeadLetters, LogEntry, Replay, Result};
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use crate::figures::apply;
use crate::log::{COLUMNS, dated, entry};
use crate::{SqliteStorage, column};

#[async_trait]
impl DeadLetters for SqliteStorage {
    async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let sql = "SELECT ms, seq, reason, fields FROM dead_letters
                       WHERE (ms, seq) > (?1, ?2) ORDER BY ms, seq";
            let (ms, seq) = after.map_or((-1, -1), |after| column::position(after.entry));
            let (values, mut statement) = (params![ms, seq], connection.prepare_cached(sql)?);
            column::readable_rows(&reports, "dead_letters", &mut statement, values, limit, letter)
        };
        self.file.read(read).await
    }

    async fn replay(&self, id: DeadLetterId) -> Result<Replay> {
        let now = self.file.now_ms();
        let write = move |connection: &Connection| {
            let (ms, seq) = column::position(id.entry);
            let sql = format!(
                "SELECT {COLUMNS} FROM checkins JOIN dead_letters USING (ms, seq)
                 WHERE ms = ?1 AND seq = ?2"
            );
            let found =
                connection.prepare_cached(&sql)?.query_row(params![ms, seq], entry).optional()?;
            let checkin = match found {
                None => return Ok(Replay::Unknown),
                Some(LogEntry::Unreadable { reason, .. }) => return Ok(Replay::StillDead(reason)),
                Some(LogEntry::Checkin(checkin)) => checkin,
            };
            let checkin = dated(connection, vec![checkin], now)?;
            if let Some((_, why)) = apply(connection, &checkin, now)?.pop() {
                return Ok(Replay::StillDead(why.to_string()));
            }
            let sql = "DELETE FROM dead_letters WHERE ms = ?1 AND seq = ?2";
            connection.prepare_cached(sql)?.execute(params![ms, seq])?;
            Ok(Replay::Applied)
        };
        self.file.write(write).await
    }
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let entry = CheckinId { ms: column::whole(row, 0)?, seq: column::whole(row, 1)? };
    let id = DeadLetterId { part: 0, entry };
    Ok(DeadLetter { id, reason: row.get(2)?, fields: row.get(3)? })
}

pub(crate) fn insert(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO dead_letters (ms, seq, reason, fields)
               VALUES (?1, ?2, ?3, ?4)";
    let (ms, seq) = column::position(letter.id.entry);
    connection.prepare_cached(sql)?.execute(params![ms, seq, letter.reason, letter.fields])?;
    Ok(())
}
