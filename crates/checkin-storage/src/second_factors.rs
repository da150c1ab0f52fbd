//! The second factors of accounts, and the steps that wait for the next request of a client.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;
use sha2::{Digest, Sha256};

use crate::{Admitted, NewEpoch, Result};

/// Keeps the second factor of each account, as a text that this crate does not read.
///
/// # Contract
///
/// - A second factor is replaced in one step, and only if it is still the expected one: of many changes at the
///   same time, in several processes, one succeeds. So a code that is used up by a change is used once.
/// - It belongs to an account. An account that does not exist has none and gets none, and an
///   account loses it when it is [erased](crate::Users::erase).
#[async_trait]
pub trait SecondFactors: Send + Sync {
    /// Returns the second factor of an account.
    async fn second_factor(&self, user: UserId) -> Result<Option<String>>;

    /// Replaces the second factor of an account, if it is still `expected`. `None` is no second factor.
    /// Returns false if it is another one, or if there is no such account.
    async fn replace_second_factor(
        &self,
        user: UserId,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<bool>;

    /// Replaces the second factor of an account, if it is still `expected`, increases the account's epoch and keeps
    /// no session but the one that asks, in one step. Returns the new epoch, or `None` if it is another second
    /// factor, if there is no such account, or if `by` is no longer [valid](crate::Standing::still_admits).
    async fn change_second_factor(
        &self,
        user: UserId,
        by: &Admitted,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<Option<NewEpoch>>;
}

/// Keeps steps that wait for the next request of a client, such as a login without its second factor.
///
/// # Contract
///
/// - A step is kept for its time to live, by the clock of the store.
/// - It is taken in one step: of many takers at the same time, one gets it.
#[async_trait]
pub trait PendingSteps: Send + Sync {
    /// Keeps a step, in place of one with the same name.
    async fn keep_pending(&self, name: &PendingName, step: &str, life: Duration) -> Result<()>;

    /// Returns a step that is still kept.
    async fn pending(&self, name: &PendingName) -> Result<Option<String>>;

    /// Removes a step and returns it. Returns `None` if it is not kept, or if somebody else took it.
    async fn take_pending(&self, name: &PendingName) -> Result<Option<String>>;
}

/// The name of a pending step: a hash, so that a reader of the store does not have the secret with which a
/// client continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingName(String);

impl PendingName {
    /// Returns the name of the step of this kind that the owner of the secret may continue.
    #[must_use]
    pub fn new(kind: &str, secret: &str) -> Self {
        let hash =
            Sha256::new().chain_update(kind).chain_update([0]).chain_update(secret).finalize();
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns the name: 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
