//! The trait of stores that index the sessions of each account.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Store;
use crate::error::Error;
use crate::id::SessionId;

/// A store that also keeps an index of each account's sessions, in separate keys or tables.
///
/// # Contract
///
/// - The index is only a hint: an indexed session may have ended or belong to another account by
///   now, and the sessions that an Express service creates are not in it.
///   [`AccountSessions`](crate::AccountSessions) verifies and repairs it.
/// - The entries of an account expire on their own, all together, after the longest time for which
///   one of them was to be kept.
/// - Accounts are opaque texts. Even a hostile name never gives access to the entries of another
///   account.
///
/// The suite `store::conformance` (feature `conformance`) verifies this contract.
#[async_trait]
pub trait AccountStore: Store {
    /// Indexes a session of an account, for at least this time. If it is in the index already, its
    /// time of creation is kept.
    async fn index(
        &self,
        account: &str,
        session: &IndexedSession,
        keep: Duration,
    ) -> Result<(), Error>;

    /// Returns the account's indexed sessions, in no particular order.
    async fn indexed(&self, account: &str) -> Result<Vec<IndexedSession>, Error>;

    /// Ends each of these sessions as [`destroy`](Store::destroy) does, with its tombstone, and returns the
    /// number of those that existed. A store that waits when a session has ended waits once for all of them.
    /// If one cannot be ended, others may have ended.
    async fn destroy_each(&self, sessions: &[(SessionId, Duration)]) -> Result<usize, Error>;

    /// Removes sessions of an account from the index. It is not an error if they are not in it.
    async fn unindex(&self, account: &str, ids: &[SessionId]) -> Result<(), Error>;

    /// Calls `visit` with each stored session, whichever program created it. A session that is
    /// created or ended during the call may be missed; all others are visited at least once.
    async fn each(&self, visit: &mut SessionVisitor<'_>) -> Result<(), Error>;
}

/// A shared store is a store.
#[async_trait]
impl<S: AccountStore + ?Sized> AccountStore for Arc<S> {
    async fn index(
        &self,
        account: &str,
        session: &IndexedSession,
        keep: Duration,
    ) -> Result<(), Error> {
        (**self).index(account, session, keep).await
    }

    async fn indexed(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        (**self).indexed(account).await
    }

    async fn destroy_each(&self, sessions: &[(SessionId, Duration)]) -> Result<usize, Error> {
        (**self).destroy_each(sessions).await
    }

    async fn unindex(&self, account: &str, ids: &[SessionId]) -> Result<(), Error> {
        (**self).unindex(account, ids).await
    }

    async fn each(&self, visit: &mut SessionVisitor<'_>) -> Result<(), Error> {
        (**self).each(visit).await
    }
}

/// The callback of [`AccountStore::each`]: it receives the id and the value of a session.
pub type SessionVisitor<'a> = dyn FnMut(SessionId, Bytes) + Send + 'a;

/// A session in the index of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexedSession {
    /// The session.
    pub id: SessionId,
    /// When it was created or found, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last in use, in milliseconds since 1970, as precisely as sessions are touched.
    pub last_seen_ms: u64,
    /// The User-Agent header of the browser or program; empty if unknown.
    pub device: String,
    /// The network address; empty if unknown.
    pub address: String,
}

impl IndexedSession {
    /// Returns an entry for a session that was created and last used at this time, in milliseconds since
    /// 1970, from an unknown device and address.
    #[must_use]
    pub fn new(id: SessionId, created_ms: u64) -> Self {
        let (device, address) = (String::new(), String::new());
        Self { id, created_ms, last_seen_ms: created_ms, device, address }
    }
}
