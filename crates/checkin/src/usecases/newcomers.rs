//! Limits what new accounts may look up about others: an account that was made to watch somebody, or to
//! collect everybody's check-ins, costs nothing.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use quick_cache::sync::Cache;

use super::throttle::{Quota, RateLimit};
use crate::domain::UserId;
use crate::storage::{Privacy, StorageError};

/// The maximum number of accounts that are remembered as no longer new.
const MAX_KNOWN: usize = 100_000;

/// Limits the look-ups of new accounts; clones share the counts, which are those of this process only.
#[derive(Clone)]
pub(crate) struct Newcomers {
    privacy: Arc<dyn Privacy>,
    limit: RateLimit<UserId>,
    /// Accounts that are not new. They never become new again.
    known: Arc<Cache<UserId, ()>>,
    refused: Counter,
}

/// Why a look-up is refused.
#[derive(Debug)]
pub(crate) enum LookUpError {
    /// An account has used up its share.
    TooMany(Quota),
    /// The store failed.
    Storage(StorageError),
}

impl Newcomers {
    /// Allows each new account `per_hour` look-ups; 0 means unlimited. Refused ones are counted in `refused`.
    pub(crate) fn new(privacy: Arc<dyn Privacy>, per_hour: u32, refused: Counter) -> Self {
        let limit = RateLimit::per_hour("newcomers", per_hour);
        Self { privacy, limit, known: Arc::new(Cache::new(MAX_KNOWN)), refused }
    }

    /// Takes one look-up from the share of an account, if it is new. Returns what is left of it.
    ///
    /// # Errors
    ///
    /// As [`LookUpError`] says.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, nothing has been taken.
    pub(crate) async fn admit(&self, user: UserId) -> Result<Option<Quota>, LookUpError> {
        if self.known.get(&user).is_some() {
            return Ok(None);
        }
        if !self.privacy.is_new(user).await.map_err(LookUpError::Storage)? {
            self.known.insert(user, ());
            return Ok(None);
        }
        self.limit.take(&user).map_err(|quota| {
            self.refused.inc();
            LookUpError::TooMany(quota)
        })
    }
}
