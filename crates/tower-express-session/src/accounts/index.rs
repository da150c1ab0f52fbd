//! The index of each account's sessions, verified against the sessions themselves.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::options::AccountOptions;
use super::outdated::Outdated;
use super::revoked::Revoked;
use crate::at_once::at_once;
use crate::error::Error;
use crate::id::SessionId;
use crate::record::{Reading, Record};
use crate::store::{AccountStore, Freshness, IndexedSession, Stored};
use crate::timestamp::now_ms;

/// The maximum number of characters of the User-Agent header that are kept.
const MAX_DEVICE_CHARS: usize = 256;

/// The maximum number of sessions that are ended together, so that their ids need little memory.
const ENDED_TOGETHER: usize = 10_000;

/// The maximum number of requests at the same time: a slow store must respond to all of them within the time
/// limit of one.
const AT_ONCE: usize = 256;

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
            self.end_each(candidates(account, surplus, None), &mut Revoked::default()).await?;
        }
        let mut indexed = self.store.indexed(account).await?;
        if indexed.len() > AccountOptions::MAX_INDEXED {
            indexed.sort_by_key(|session| std::cmp::Reverse(session.created_ms));
            let oldest: Vec<_> =
                indexed.drain(AccountOptions::MAX_INDEXED..).map(|session| session.id).collect();
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
    pub(super) async fn index_found(
        &self,
        account: &str,
        found: &HashSet<SessionId>,
    ) -> Result<(), Error> {
        let indexed = self.store.indexed(account).await?;
        let indexed: HashSet<&SessionId> = indexed.iter().map(|indexed| &indexed.id).collect();
        let new: Vec<_> = found.iter().filter(|id| !indexed.contains(id)).cloned().collect();
        for some in new.chunks(AT_ONCE) {
            let entries = some.iter().map(|id| {
                let (store, keep) = (Arc::clone(&self.store), self.lifetime + KEPT_BEYOND);
                let (account, entry) = (account.to_owned(), found_now(id));
                async move { store.index(&account, &entry, keep).await }
            });
            at_once(entries).await?;
        }
        Ok(())
    }

    /// Returns the indexed sessions that are alive and still belong to the account, the newest
    /// first, and removes the others from the index.
    pub(super) async fn alive(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        let loaded = self.store.indexed(account).await?.into_iter().map(|session| {
            let store = Arc::clone(&self.store);
            async move { Ok((store.load(&session.id, Freshness::Latest).await?, session)) }
        });
        let (mut alive, mut dead) = (Vec::new(), Vec::new());
        for (stored, session) in at_once(loaded).await? {
            match self.belongs_to(stored, account) {
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
        revoked: &mut Revoked,
    ) -> Result<(), Error> {
        let indexed = self.store.indexed(account).await?.into_iter().map(|session| session.id);
        let others = indexed.filter(|id| Some(id) != kept);
        let others = candidates(account, others, outdated.cloned().map(Arc::new));
        self.end_each(others, revoked).await
    }

    /// Ends these sessions, and counts those that were ended. Their store waits once for many of them, so that
    /// the end of ten thousand sessions does not take minutes.
    pub(super) async fn end_each(
        &self,
        candidates: impl IntoIterator<Item = Candidate>,
        revoked: &mut Revoked,
    ) -> Result<(), Error> {
        let mut candidates = candidates.into_iter();
        loop {
            let some: Vec<_> = candidates.by_ref().take(ENDED_TOGETHER).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.end_together(some, revoked).await?;
        }
    }

    /// Ends those sessions of an account that exist and are outdated, and removes all that are not alive from
    /// the index.
    async fn end_together(
        &self,
        mut candidates: Vec<Candidate>,
        revoked: &mut Revoked,
    ) -> Result<(), Error> {
        let (mut ending, mut dead) = (Vec::new(), HashMap::<Arc<str>, Vec<SessionId>>::new());
        while !candidates.is_empty() {
            let some = candidates.split_off(candidates.len().saturating_sub(AT_ONCE)).into_iter();
            let judged = some.map(|candidate| {
                let index = self.clone();
                async move { Ok((index.judge(&candidate).await?, candidate)) }
            });
            for (verdict, Candidate { account, id, .. }) in at_once(judged).await? {
                match verdict {
                    Verdict::Stays => continue,
                    Verdict::HasEnded => {}
                    Verdict::Ends(tombstone) => {
                        revoked.add_account(&account);
                        ending.push((id.clone(), tombstone));
                    }
                }
                dead.entry(account).or_default().push(id);
            }
        }
        let ids = || ending.iter().map(|(id, _)| id);
        revoked.begin(ids());
        let ended = self.store.destroy_each(&ending).await?;
        revoked.finish(ids(), ended);
        let mut dead: Vec<_> = dead.into_iter().collect();
        while !dead.is_empty() {
            let some = dead.split_off(dead.len().saturating_sub(AT_ONCE)).into_iter();
            let unindexed = some.map(|(account, ids)| {
                let store = Arc::clone(&self.store);
                async move { store.unindex(&account, &ids).await }
            });
            at_once(unindexed).await?;
        }
        Ok(())
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

    /// Decides what happens to a session that was found for an account. By now it may have ended, or belong to
    /// another account.
    async fn judge(
        &self,
        Candidate { account, id, outdated }: &Candidate,
    ) -> Result<Verdict, Error> {
        let stored = self.store.load(id, Freshness::Latest).await?;
        let epoch = stored.as_ref().and_then(|stored| stored.epoch);
        let record = stored.and_then(|stored| read(&stored.value));
        let belongs = |record: &Record| {
            self.options.account_of(&record.attributes).is_some_and(|name| name == **account)
        };
        Ok(match record.filter(belongs) {
            Some(_) if outdated.as_ref().is_some_and(|outdated| !outdated.covers(epoch, id)) => {
                Verdict::Stays
            }
            Some(record) => {
                let lifetime = record.cookie.original_max_age().unwrap_or_default();
                Verdict::Ends(lifetime.max(self.lifetime).saturating_add(KEPT_BEYOND))
            }
            None => Verdict::HasEnded,
        })
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

/// What happens to a session.
enum Verdict {
    /// It is not outdated.
    Stays,
    /// It has ended, or belongs to another account by now.
    HasEnded,
    /// It ends, with a tombstone for this time.
    Ends(Duration),
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
