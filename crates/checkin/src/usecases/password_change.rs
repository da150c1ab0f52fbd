//! Changes the password of an account, and ends the account's other sessions.

use std::sync::Arc;

use super::login::{Login, LoginError};
use super::revocation::{Raised, Revocation};
use super::security_log::SecurityLog;
use super::session_change::{Confirmation, Requester};
use super::tasks::Tasks;
use crate::domain::Email;
use crate::passwords::{Owner, PasswordPolicy, Passwords, QueuePlace};
use crate::storage::{Credentials, EventKind, Users};

/// Changes passwords.
#[derive(Clone)]
pub(crate) struct PasswordChange {
    login: Login,
    users: Arc<dyn Users>,
    revocation: Revocation,
    passwords: Passwords,
    policy: PasswordPolicy,
    security: SecurityLog,
    tasks: Tasks,
}

impl PasswordChange {
    pub(crate) fn new(
        login: Login,
        users: Arc<dyn Users>,
        revocation: Revocation,
        passwords: Passwords,
        policy: PasswordPolicy,
        security: SecurityLog,
        tasks: Tasks,
    ) -> Self {
        Self { login, users, revocation, passwords, policy, security, tasks }
    }

    /// Replaces the password of the session's account by `new`, ends the account's other sessions, and gives
    /// this one a fresh id. Returns the cookie by which the device will be recognized.
    ///
    /// # Errors
    ///
    /// [`LoginError::NewPassword`] if the new password breaks a rule, and
    /// [`LoginError::WrongPassword`] if the current one is not the account's password.
    /// [`LoginError::SecondFactorRequired`] and [`LoginError::WrongSecondFactor`] if the account has a second
    /// factor. [`LoginError::NotLoggedIn`] instead of these if something has ended the session meanwhile,
    /// such as another change of the password.
    ///
    /// # Cancel safety
    ///
    /// The change continues. It ends this session, too, if the call is dropped before the session has its fresh id.
    pub(crate) async fn change(
        &self,
        requester: Requester,
        confirmation: Confirmation,
        new: String,
    ) -> Result<Option<String>, LoginError> {
        let attempt = self.attempt(requester.clone(), confirmation, new);
        self.login.in_session(&requester, attempt).await
    }

    async fn attempt(
        &self,
        requester: Requester,
        confirmation: Confirmation,
        new: String,
    ) -> Result<Option<String>, LoginError> {
        let (session, place) = (requester.session.clone(), self.passwords.queue()?);
        let task = Box::pin(self.clone().replace(place, requester, confirmation, new));
        let (email, epoch) = self.tasks.run(task).await?;
        // This session continues under a new id.
        session.log_in_at_epoch(email.as_str(), &[], epoch).await?;
        Ok(self.login.device_cookie(&email, epoch))
    }

    /// Changes a password and ends the sessions from before, because people who know the old password
    /// may have one. Returns the address of the account and its new epoch.
    async fn replace(
        self,
        place: QueuePlace,
        requester: Requester,
        Confirmation { current, proof }: Confirmation,
        new: String,
    ) -> Result<(Email, u64), LoginError> {
        let Requester { account, address, .. } = &requester;
        let Credentials { id, email, .. } = account;
        let (login, caller) = (self.login.clone(), requester.caller());
        login.check_password(place, email.clone(), current, caller).await?;
        let name = self.users.name(*id).await?;
        let (first_name, last_name) =
            name.as_ref().map_or(("", ""), |name| (name.first.as_str(), name.last.as_str()));
        let checked = self.policy.check(&new, Owner { first_name, last_name, email });
        checked.map_err(LoginError::NewPassword)?;
        // A code is right once, so it is verified after everything that may be wrong.
        self.login.factors.demand(account, proof.as_ref(), *address).await?;
        let new = self.passwords.turn().await?.hash(new).await?;
        let by = requester.admitted().await?;
        let change = self.users.change_password(*id, Some(&by), &new);
        let raised = self.revocation.end(email, None, change).await?;
        let Raised { epoch, .. } = raised.ok_or(LoginError::NotLoggedIn)?;
        self.security.record(EventKind::PasswordChanged, Some(*id), *address, None).await;
        Ok((email.clone(), epoch))
    }
}
