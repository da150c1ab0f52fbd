//! Second factors and pending steps in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;
use checkin_storage::{
    Admitted, NewEpoch, PendingName, PendingSteps, Result, SecondFactors, Standing,
};
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, params};

use crate::{SqliteStorage, column, standing};

/// Maximum number of expired steps that are deleted with each new one. It is more than one, so that their
/// number does not grow.
const SWEEP: i64 = 4;

#[async_trait]
impl SecondFactors for SqliteStorage {
    async fn second_factor(&self, user: UserId) -> Result<Option<String>> {
        let user = column::number(user.get());
        self.file.look_up(move |connection| factor(connection, user)).await
    }

    async fn replace_second_factor(
        &self,
        user: UserId,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<bool> {
        let user = column::number(user.get());
        let (expected, new) = (expected.map(str::to_owned), new.map(str::to_owned));
        let write = move |connection: &Connection| {
            let account = "SELECT 1 FROM accounts WHERE id = ?1";
            let is_there = connection.prepare_cached(account)?.exists([user])?;
            if !is_there || factor(connection, user)? != expected {
                return Ok(false);
            }
            replace(connection, user, new.as_deref())?;
            Ok(true)
        };
        self.file.write(write).await
    }

    async fn change_second_factor(
        &self,
        user: UserId,
        by: &Admitted,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<Option<NewEpoch>> {
        let (user, by) = (column::number(user.get()), by.clone());
        let (expected, new) = (expected.map(str::to_owned), new.map(str::to_owned));
        let write = move |connection: &Connection| {
            let Some(now) = standing::admitting(connection, user, Some(&by))? else {
                return Ok(None);
            };
            if factor(connection, user)? != expected {
                return Ok(None);
            }
            replace(connection, user, new.as_deref())?;
            standing::raise(connection, user, &Standing { kept: by.handle, ..now }).map(Some)
        };
        self.file.write(write).await
    }
}

#[async_trait]
impl PendingSteps for SqliteStorage {
    async fn keep_pending(&self, name: &PendingName, step: &str, life: Duration) -> Result<()> {
        let (name, step, clock) = (name.clone(), step.to_owned(), self.file.clock.clone());
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let write = move |connection: &Connection| {
            let now_ms = clock.now_ms();
            let sql = "DELETE FROM pending_steps WHERE name IN
                       (SELECT name FROM pending_steps WHERE expires_ms <= ?1 LIMIT ?2)";
            connection.prepare_cached(sql)?.execute([now_ms, SWEEP])?;
            let sql = "INSERT OR REPLACE INTO pending_steps VALUES (?1, ?2, ?3)";
            let values = params![name.as_str(), step, now_ms.saturating_add(life_ms)];
            connection.prepare_cached(sql)?.execute(values).map(drop)
        };
        self.file.write(write).await
    }

    async fn pending(&self, name: &PendingName) -> Result<Option<String>> {
        let (name, now_ms) = (name.clone(), self.file.now_ms());
        let read = move |connection: &Connection| {
            let sql = "SELECT step FROM pending_steps WHERE name = ?1 AND expires_ms > ?2";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row(params![name.as_str(), now_ms], |row| row.get(0)).optional()
        };
        self.file.look_up(read).await
    }

    async fn take_pending(&self, name: &PendingName) -> Result<Option<String>> {
        let (name, now_ms) = (name.clone(), self.file.now_ms());
        let take = move |connection: &Connection| {
            let sql = "DELETE FROM pending_steps WHERE name = ?1 RETURNING step, expires_ms > ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let taken = statement.query_row(params![name.as_str(), now_ms], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
            });
            Ok(taken.optional()?.and_then(|(step, is_kept)| is_kept.then_some(step)))
        };
        self.file.write(take).await
    }
}

fn replace(connection: &Connection, user: i64, new: Option<&str>) -> rusqlite::Result<()> {
    match new {
        Some(new) => {
            let sql = "INSERT INTO second_factors VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET factor = ?2";
            connection.prepare_cached(sql)?.execute(params![user, new])
        }
        None => {
            let sql = "DELETE FROM second_factors WHERE user_id = ?1";
            connection.prepare_cached(sql)?.execute([user])
        }
    }
    .map(drop)
}

fn factor(connection: &Connection, user: i64) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT factor FROM second_factors WHERE user_id = ?1";
    connection.prepare_cached(sql)?.query_row([user], |row| row.get(0)).optional()
}
