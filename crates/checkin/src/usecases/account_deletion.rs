//! Deletes the account of a session.

use std::sync::Arc;

use super::login::{Login, LoginError};
use super::revocation::Revocation;
use super::security_log::SecurityLog;
use super::session_change::{Confirmation, Requester};
use super::tasks::Tasks;
use crate::storage::{AccountChange, Credentials, EventKind, Status, Users};

/// Deletes accounts.
#[derive(Clone)]
pub(crate) struct AccountDeletion {
    login: Login,
    users: Arc<dyn Users>,
    revocation: Revocation,
    security: SecurityLog,
    tasks: Tasks,
}

impl AccountDeletion {
    pub(crate) fn new(
        login: Login,
        users: Arc<dyn Users>,
        revocation: Revocation,
        security: SecurityLog,
        tasks: Tasks,
    ) -> Self {
        Self { login, users, revocation, security, tasks }
    }

    /// Deletes the session's account and ends all of its sessions. Its personal data are erased when its
    /// sessions have been searched for.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongPassword`] if `current` is not the account's password.
    /// [`LoginError::SecondFactorRequired`] and [`LoginError::WrongSecondFactor`] if the account has a second
    /// factor. [`LoginError::NotLoggedIn`] instead of these if the session has ended meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The deletion continues.
    pub(crate) async fn delete(
        &self,
        requester: Requester,
        confirmation: Confirmation,
    ) -> Result<(), LoginError> {
        let task = Box::pin(self.clone().delete_account(requester.clone(), confirmation));
        self.login.in_session(&requester, self.tasks.run(task)).await?;
        requester.session.log_out().await?;
        Ok(())
    }

    async fn delete_account(
        self,
        requester: Requester,
        confirmation: Confirmation,
    ) -> Result<(), LoginError> {
        self.login.clone().confirm(&requester, confirmation).await?;
        let Requester { account: Credentials { id, email, .. }, address, .. } = &requester;
        let by = requester.admitted().await?;
        let deleted = AccountChange::Status(Status::Deleted);
        let change = self.users.change_account(*id, Some(&by), deleted);
        let raised = self.revocation.end(email, None, change).await?;
        raised.ok_or(LoginError::NotLoggedIn)?;
        self.security.record(EventKind::AccountDeleted, Some(*id), *address, None).await;
        Ok(())
    }
}
