//! The accounts whose sessions have to be searched for among all stored sessions.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;

use crate::Result;

/// The list of accounts that a search is due for, because their epoch was raised. An Express service
/// makes sessions without an epoch that are not in the index, so only a search finds them. The list
/// survives the end of the process that was about to search.
///
/// # Contract
///
/// - What raises an epoch adds the account to the list ([`NewEpoch`]), in the same step or in one before it. A change
///   that arrives after a search for it [has begun](Self::begin_search) is not made, so none is made that no search sees:
///   neither if the process ends in between, nor if the change is carried out long after its sender has given it up.
/// - An account is in the list at most once. Adding it again gives it a new number, so that a search that
///   began before does not remove it.
/// - One owner at a time has the lease. A lease ends by the clock of the store.
#[async_trait]
pub trait Searches: Send + Sync {
    /// Acquires or renews the lease for this time, and returns the searches that were added first, at
    /// most `limit`. Returns `None` if another owner has the lease. If no search is due, nothing is
    /// acquired.
    async fn due_searches(
        &self,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<Vec<Search>>>;

    /// Begins a search: from now on, no change is made that was added to the list with its number or a lower one. So the
    /// account is read afterwards.
    async fn begin_search(&self, search: &Search) -> Result<()>;

    /// Removes searches that are done from the list, and ends the lease if this owner has it.
    async fn finish_searches(&self, owner: &str, done: &[Search]) -> Result<()>;
}

/// An account that a search is due for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Its number, which no other search has, unless a fail-over of the store took back that it was given.
    pub number: u64,
    /// The account.
    pub user: UserId,
}

/// A change of an account that raised its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEpoch {
    /// The new epoch.
    pub epoch: u64,
    /// The search for the sessions from before.
    pub search: Search,
}
