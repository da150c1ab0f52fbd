//! Ends the sessions that an account had before its epoch was raised.
//!
//! Our services refuse them because of their epoch, at the latest when the lease of a cached session is
//! over. Express services do not know the epoch, and make sessions that have none and are in no index. So
//! the sessions must be deleted, too: those in the index at once, and the others when a scan of all stored
//! sessions finds them. One task of one process at a time searches for all accounts of the deployment that
//! are due. Their list is in the store, which adds an account when its epoch is raised. So another process takes up
//! what a process leaves undone, and completes what the store carries out when nobody waits for it any more.
//!
//! An account that was deleted is erased after this search, its check-ins first. Until then nobody else can
//! register its address, and no session of it is left that could be taken for one of the next account with
//! that address. Many check-ins take minutes, so the searches for other accounts go on meanwhile.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tower_express_session::accounts::{Outdated, Revoked};
use tower_express_session::{AccountSessions, Error as SessionError, ErrorKind, SessionId};

use super::batch_size::BatchSize;
use super::security_log::SecurityLog;
use crate::domain::{Email, UserId};
use crate::storage::{
    Credentials, EventKind, NewEpoch, Retractions, Search, Searches, Status, StorageError, Users,
    readable,
};
use crate::telemetry::chain;

/// The maximum number of accounts of one scan, so that their names need little memory.
const MAX_ACCOUNTS: usize = 1000;

/// How many of them are read at the same time, so that all are read long before the lease ends.
const ACCOUNTS_AT_A_TIME: usize = 16;

/// The lifetime of the lease of the process that searches. It is renewed three times meanwhile.
const LEASE: Duration = Duration::from_secs(15);

/// How often a process looks for searches that another process has left undone.
const POLL: Duration = Duration::from_secs(15);

/// The pause after a scan. Accounts that are added during a scan and the pause share the next scan. After
/// each failure in succession it is twice as long, up to [`POLL`].
const PAUSE: Duration = Duration::from_secs(1);

/// The number of check-ins of a deleted account that are retracted at once at first, and at most.
const RETRACTIONS: (usize, usize) = (10, 1000);

/// How long a command repeats a search that fails because the store is unavailable.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends sessions of accounts; clones share the task that searches.
#[derive(Clone)]
pub struct Revocation {
    users: Arc<dyn Users>,
    searches: Arc<dyn Searches>,
    retractions: Arc<dyn Retractions>,
    sessions: AccountSessions,
    /// How long a service may use what it has read about a session and its account.
    lease: Duration,
    /// Wakes the task of this process.
    added: Arc<Notify>,
    /// The searches of deleted accounts whose sessions have ended, in the order in which this process erases the
    /// accounts: 16 bytes for each deleted account of the deployment. Locked for a few instructions, never across an await.
    erasures: Arc<Mutex<VecDeque<Search>>>,
    /// Wakes the task that erases them.
    erasing: Arc<Notify>,
}

/// An account whose epoch was raised.
pub(crate) struct Raised {
    /// The new epoch.
    pub(crate) epoch: u64,
    /// The sessions that were ended at once.
    pub(crate) revoked: Revoked,
    /// The search for the others.
    search: Search,
}

/// What a search has to do.
#[derive(Default)]
struct Due {
    /// The sessions to end, by the name of their account.
    outdated: HashMap<String, Outdated>,
    /// The accounts, with their names.
    accounts: Vec<(UserId, String)>,
    /// The searches of the accounts to erase afterwards.
    deleted: Vec<Search>,
}

/// Why a search failed.
#[derive(Debug)]
pub(crate) enum SearchError {
    Storage(StorageError),
    Session(SessionError),
}

impl Revocation {
    /// Creates the use case. A service may use what it has read about a session for the time of `lease`.
    #[must_use]
    pub fn new(
        users: Arc<dyn Users>,
        searches: Arc<dyn Searches>,
        retractions: Arc<dyn Retractions>,
        sessions: AccountSessions,
        lease: Duration,
    ) -> Self {
        Self {
            users,
            searches,
            retractions,
            sessions,
            lease,
            added: Arc::default(),
            erasures: Arc::default(),
            erasing: Arc::default(),
        }
    }

    /// Raises the epoch of an account with `raise`, which returns the new epoch or `None` if it changes
    /// nothing, and ends the sessions from before, except `kept`. When this returns, our services refuse
    /// them, those in the index have ended, and the others will be searched for.
    ///
    /// # Errors
    ///
    /// Those of the store until the epoch is raised. What happens afterwards is no error, because our services
    /// refuse the sessions already: the search ends what could not be ended at once.
    ///
    /// # Cancel safety
    ///
    /// After a call that is dropped or fails, the epoch may be raised, now or later. Then the account is in the list of
    /// searches, which a process with the authentication service reads every [`POLL`] and after each search.
    pub(crate) async fn end(
        &self,
        email: &Email,
        kept: Option<&SessionId>,
        raise: impl Future<Output = Result<Option<NewEpoch>, StorageError>>,
    ) -> Result<Option<Raised>, StorageError> {
        let Some(NewEpoch { epoch, search }) = raise.await? else { return Ok(None) };
        let (name, handle) = (email.canonical(), kept.map(SessionId::handle));
        let outdated = Outdated::before(epoch).except(handle);
        let mut revoked = Revoked::default();
        let ending = self.sessions.revoke_indexed(&name, &outdated, &mut revoked);
        let (ended, ()) = tokio::join!(ending, sleep(self.lease));
        // Not before: the search would end some of those that are counted here.
        self.added.notify_one();
        if let Err(error) = ended {
            SearchError::from(error).log("a session is ended by a search, and not at once");
        }
        Ok(Some(Raised { epoch, revoked, search }))
    }

    /// Searches for the other sessions of an account at once, for a command, and counts them, too. If the store is
    /// unavailable meanwhile, it tries again for [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// As [`SearchError`] says. A service will search for them.
    ///
    /// # Cancel safety
    ///
    /// As with an error.
    pub(crate) async fn search_now(&self, raised: &mut Raised) -> Result<(), SearchError> {
        let begin = Instant::now();
        loop {
            match self.search_for(raised).await {
                Err(error) if error.is_outage() && begin.elapsed() < PATIENCE => sleep(PAUSE).await,
                result => return result,
            }
        }
    }

    async fn search_for(&self, raised: &mut Raised) -> Result<(), SearchError> {
        let due = self.due(&[raised.search]).await?;
        self.sessions.revoke_scanned(&due.outdated, &mut raised.revoked).await?;
        for deleted in &due.deleted {
            self.erase(deleted.user).await?;
        }
        self.searches.finish_searches("", &[raised.search]).await?;
        Ok(())
    }

    /// Searches for the sessions of all accounts that are due, and erases those that were deleted, as long as the
    /// process runs. What a search ends is a security event.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, another process continues when the lease is over.
    pub(crate) async fn search(self, security: SecurityLog) -> Infallible {
        // Two processes never have the same owner, because each has an id of a session.
        let owner = loop {
            match SessionId::generate() {
                Ok(id) => break id.handle(),
                Err(_) => sleep(POLL).await,
            }
        };
        tokio::select! {
            never = self.search_each(&owner, &security) => never,
            never = self.erase_each() => never,
        }
    }

    async fn search_each(&self, owner: &str, security: &SecurityLog) -> Infallible {
        let (mut pause, mut was_erasing) = (PAUSE, false);
        loop {
            let searched = self.search_once(owner, security).await;
            let is_erasing = !self.erasures().is_empty();
            if was_erasing && !is_erasing {
                // If this fails, the lease runs out.
                drop(self.searches.finish_searches(owner, &[]).await);
            }
            was_erasing = is_erasing;
            match searched {
                Ok(true) => {
                    pause = PAUSE;
                    sleep(pause).await;
                }
                Ok(false) => {
                    // The lease is kept until all are erased.
                    let poll = if is_erasing { LEASE / 3 } else { POLL };
                    drop(timeout(poll, self.added.notified()).await);
                }
                Err(error) => {
                    error.log("a search for the sessions of accounts failed");
                    sleep(pause).await;
                    pause = (pause * 2).min(POLL);
                }
            }
        }
    }

    /// Searches once for all accounts that are due. Returns false if there was none, or if another process
    /// searches.
    async fn search_once(&self, owner: &str, security: &SecurityLog) -> Result<bool, SearchError> {
        // Those that are being erased are among the first of the list.
        let limit = MAX_ACCOUNTS + self.erasures().len();
        let searches = self.searches.due_searches(owner, LEASE, limit).await?;
        let mut searches = searches.unwrap_or_default();
        searches.retain(|search| !self.erasures().contains(search));
        if searches.is_empty() {
            return Ok(false);
        }
        let Due { outdated, accounts, deleted } = self.due(&searches).await?;
        let mut revoked = Revoked::default();
        let scanned = {
            let mut work = pin!(self.sessions.revoke_scanned(&outdated, &mut revoked));
            loop {
                tokio::select! {
                    scanned = &mut work => break scanned,
                    () = sleep(LEASE / 3) => {
                        // Without the lease, two processes do the same work, and nothing else happens.
                        drop(self.searches.due_searches(owner, LEASE, 1).await);
                    }
                }
            }
        };
        record(security, &revoked, &accounts).await;
        scanned?;
        let ended = revoked.number();
        tracing::info!(accounts = searches.len(), ended, "searched for the sessions of accounts");
        searches.retain(|search| !deleted.contains(search));
        self.erasures().extend(deleted);
        self.erasing.notify_one();
        // The lease is kept until all are erased, so that no other process begins that, too.
        let released = if self.erasures().is_empty() { owner } else { "" };
        self.searches.finish_searches(released, &searches).await?;
        Ok(true)
    }

    /// Erases deleted accounts one after another.
    async fn erase_each(&self) -> Infallible {
        let mut pause = PAUSE;
        loop {
            let next = self.erasures().front().copied();
            let Some(search) = next else {
                // So that the lease is released.
                self.added.notify_one();
                self.erasing.notified().await;
                continue;
            };
            let erased = async {
                self.erase(search.user).await?;
                Ok::<_, SearchError>(self.searches.finish_searches("", &[search]).await?)
            };
            match erased.await {
                Ok(()) => {
                    pause = PAUSE;
                    self.erasures().pop_front();
                }
                Err(error) => {
                    error.log("an account is not erased yet");
                    // The next one does not wait for it.
                    self.erasures().rotate_left(1);
                    sleep(pause).await;
                    pause = (pause * 2).min(POLL);
                }
            }
        }
    }

    fn erasures(&self) -> MutexGuard<'_, VecDeque<Search>> {
        self.erasures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins these searches, and returns what is due for their accounts. An account that is gone has no sessions.
    async fn due(&self, searches: &[Search]) -> Result<Due, StorageError> {
        let mut due = Due::default();
        let accounts = stream::iter(searches.to_vec()).map(|search| async move {
            self.searches.begin_search(&search).await?;
            let account = readable(self.users.credentials(search.user).await)?;
            Ok::<_, StorageError>(account.map(|account| (search, account)))
        });
        let mut accounts = pin!(accounts.buffered(ACCOUNTS_AT_A_TIME));
        while let Some(account) = accounts.try_next().await? {
            account.into_iter().for_each(|(search, account)| due.add(search, account));
        }
        Ok(due)
    }

    /// Erases an account that was deleted before its sessions were searched for, with its check-ins. If the store does not
    /// answer in time, fewer of them are tried at once.
    async fn erase(&self, id: UserId) -> Result<(), StorageError> {
        let (mut size, mut from) = (BatchSize::between(RETRACTIONS.0, RETRACTIONS.1), None);
        loop {
            let (began, number) = (Instant::now(), size.entries());
            match self.retractions.retract_all(id, from.clone(), number).await {
                Ok(None) => break,
                Ok(next) => (size, from) = (size.after(number, began.elapsed()), next),
                Err(error) if number == 1 || !error.is_logged() => return Err(error),
                Err(_) => {
                    size = size.after_failure(number);
                    sleep(PAUSE).await;
                }
            }
        }
        if self.users.erase(id).await? {
            tracing::info!(user.id = id.get(), "erased a deleted account");
        }
        Ok(())
    }
}

/// Records the sessions that a search has ended, also one that failed afterwards, for each account that had some. Their
/// number is known for all of these accounts together only.
async fn record(security: &SecurityLog, revoked: &Revoked, accounts: &[(UserId, String)]) {
    let (ended, named): (_, HashSet<&str>) = (revoked.number(), revoked.accounts().collect());
    if ended == 0 && !revoked.may_be_more() {
        return;
    }
    let detail = match named.len() {
        1 => format!("{ended} sessions, by a search"),
        several => format!("{ended} sessions of {several} accounts, by a search"),
    };
    for (user, _) in accounts.iter().filter(|(_, name)| named.contains(&**name)) {
        let (kind, detail) = (EventKind::SessionsRevoked, detail.clone());
        security.record(kind, Some(*user), None, Some(detail)).await;
    }
}

impl Due {
    fn add(&mut self, search: Search, Credentials { email, standing, .. }: Credentials) {
        self.deleted.extend((standing.status == Status::Deleted).then_some(search));
        let outdated = Outdated::before(standing.epoch).except(standing.kept);
        self.accounts.push((search.user, email.canonical()));
        let known = self.outdated.entry(email.canonical()).or_default();
        // Two accounts of an earlier version may share this name (`Email::index_keys`), and nothing tells which of them a
        // session belongs to. One session too many may end, but never one too few.
        if known.epoch <= outdated.epoch {
            *known = outdated;
        }
    }
}

impl SearchError {
    /// Returns whether the error is part of an outage, which the store itself logs.
    fn is_outage(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_logged(),
            Self::Session(error) => error.kind() == ErrorKind::Unavailable,
        }
    }

    fn log(&self, what: &str) {
        if !self.is_outage() {
            let cause = match self {
                Self::Storage(error) => chain(error),
                Self::Session(error) => chain(error),
            };
            tracing::warn!(%cause, "{what}");
        }
    }
}

impl From<StorageError> for SearchError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<SessionError> for SearchError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation").field("lease", &self.lease).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PasswordHash;
    use crate::storage::Standing;

    fn account(id: u64, email: &str, epoch: u64, kept: &str) -> Credentials {
        let kept = Some(kept.to_owned());
        Credentials {
            id: id.try_into().unwrap(),
            email: email.parse().unwrap(),
            password: PasswordHash::stored("!"),
            standing: Standing { epoch, kept, ..Standing::default() },
        }
    }

    #[test]
    fn of_accounts_that_share_a_name_the_higher_epoch_holds() {
        let one = account(1, "zo\u{eb}@example.com", 5, "one");
        let two = account(2, "zoe\u{308}@example.com", 2, "two");
        let other = account(3, "al@example.com", 0, "other");
        let named = |name: &str, epoch, kept: &str| {
            (name.to_owned(), Outdated::before(epoch).except(Some(kept.to_owned())))
        };
        let expected = HashMap::from([
            named("zo\u{eb}@example.com", 5, "one"),
            named("al@example.com", 0, "other"),
        ]);
        for accounts in [[one.clone(), two.clone(), other.clone()], [other, two, one]] {
            let mut due = Due::default();
            for account in accounts {
                due.add(Search { number: 0, user: account.id }, account);
            }
            assert_eq!(due.outdated, expected);
        }
    }
}
