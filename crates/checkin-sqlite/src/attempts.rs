//! The attempts to give a password, in SQLite.

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, params};

use super::{SqliteStorage, column};
use checkin_storage::{Attempt, Attempts, Budget, Counted, Result, Taken};

/// Maximum number of budgets that are deleted with each attempt because they are forgotten. It is more
/// than one, so that their number does not grow.
const SWEEP: i64 = 4;

#[async_trait]
impl Attempts for SqliteStorage {
    async fn take_attempt(&self, budget: &Budget) -> Result<Attempt> {
        let (clock, budget) = (self.file.clock.clone(), budget.clone());
        let write = move |connection: &Connection| take(connection, &budget, clock.now_ms());
        self.file.write(write).await
    }

    async fn give_back_attempt(&self, budget: &Budget, taken: Taken) -> Result<()> {
        let (clock, budget) = (self.file.clock.clone(), budget.clone());
        let write = move |connection: &Connection| {
            let Some(counted) = counted(connection, &budget, clock.now_ms())? else {
                return Ok(());
            };
            let Counted { count, until_ms } = budget.allowance().give_back(counted, taken);
            let sql = "UPDATE attempts SET count = ?2, until_ms = ?3 WHERE budget = ?1";
            let values = params![budget.name(), count, column::number(until_ms)];
            connection.prepare_cached(sql)?.execute(values).map(drop)
        };
        self.file.write(write).await
    }

    async fn forget_attempts(&self, budget: &Budget) -> Result<()> {
        let budget = budget.clone();
        let write = move |connection: &Connection| {
            let sql = "DELETE FROM attempts WHERE budget = ?1";
            connection.prepare_cached(sql)?.execute([budget.name()]).map(drop)
        };
        self.file.write(write).await
    }
}

fn take(connection: &Connection, budget: &Budget, now_ms: i64) -> rusqlite::Result<Attempt> {
    let expired = "DELETE FROM attempts WHERE budget IN
                   (SELECT budget FROM attempts WHERE expires_ms <= ?1 LIMIT ?2)";
    connection.prepare_cached(expired)?.execute([now_ms, SWEEP])?;
    let counted = counted(connection, budget, now_ms)?.unwrap_or_default();
    let attempt = budget.allowance().take(counted, now_ms.unsigned_abs());
    let Attempt::Taken(Taken { count, until_ms }) = attempt else { return Ok(attempt) };
    let forgotten = budget.allowance().forgotten_after(count);
    let expires_ms = forgotten
        .map(|time| now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)));
    // The first attempt has a time at which it is forgotten.
    let sql = "INSERT INTO attempts (budget, count, until_ms, expires_ms)
               VALUES (?1, ?2, ?3, coalesce(?4, ?5))
               ON CONFLICT DO UPDATE SET count = ?2, until_ms = ?3, expires_ms = coalesce(?4, expires_ms)";
    let values = params![budget.name(), count, column::number(until_ms), expires_ms, now_ms];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(attempt)
}

fn counted(
    connection: &Connection,
    budget: &Budget,
    now_ms: i64,
) -> rusqlite::Result<Option<Counted>> {
    let sql = "SELECT count, until_ms FROM attempts WHERE budget = ?1 AND expires_ms > ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let row = statement.query_row(params![budget.name(), now_ms], |row| {
        let count = u32::try_from(column::whole(row, 0)?).unwrap_or(u32::MAX);
        Ok(Counted { count, until_ms: column::whole(row, 1)? })
    });
    row.optional()
}
