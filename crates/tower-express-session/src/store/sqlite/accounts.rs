//! The index of each account's sessions in SQLite: a separate table.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlite_writer::rusqlite::{self, Connection, Row, params};

use super::{SqliteStore, delete, milliseconds};
use crate::error::Error;
use crate::id::SessionId;
use crate::store::{AccountStore, IndexedSession, SessionVisitor};

/// The number of sessions that one step of a scan reads. Other readers may run between two steps.
const PAGE: i64 = 500;

/// The number of sessions that are ended in one step of the writer.
const ENDED_AT_ONCE: usize = 1000;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS noted_sessions (
        account TEXT NOT NULL,
        session_id TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        last_seen_ms INTEGER NOT NULL,
        device TEXT NOT NULL,
        address TEXT NOT NULL,
        keep_until_ms INTEGER NOT NULL,
        PRIMARY KEY (account, session_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS noted_sessions_by_end ON noted_sessions (keep_until_ms);
";

#[async_trait]
impl AccountStore for SqliteStore {
    async fn index(
        &self,
        account: &str,
        session: &IndexedSession,
        keep: Duration,
    ) -> Result<(), Error> {
        let (account, session, now_ms) =
            (self.named(account), session.clone(), self.moment().now_ms);
        let keep_until_ms = now_ms.saturating_add(milliseconds(keep));
        self.database
            .write(move |connection| {
                drop_old(connection, now_ms)?;
                insert(connection, &account, &session, keep_until_ms)
            })
            .await
            .map_err(Error::from)
    }

    async fn indexed(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        let (account, now_ms) = (self.named(account), self.moment().now_ms);
        self.database
            .read(move |connection| {
                let sql = "SELECT session_id, created_ms, last_seen_ms, device, address
                           FROM noted_sessions WHERE account = ?1 AND keep_until_ms > ?2";
                let mut statement = connection.prepare_cached(sql)?;
                statement.query_map(params![account, now_ms], session)?.collect()
            })
            .await
            .map_err(Error::from)
    }

    async fn destroy_each(&self, sessions: &[(SessionId, Duration)]) -> Result<usize, Error> {
        let mut ended = 0;
        for some in sessions.chunks(ENDED_AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|(id, _)| self.key(id)).collect();
            let at = self.moment();
            let delete = move |connection: &Connection| {
                let ends = keys.iter().map(|key| delete(connection, key, at));
                ends.sum::<rusqlite::Result<usize>>()
            };
            ended += self.database.write(delete).await?;
        }
        Ok(ended)
    }

    async fn unindex(&self, account: &str, ids: &[SessionId]) -> Result<(), Error> {
        let (account, ids) = (self.named(account), ids.to_vec());
        self.database
            .write(move |connection| {
                let sql = "DELETE FROM noted_sessions WHERE account = ?1 AND session_id = ?2";
                let mut statement = connection.prepare_cached(sql)?;
                ids.iter()
                    .try_for_each(|id| statement.execute(params![account, id.as_str()]).map(drop))
            })
            .await
            .map_err(Error::from)
    }

    async fn each(&self, visit: &mut SessionVisitor<'_>) -> Result<(), Error> {
        let (now_ms, prefix) = (self.moment().now_ms, self.prefix.clone());
        let mut after = String::new();
        loop {
            let from = after.clone();
            let read = move |connection: &Connection| page(connection, &from, now_ms);
            let page = self.database.read(read).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (key, value) in page {
                if let Some(id) = key.strip_prefix(&*prefix) {
                    visit(SessionId::from(id), value);
                }
            }
        }
    }
}

impl SqliteStore {
    /// Returns the account's name with the store's prefix, so that applications that share a
    /// database have separate accounts.
    fn named(&self, account: &str) -> String {
        format!("{}{account}", self.prefix)
    }
}

fn insert(
    connection: &Connection,
    account: &str,
    session: &IndexedSession,
    keep_until_ms: i64,
) -> rusqlite::Result<()> {
    // All entries of an account are kept for the longest time of any of them.
    let sql = "INSERT INTO noted_sessions VALUES (?1, ?2, ?3, ?4, ?5, ?6, max(?7, coalesce(
                   (SELECT max(keep_until_ms) FROM noted_sessions WHERE account = ?1), ?7)))
               ON CONFLICT (account, session_id) DO UPDATE SET
                   last_seen_ms = ?4, device = ?5, address = ?6";
    connection.prepare_cached(sql)?.execute(params![
        account,
        session.id.as_str(),
        signed(session.created_ms),
        signed(session.last_seen_ms),
        session.device,
        session.address,
        keep_until_ms,
    ])?;
    let sql = "UPDATE noted_sessions SET keep_until_ms = ?2
               WHERE account = ?1 AND keep_until_ms < ?2";
    connection.prepare_cached(sql)?.execute(params![account, keep_until_ms])?;
    Ok(())
}

fn drop_old(connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM noted_sessions WHERE keep_until_ms <= ?1";
    connection.prepare_cached(sql)?.execute([now_ms]).map(drop)
}

fn session(row: &Row<'_>) -> rusqlite::Result<IndexedSession> {
    let unsigned = |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.unsigned_abs());
    Ok(IndexedSession {
        id: SessionId::from(row.get_ref(0)?.as_str()?),
        created_ms: unsigned(1)?,
        last_seen_ms: unsigned(2)?,
        device: row.get(3)?,
        address: row.get(4)?,
    })
}

fn page(
    connection: &Connection,
    after: &str,
    now_ms: i64,
) -> rusqlite::Result<Vec<(String, Bytes)>> {
    let sql =
        "SELECT id, value FROM sessions WHERE id > ?1 AND expires_ms > ?2 ORDER BY id LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![after, now_ms, PAGE], |row| {
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?.into()))
    })?;
    rows.collect()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
