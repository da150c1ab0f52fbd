//! The index of each account's sessions, verified against the sessions themselves.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinError, JoinSet};

use super::options::{AccountOptions, MAX_INDEXED};
use super::outdated::Outdated;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::record::{Reading, Record};
use crate::store::{AccountStore, Freshness, IndexedSession, Stored};
use crate::timestamp::now_ms;

/// The maximum number of characters of the User-Agent header that are kept.
const MAX_DEVICE_CHARS: usize = 256;

/// The maximum number of sessions that are ended concurrently. Each may have to wait for a lease, so few
/// would make the end of ten thousand sessions take minutes.
const ENDED_AT_ONCE: usize = 1024;

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
            let surplus = alive.map(|session| session.id).skip(self.options.max_sessions);
            self.end_each(candidates(account, surplus, None)).await?;
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
        let found = self.scan(|name| name == account).await?.remove(account);
        self.index_found(account, &found.unwrap_or_default()).await?;
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

    /// Ends the indexed sessions of an account.
    pub(super) async fn end_indexed(
        &self,
        account: &str,
        kept: Option<&SessionId>,
        outdated: Option<&Outdated>,
    ) -> Result<usize, Error> {
        let indexed = self.store.indexed(account).await?.into_iter().map(|session| session.id);
        let others = indexed.filter(|id| Some(id) != kept);
        self.end_each(candidates(account, others, outdated.cloned().map(Arc::new))).await
    }

    /// Ends these sessions, with a limited number at a time. Returns the number of those that were
    /// ended.
    pub(super) async fn end_each(
        &self,
        candidates: impl IntoIterator<Item = Candidate>,
    ) -> Result<usize, Error> {
        let (mut ending, mut ended) = (JoinSet::new(), 0);
        let count = |joined: Result<Result<bool, Error>, JoinError>| {
            joined.map_err(|cause| Error::new(ErrorKind::Store, cause))?.map(usize::from)
        };
        for candidate in candidates {
            if ending.len() >= ENDED_AT_ONCE
                && let Some(joined) = ending.join_next().await
            {
                ended += count(joined)?;
            }
            let index = self.clone();
            ending.spawn(async move { index.end_one(&candidate).await });
        }
        while let Some(joined) = ending.join_next().await {
            ended += count(joined)?;
        }
        Ok(ended)
    }

    /// Indexes all stored sessions that have an account, and returns them by account.
    pub(super) async fn index_all(&self) -> Result<HashMap<String, HashSet<SessionId>>, Error> {
        let found = self.scan(|_| true).await?;
        for (account, ids) in &found {
            self.index_found(account, ids).await?;
        }
        Ok(found)
    }

    /// Scans all stored sessions, and returns those of the accounts that are wanted.
    pub(super) async fn scan(
        &self,
        is_wanted: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<HashMap<String, HashSet<SessionId>>, Error> {
        let mut found: HashMap<String, HashSet<SessionId>> = HashMap::new();
        let mut visit = |id, value| {
            if let Some(account) = self.account_in(&value).filter(|account| is_wanted(account)) {
                found.entry(account).or_default().insert(id);
            }
        };
        self.store.each(&mut visit).await?;
        Ok(found)
    }

    fn account_in(&self, value: &Bytes) -> Option<String> {
        self.options.account_of(&read(value)?.attributes)
    }

    /// Ends a session of an account, and removes it from the index. Returns false if it has ended
    /// already, belongs to another account by now, or is not outdated.
    async fn end_one(&self, candidate: &Candidate) -> Result<bool, Error> {
        let Candidate { account, id, outdated } = candidate;
        let stored = self.store.load(id, Freshness::Latest).await?;
        let epoch = stored.as_ref().and_then(|stored| stored.epoch);
        let record = stored.and_then(|stored| read(&stored.value));
        let belongs = |record: &Record| {
            self.options.account_of(&record.attributes).is_some_and(|name| name == **account)
        };
        let is_ended = match record.filter(belongs) {
            Some(_) if outdated.as_ref().is_some_and(|outdated| !outdated.covers(epoch, id)) => {
                return Ok(false);
            }
            Some(record) => {
                let lifetime = record.cookie.original_max_age().unwrap_or_default();
                let tombstone = lifetime.max(self.lifetime).saturating_add(KEPT_BEYOND);
                self.store.destroy(id, tombstone).await?;
                true
            }
            None => false,
        };
        self.store.unindex(account, std::slice::from_ref(id)).await?;
        Ok(is_ended)
    }

    fn belongs_to(&self, stored: Option<Stored>, account: &str) -> bool {
        let name = stored.and_then(|stored| self.account_in(&stored.value));
        name.is_some_and(|name| name == account)
    }
}

/// A session to end.
pub(super) struct Candidate {
    account: Arc<str>,
    id: SessionId,
    /// With it, only a session that it covers is ended.
    outdated: Option<Arc<Outdated>>,
}

/// Returns sessions of an account as candidates.
pub(super) fn candidates<I: IntoIterator<Item = SessionId>>(
    account: &str,
    ids: I,
    outdated: Option<Arc<Outdated>>,
) -> impl Iterator<Item = Candidate> + use<I> {
    let account: Arc<str> = account.into();
    let candidate =
        move |id| Candidate { account: account.clone(), id, outdated: outdated.clone() };
    ids.into_iter().map(candidate)
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
