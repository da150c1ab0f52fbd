//! The sessions of an account that have ended because its epoch was raised.

use crate::id::SessionId;

/// The sessions of an account whose [epoch](crate::Session::epoch) is lower than the account's, and those
/// that have none, such as sessions of Express; for
/// [`revoke_indexed`](crate::AccountSessions::revoke_indexed) and
/// [`revoke_scanned`](crate::AccountSessions::revoke_scanned).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outdated {
    /// The epoch of the account.
    pub epoch: u64,
    /// The [handle](SessionId::handle) of a session that is not revoked, whatever its epoch is.
    pub kept: Option<String>,
}

impl Outdated {
    /// Returns the sessions from before `epoch`.
    #[must_use]
    pub fn before(epoch: u64) -> Self {
        Self { epoch, kept: None }
    }

    /// Leaves out the session with this handle.
    #[must_use]
    pub fn except(self, handle: Option<String>) -> Self {
        Self { kept: handle, ..self }
    }

    /// Returns whether a session with this epoch and this id is one of them.
    pub(super) fn covers(&self, epoch: Option<u64>, id: &SessionId) -> bool {
        epoch.is_none_or(|epoch| epoch < self.epoch)
            && self.kept.as_ref().is_none_or(|kept| *kept != id.handle())
    }
}
