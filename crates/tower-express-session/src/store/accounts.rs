//! Which sessions an account has.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Store;
use crate::error::Error;
use crate::id::SessionId;

/// A store that keeps an index of each account's sessions, in keys or tables of its own beside the
/// sessions.
///
/// # Contract
///
/// - The index is a help and never an authority: what it names may have ended, or changed hands, and
///   an Express service makes sessions without it. [`Accounts`](crate::Accounts) checks and heals.
/// - An account's entries end by themselves, all together, and no sooner than the longest time for
///   which one of them was to be kept.
/// - Accounts are opaque texts. None, however hostile, reaches another's entries.
///
/// The suite [`conformance`](crate::store::conformance) (feature `conformance`) checks all of it.
#[async_trait]
pub trait AccountStore: Store {
    /// Notes a session of an account, to be kept for so long at least. Of one that is noted already
    /// the time of creation stays.
    async fn note(
        &self,
        account: &str,
        session: &NotedSession,
        keep: Duration,
    ) -> Result<(), Error>;

    /// All that is noted of an account, in no order.
    async fn noted(&self, account: &str) -> Result<Vec<NotedSession>, Error>;

    /// Drops entries of an account. That there were none is a success.
    async fn forget(&self, account: &str, ids: &[SessionId]) -> Result<(), Error>;

    /// Shows each stored session, whoever made it. One that is made or ended meanwhile may be
    /// missed; all others are shown at least once.
    async fn each(&self, visit: &mut Visit<'_>) -> Result<(), Error>;
}

/// A shared store is a store.
#[async_trait]
impl<S: AccountStore + ?Sized> AccountStore for Arc<S> {
    async fn note(
        &self,
        account: &str,
        session: &NotedSession,
        keep: Duration,
    ) -> Result<(), Error> {
        (**self).note(account, session, keep).await
    }

    async fn noted(&self, account: &str) -> Result<Vec<NotedSession>, Error> {
        (**self).noted(account).await
    }

    async fn forget(&self, account: &str, ids: &[SessionId]) -> Result<(), Error> {
        (**self).forget(account, ids).await
    }

    async fn each(&self, visit: &mut Visit<'_>) -> Result<(), Error> {
        (**self).each(visit).await
    }
}

/// Is shown a stored session.
pub type Visit<'a> = dyn FnMut(SessionId, Bytes) + Send + 'a;

/// What is noted of a session under its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedSession {
    /// The session.
    pub id: SessionId,
    /// When it was made, or found; in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last seen in use, as nearly as it is touched; in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// The browser or program, as its User-Agent header says; empty if unknown.
    pub device: String,
    /// The network address; empty if unknown.
    pub address: String,
}
