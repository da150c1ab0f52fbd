//! Limits the look-ups by e-mail address, which tell who has an account.

use prometheus_client::metrics::counter::Counter;

use super::newcomers::LookUpError;
use super::throttle::{Quota, RateLimit};
use crate::domain::UserId;

/// Limits the look-ups of each account. Its sessions share them, because everybody can log in as often as they like.
pub(crate) struct LookUps {
    limit: RateLimit<UserId>,
    refused: Counter,
}

impl LookUps {
    /// Allows each account `per_second` look-ups, with bursts of ten times as many; 0 means unlimited. Refused ones
    /// are counted in `refused`.
    pub(crate) fn new(per_second: u32, refused: Counter) -> Self {
        Self { limit: RateLimit::per_second("lookups", per_second), refused }
    }

    /// Takes one look-up from the share of an account. Returns what is left of it.
    ///
    /// # Errors
    ///
    /// [`LookUpError::TooMany`].
    pub(crate) fn take(&self, user: UserId) -> Result<Option<Quota>, LookUpError> {
        self.limit.take(&user).map_err(|quota| {
            self.refused.inc();
            LookUpError::TooMany(quota)
        })
    }
}
