//! The index of each account's sessions, verified against the sessions themselves.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::options::{AccountOptions, MAX_INDEXED};
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::record::{Reading, Record};
use crate::store::{AccountStore, Freshness, IndexedSession, Stored};
use crate::timestamp::now_ms;

/// The maximum number of characters of the User-Agent header that are kept.
const MAX_DEVICE_CHARS: usize = 256;

/// The maximum number of sessions that are ended concurrently. Each may have to wait for a lease.
const ENDED_AT_ONCE: usize = 64;

/// How much longer than its session an index entry is kept.
const KEPT_BEYOND: Duration = Duration::from_secs(3600);

/// The index of each account's sessions, with the store of both.
#[derive(Clone)]
pub(super) struct AccountIndex {
    pub(super) store: Arc<dyn AccountStore>,
    pub(super) options: AccountOptions,
    /// The idle timeout of sessions whose cookie sets none.
    pub(super) lifetime: Duration,
}

impl AccountIndex {
    /// Updates the index entry of a session that is in use. Nothing depends on it, so a failure is
    /// only logged.
    pub(super) async fn index_use(&self, account: &str, seen: SessionUse<'_>, ttl: Duration) {
        let keep = ttl.saturating_add(KEPT_BEYOND);
        if let Err(error) = self.store.index(account, &seen.session(), keep).await {
            error.log("cannot index a session under its account");
        }
    }

    /// Indexes a login, and enforces the maximum number of sessions.
    pub(super) async fn index_login(&self, account: &str, seen: SessionUse<'_>, ttl: Duration) {
        let limited = async {
            let mut session = seen.session();
            if self.options.max_sessions < usize::MAX {
                // The clock of another process may be ahead. This login must still be the newest
                // entry.
                let indexed = self.store.indexed(account).await?;
                let newest = indexed.iter().map(|session| session.created_ms).max();
                session.created_ms = session.created_ms.max(newest.map_or(0, |newest| newest + 1));
            }
            self.store.index(account, &session, ttl.saturating_add(KEPT_BEYOND)).await?;
            self.enforce_maximum(account).await
        };
        if let Err(error) = limited.await {
            error.log("cannot index a login under its account");
        }
    }

    /// Ends the account's oldest sessions beyond the maximum. Concurrent logins end the same
    /// sessions, possibly one that was just created, so the maximum is never exceeded.
    async fn enforce_maximum(&self, account: &str) -> Result<(), Error> {
        if self.options.max_sessions < usize::MAX {
            let alive = self.alive(account).await?.into_iter();
            let surplus = alive.map(|session| session.id).skip(self.options.max_sessions).collect();
            self.end_all(account, surplus, None).await?;
        }
        let mut indexed = self.store.indexed(account).await?;
        if indexed.len() > MAX_INDEXED {
            indexed.sort_by_key(|session| std::cmp::Reverse(session.created_ms));
            let oldest: Vec<_> = indexed.drain(MAX_INDEXED..).map(|session| session.id).collect();
            self.store.unindex(account, &oldest).await?;
        }
        Ok(())
    }

    pub(super) async fn found(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        let mut found = HashSet::new();
        let mut visit = |id: SessionId, value| {
            if self.account_in(&value).is_some_and(|name| name == account) {
                found.insert(id);
            }
        };
        self.store.each(&mut visit).await?;
        self.index_found(account, &found).await?;
        // The scan also finds sessions that have ended and that an Express service has written
        // back. Loading them shows that they have ended.
        self.alive(account).await
    }

    /// Indexes the sessions of an account that are not in the index yet. Existing entries stay,
    /// because they have more details.
    async fn index_found(&self, account: &str, found: &HashSet<SessionId>) -> Result<(), Error> {
        let indexed = self.store.indexed(account).await?;
        for id in found.iter().filter(|id| !indexed.iter().any(|indexed| indexed.id == **id)) {
            self.store.index(account, &found_now(id), self.lifetime + KEPT_BEYOND).await?;
        }
        Ok(())
    }

    /// Returns the indexed sessions that are alive and still belong to the account, the newest
    /// first, and removes the others from the index.
    pub(super) async fn alive(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        let mut loading = JoinSet::new();
        for session in self.store.indexed(account).await? {
            let store = Arc::clone(&self.store);
            loading.spawn(async move {
                let stored = store.load(&session.id, Freshness::Latest).await;
                (session, stored)
            });
        }
        let (mut alive, mut dead) = (Vec::new(), Vec::new());
        while let Some(loaded) = loading.join_next().await {
            let (session, stored) = loaded.map_err(|cause| Error::new(ErrorKind::Store, cause))?;
            match self.belongs_to(stored?, account) {
                true => alive.push(session),
                false => dead.push(session.id),
            }
        }
        if !dead.is_empty() {
            self.store.unindex(account, &dead).await?;
        }
        alive.sort_by(|a, b| {
            b.created_ms.cmp(&a.created_ms).then_with(|| a.id.as_str().cmp(b.id.as_str()))
        });
        Ok(alive)
    }

    /// Ends these sessions, except those that were created in this epoch or a later one.
    pub(super) async fn end_all(
        &self,
        account: &str,
        ids: Vec<SessionId>,
        epoch: Option<u64>,
    ) -> Result<usize, Error> {
        let mut ended_ids = Vec::new();
        for some in ids.chunks(ENDED_AT_ONCE) {
            let mut ending = JoinSet::new();
            for id in some {
                let (index, id) = (self.clone(), id.clone());
                ending.spawn(async move {
                    let ended = index.end_one(&id, epoch).await;
                    ended.map(|ended| ended.then_some(id))
                });
            }
            while let Some(ended) = ending.join_next().await {
                ended_ids.extend(ended.map_err(|cause| Error::new(ErrorKind::Store, cause))??);
            }
        }
        if !ended_ids.is_empty() {
            self.store.unindex(account, &ended_ids).await?;
        }
        Ok(ended_ids.len())
    }

    /// Indexes all stored sessions that have an account, and returns them by account.
    pub(super) async fn index_all(&self) -> Result<HashMap<String, HashSet<SessionId>>, Error> {
        let mut found: HashMap<String, HashSet<SessionId>> = HashMap::new();
        let mut visit = |id, value| {
            if let Some(account) = self.account_in(&value) {
                found.entry(account).or_default().insert(id);
            }
        };
        self.store.each(&mut visit).await?;
        for (account, ids) in &found {
            self.index_found(account, ids).await?;
        }
        Ok(found)
    }

    fn account_in(&self, value: &Bytes) -> Option<String> {
        self.options.account_of(&read(value)?.attributes)
    }

    /// Ends a session unless it was created in this epoch or a later one. Returns whether the
    /// session was ended.
    async fn end_one(&self, id: &SessionId, epoch: Option<u64>) -> Result<bool, Error> {
        let stored = self.store.load(id, Freshness::Latest).await?;
        let created_in = stored.as_ref().and_then(|stored| stored.epoch);
        if epoch.is_some() && created_in >= epoch {
            return Ok(false);
        }
        let record = stored.and_then(|stored| read(&stored.value));
        let lifetime = record.and_then(|record| record.cookie.original_max_age());
        let tombstone = lifetime.unwrap_or_default().max(self.lifetime);
        self.store.destroy(id, tombstone.saturating_add(KEPT_BEYOND)).await?;
        Ok(true)
    }

    fn belongs_to(&self, stored: Option<Stored>, account: &str) -> bool {
        let name = stored.and_then(|stored| self.account_in(&stored.value));
        name.is_some_and(|name| name == account)
    }
}

/// Parses a stored value. A value that cannot be parsed belongs to no account.
fn read(value: &Bytes) -> Option<Record> {
    Record::parse(value, Reading::Verbatim, 0.0).ok().flatten()
}

impl fmt::Debug for AccountIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountIndex").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A session that is in use now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionUse<'a> {
    pub(crate) id: &'a SessionId,
    pub(crate) user_agent: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
}

impl SessionUse<'_> {
    fn session(self) -> IndexedSession {
        let agent = self.user_agent.unwrap_or_default();
        IndexedSession {
            device: agent.chars().take(MAX_DEVICE_CHARS).collect(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            ..found_now(self.id)
        }
    }
}

fn found_now(id: &SessionId) -> IndexedSession {
    IndexedSession::new(id.clone(), now_ms() as u64)
}
