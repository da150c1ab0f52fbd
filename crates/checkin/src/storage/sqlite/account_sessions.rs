//! The sessions of an account, in SQLite: a table beside the session store's own.

use async_trait::async_trait;
use tower_express_session::SessionId;
use tower_express_session::store::sqlite::rusqlite::{self, Connection, params};

use super::{SqliteStorage, column, now_ms};
use crate::domain::{Email, UserId};
use crate::storage::{AccountSessions, MAX_NOTED, NotedSession, Result, belongs_to};

#[async_trait]
impl AccountSessions for SqliteStorage {
    async fn note(&self, user: UserId, session: &NotedSession) -> Result<()> {
        let session = session.clone();
        let write = move |connection: &Connection| {
            insert(connection, user, &session)?;
            keep_newest(connection, user)
        };
        Ok(self.database.write(write).await?)
    }

    async fn list(&self, user: UserId, email: &Email) -> Result<Vec<NotedSession>> {
        let (email, now_ms) = (email.clone(), now_ms(&self.clock));
        let read = move |connection: &Connection| noted(connection, user, &email, now_ms);
        let (alive, dead) = self.database.read(read).await?;
        if !dead.is_empty() {
            let write = move |connection: &Connection| {
                dead.iter().try_for_each(|session| remove(connection, user, session))
            };
            self.database.write(write).await?;
        }
        Ok(alive)
    }

    async fn find(&self, user: UserId, email: &Email) -> Result<Vec<NotedSession>> {
        let (address, now_ms) = (email.clone(), now_ms(&self.clock));
        let read = move |connection: &Connection| all_of(connection, &address, now_ms);
        let found = self.database.read(read).await?;
        let mut noted = self.list(user, email).await?;
        for id in found {
            if !noted.iter().any(|session| session.id == id) {
                let since_ms = u64::try_from(now_ms).unwrap_or_default();
                let (device, address) = (String::new(), String::new());
                let session = NotedSession { id, since_ms, device, address };
                self.note(user, &session).await?;
                noted.push(session);
            }
        }
        Ok(noted)
    }

    async fn forget(&self, user: UserId, session: &SessionId) -> Result<()> {
        let session = session.as_str().to_owned();
        Ok(self.database.write(move |connection| remove(connection, user, &session)).await?)
    }
}

fn insert(connection: &Connection, user: UserId, session: &NotedSession) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO account_sessions
                   (user_id, session_id, since_ms, device, address) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(sql)?.execute(params![
        column::number(user.get()),
        session.id.as_str(),
        column::number(session.since_ms),
        session.device,
        session.address,
    ])?;
    Ok(())
}

fn keep_newest(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    let sql = "DELETE FROM account_sessions WHERE user_id = ?1 AND session_id NOT IN
                   (SELECT session_id FROM account_sessions WHERE user_id = ?1
                    ORDER BY since_ms DESC LIMIT ?2)";
    connection
        .prepare_cached(sql)?
        .execute(params![column::number(user.get()), MAX_NOTED as i64])?;
    Ok(())
}

fn remove(connection: &Connection, user: UserId, session: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM account_sessions WHERE user_id = ?1 AND session_id = ?2";
    connection.prepare_cached(sql)?.execute(params![column::number(user.get()), session])?;
    Ok(())
}

/// The entries of an account: those that are still its sessions, and the ids of the others.
fn noted(
    connection: &Connection,
    user: UserId,
    email: &Email,
    now_ms: i64,
) -> rusqlite::Result<(Vec<NotedSession>, Vec<String>)> {
    let sql = "SELECT noted.session_id, noted.since_ms, noted.device, noted.address, sessions.value
               FROM account_sessions AS noted
               LEFT JOIN sessions ON sessions.id = noted.session_id AND sessions.expires_ms > ?2
               WHERE noted.user_id = ?1 ORDER BY noted.since_ms DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![column::number(user.get()), now_ms])?;
    let (mut alive, mut dead) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let stored: Option<Vec<u8>> = row.get(4)?;
        if stored.is_some_and(|stored| belongs_to(&stored, email)) {
            let since_ms = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
            let (device, address) = (row.get(2)?, row.get(3)?);
            alive.push(NotedSession {
                id: SessionId::from(id.as_str()),
                since_ms,
                device,
                address,
            });
        } else {
            dead.push(id);
        }
    }
    Ok((alive, dead))
}

fn all_of(connection: &Connection, email: &Email, now_ms: i64) -> rusqlite::Result<Vec<SessionId>> {
    let mut statement =
        connection.prepare_cached("SELECT id, value FROM sessions WHERE expires_ms > ?1")?;
    let mut rows = statement.query([now_ms])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if belongs_to(row.get_ref(1)?.as_blob()?, email) {
            found.push(SessionId::from(row.get_ref(0)?.as_str()?));
        }
    }
    Ok(found)
}
