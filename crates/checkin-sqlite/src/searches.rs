//! The list of accounts whose sessions have to be searched for, in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use checkin_storage::{Result, Search, Searches};
use sqlite_writer::rusqlite::{self, Connection, Row, params};

use crate::{SqliteStorage, column};

#[async_trait]
impl Searches for SqliteStorage {
    async fn due_searches(
        &self,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<Vec<Search>>> {
        // Most calls find an empty list, and write nothing.
        if self.file.read(|connection| due(connection, 1)).await?.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (owner, now) = (owner.to_owned(), self.file.now_ms());
        let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let acquire = move |connection: &Connection| {
            let sql = "INSERT INTO session_search_lease VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE
                       SET owner = ?1, until_ms = ?2 WHERE owner = ?1 OR until_ms <= ?3";
            let acquired = connection.prepare_cached(sql)?.execute(params![owner, until, now])?;
            (acquired == 1).then(|| due(connection, limit)).transpose()
        };
        self.file.write(acquire).await
    }

    async fn begin_search(&self, _: &Search) -> Result<()> {
        // A change adds its account in the same transaction.
        Ok(())
    }

    async fn finish_searches(&self, owner: &str, done: &[Search]) -> Result<()> {
        let (owner, done) = (owner.to_owned(), done.to_vec());
        let finish = move |connection: &Connection| {
            let sql = "DELETE FROM session_searches WHERE number = ?1 AND user_id = ?2";
            let mut statement = connection.prepare_cached(sql)?;
            for search in done {
                statement.execute([search.number, search.user.get()].map(column::number))?;
            }
            let sql = "DELETE FROM session_search_lease WHERE owner = ?1";
            connection.prepare_cached(sql)?.execute([owner]).map(drop)
        };
        self.file.write(finish).await
    }
}

/// Adds an account to the list.
pub(super) fn add(connection: &Connection, user: i64) -> rusqlite::Result<Search> {
    let sql = "INSERT OR REPLACE INTO session_searches (user_id) VALUES (?1)
               RETURNING number, user_id";
    connection.prepare_cached(sql)?.query_row([user], search)
}

fn due(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Search>> {
    let sql = "SELECT number, user_id FROM session_searches ORDER BY number LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map([limit as i64], search)?.collect()
}

fn search(row: &Row<'_>) -> rusqlite::Result<Search> {
    Ok(Search { number: column::whole(row, 0)?, user: column::id(row, 1)? })
}
