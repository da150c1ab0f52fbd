//! The number of sessions that several calls have revoked.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::id::SessionId;

/// The sessions that calls of [`AccountSessions`](crate::AccountSessions) have revoked, also calls that failed
/// part-way. Hand the same value to each repetition of a call, and every session is counted once.
///
/// ```
/// use std::collections::HashMap;
/// use tower_express_session::accounts::{Outdated, Revoked};
/// use tower_express_session::{AccountSessions, Error};
///
/// async fn end_older(sessions: AccountSessions, user: &str, epoch: u64) -> Result<usize, Error> {
///     let outdated = HashMap::from([(user.to_owned(), Outdated::before(epoch))]);
///     let mut revoked = Revoked::default();
///     while let Err(error) = sessions.revoke_scanned(&outdated, &mut revoked).await {
///         eprintln!("{error}: tries again after {} sessions", revoked.number());
///     }
///     Ok(revoked.number())
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Revoked {
    number: usize,
    /// Sessions that a call which failed may have ended: it did not learn which of them.
    uncertain: HashSet<SessionId>,
    accounts: BTreeSet<Arc<str>>,
}

impl Revoked {
    /// Returns the number of sessions that have certainly been revoked.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns whether the last call failed, and may have revoked more sessions than [`number`](Self::number)
    /// says. After a scan that succeeds it is false.
    #[must_use]
    pub fn may_be_more(&self) -> bool {
        !self.uncertain.is_empty()
    }

    /// Returns the accounts of the sessions that have been revoked, or may have been.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|account| &**account)
    }

    /// A session of this account will be ended.
    pub(super) fn add_account(&mut self, account: &Arc<str>) {
        self.accounts.insert(Arc::clone(account));
    }

    /// The end of these sessions begins.
    pub(super) fn begin<'a>(&mut self, ids: impl Iterator<Item = &'a SessionId>) {
        self.uncertain.extend(ids.cloned());
    }

    /// The end of these sessions succeeded, of which this number existed.
    pub(super) fn finish<'a>(&mut self, ids: impl Iterator<Item = &'a SessionId>, ended: usize) {
        for id in ids {
            self.uncertain.remove(id);
        }
        self.number += ended;
    }

    /// A scan found no session that is left, so the uncertain ones have ended.
    pub(super) fn settle(&mut self) {
        self.number += self.uncertain.drain().count();
    }
}
