//! The sessions of an account, in Redis: a hash beside the sessions.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tower_express_session::SessionId;

use super::{RedisStorage, Reply, array, at_once, text, texts};
use crate::domain::{Email, UserId};
use crate::storage::{AccountSessions, MAX_NOTED, NotedSession, Result, belongs_to};

/// An account's entries end so long after the last one was made: later than any session that
/// nobody uses.
const LIFE_SECONDS: &str = "2592000";

/// So many keys are asked for at a time when all sessions are looked through.
const SCAN_COUNT: &str = "500";

/// What is noted of a session, as JSON.
#[derive(Deserialize, Serialize)]
struct Entry {
    since: u64,
    device: String,
    address: String,
}

#[async_trait]
impl AccountSessions for RedisStorage {
    async fn note(&self, user: UserId, session: &NotedSession) -> Result<()> {
        let key = self.keys.account_sessions(user);
        let NotedSession { id, since_ms, device, address } = session;
        let entry = Entry { since: *since_ms, device: device.clone(), address: address.clone() };
        let entry = serde_json::to_string(&entry).map_err(super::StorageError::new)?;
        self.call(&["HSET", &key, id.as_str(), &entry]).await?;
        self.call(&["EXPIRE", &key, LIFE_SECONDS]).await?;
        let length = super::number(self.call(&["HLEN", &key]).await?)?;
        if usize::try_from(length).is_ok_and(|length| length > MAX_NOTED) {
            let oldest = self.entries(user).await?.split_off(MAX_NOTED);
            self.drop_entries(user, oldest.iter().map(|session| &session.id)).await?;
        }
        Ok(())
    }

    async fn list(&self, user: UserId, email: &Email) -> Result<Vec<NotedSession>> {
        let entries = self.entries(user).await?;
        let stored = entries.iter().map(|session| self.is_of(session.id.as_str(), email)).collect();
        let stored = at_once::<bool>(stored).await?;
        let (alive, dead): (Vec<_>, Vec<_>) =
            entries.into_iter().zip(stored).partition(|(_, is_alive)| *is_alive);
        self.drop_entries(user, dead.iter().map(|(session, _)| &session.id)).await?;
        Ok(alive.into_iter().map(|(session, _)| session).collect())
    }

    async fn find(&self, user: UserId, email: &Email) -> Result<Vec<NotedSession>> {
        let mut noted = self.list(user, email).await?;
        for id in self.all_of(email).await? {
            if !noted.iter().any(|session| session.id == id) {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
                let session =
                    NotedSession { id, since_ms, device: String::new(), address: String::new() };
                self.note(user, &session).await?;
                noted.push(session);
            }
        }
        Ok(noted)
    }

    async fn forget(&self, user: UserId, session: &SessionId) -> Result<()> {
        self.drop_entries(user, std::iter::once(session)).await
    }
}

impl RedisStorage {
    /// What is noted, alive or not, the newest first.
    async fn entries(&self, user: UserId) -> Result<Vec<NotedSession>> {
        let reply = self.call(&["HGETALL", &self.keys.account_sessions(user)]).await?;
        let words = texts(reply)?;
        let pairs: HashMap<_, _> = words.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect();
        let mut entries: Vec<_> = pairs
            .into_iter()
            .map(|(id, entry)| {
                let unknown = Entry { since: 0, device: String::new(), address: String::new() };
                let entry = serde_json::from_str(entry).unwrap_or(unknown);
                let Entry { since: since_ms, device, address } = entry;
                NotedSession { id: SessionId::from(id.as_str()), since_ms, device, address }
            })
            .collect();
        entries.sort_by(|a, b| {
            b.since_ms.cmp(&a.since_ms).then_with(|| a.id.as_str().cmp(b.id.as_str()))
        });
        Ok(entries)
    }

    async fn drop_entries(
        &self,
        user: UserId,
        ids: impl Iterator<Item = &SessionId>,
    ) -> Result<()> {
        let ids: Vec<&SessionId> = ids.collect();
        if ids.is_empty() {
            return Ok(());
        }
        let key = self.keys.account_sessions(user);
        let mut words = vec!["HDEL", &key];
        words.extend(ids.iter().map(|id| id.as_str()));
        self.call(&words).await.map(drop)
    }

    async fn is_of(&self, session: &str, email: &Email) -> Result<bool> {
        let key = self.keys.session(session);
        match self.client.call(&[b"GET", key.as_bytes()]).await {
            Ok(Reply::Bytes(stored)) => Ok(belongs_to(&stored, email)),
            Ok(_) => Ok(false),
            // A key of another type is no session.
            Err(error) if error.kind() == tower_express_session::ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks through all sessions. On a cluster a scan sees one node only; there only the noted ones
    /// are known.
    async fn all_of(&self, email: &Email) -> Result<Vec<SessionId>> {
        let (pattern, prefix) = (self.keys.any_session(), self.keys.session(""));
        let (mut found, mut cursor) = (Vec::new(), "0".to_owned());
        if self.client.is_cluster() {
            return Ok(found);
        }
        loop {
            let reply =
                self.call(&["SCAN", &cursor, "MATCH", &pattern, "COUNT", SCAN_COUNT]).await?;
            let mut reply = array(reply)?.into_iter();
            cursor = text(reply.next().unwrap_or(Reply::Nil))?;
            let keys = texts(reply.next().unwrap_or(Reply::Nil))?;
            let ids: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(&prefix)).collect();
            let is_of = at_once(ids.iter().map(|id| self.is_of(id, email)).collect()).await?;
            let of_account = ids.into_iter().zip(is_of).filter(|(_, is_of)| *is_of);
            found.extend(of_account.map(|(id, _)| SessionId::from(id)));
            if cursor == "0" {
                return Ok(found);
            }
        }
    }
}
