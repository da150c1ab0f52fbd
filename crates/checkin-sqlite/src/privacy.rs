//! Who may see where people check in, and which accounts are new, in SQLite.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;
use checkin_storage::{Audience, Privacy, Result};
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, params};

use crate::{SqliteStorage, column};

#[async_trait]
impl Privacy for SqliteStorage {
    async fn audience(&self, user: UserId) -> Result<Audience> {
        self.file.look_up(move |connection| audience(connection, user)).await
    }

    async fn set_audience(&self, user: UserId, audience: Audience) -> Result<()> {
        let write = move |connection: &Connection| {
            let sql = "INSERT INTO account_privacy (user_id, audience) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET audience = ?2";
            let values = params![column::number(user.get()), audience.as_str()];
            connection.prepare_cached(sql)?.execute(values).map(drop)
        };
        self.file.write(write).await
    }

    async fn hidden_among(&self, users: &[UserId]) -> Result<HashSet<UserId>> {
        let users: HashSet<UserId> = users.iter().copied().collect();
        let read = move |connection: &Connection| {
            let mut hidden = HashSet::new();
            for &user in &users {
                if audience(connection, user)? == Audience::Nobody {
                    hidden.insert(user);
                }
            }
            Ok(hidden)
        };
        self.file.look_up(read).await
    }

    async fn mark_new(&self, user: UserId, life: Duration) -> Result<()> {
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let until_ms = self.file.now_ms().saturating_add(life_ms);
        let write = move |connection: &Connection| {
            let sql = "INSERT INTO account_privacy (user_id, new_until_ms) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET new_until_ms = ?2";
            let values = params![column::number(user.get()), until_ms];
            connection.prepare_cached(sql)?.execute(values).map(drop)
        };
        self.file.write(write).await
    }

    async fn is_new(&self, user: UserId) -> Result<bool> {
        let now_ms = self.file.now_ms();
        let read = move |connection: &Connection| {
            let sql = "SELECT 1 FROM account_privacy WHERE user_id = ?1 AND new_until_ms > ?2";
            connection.prepare_cached(sql)?.exists(params![column::number(user.get()), now_ms])
        };
        self.file.look_up(read).await
    }
}

fn audience(connection: &Connection, user: UserId) -> rusqlite::Result<Audience> {
    let sql = "SELECT audience FROM account_privacy WHERE user_id = ?1";
    let name: Option<Option<String>> = connection
        .prepare_cached(sql)?
        .query_row([column::number(user.get())], |row| row.get(0))
        .optional()?;
    Ok(Audience::stored(name.flatten().as_deref()))
}
