//! Deletes the account of a session.

use std::net::IpAddr;
use std::sync::Arc;

use tower_express_session::Session;

use super::guesses::Caller;
use super::login::{Login, LoginError};
use super::revocation::Revocation;
use super::security_log::SecurityLog;
use super::tasks::Tasks;
use crate::domain::Email;
use crate::second_factor::Proof;
use crate::storage::{AccountChange, Budget, Credentials, EventKind, Status, Users};

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
    /// sessions have been searched for. The proof is needed if it has a second factor. `address` is the
    /// network that the request came from.
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
        session: &Session,
        email: Email,
        confirmation: (String, Option<Proof>),
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        let own = Some(Budget::of_session(session.id().as_str()));
        let task = self.clone().delete_account(email, confirmation, Caller { address, own });
        self.login.in_session(session, self.tasks.run(task)).await?;
        session.log_out().await?;
        Ok(())
    }

    async fn delete_account(
        self,
        email: Email,
        (current, proof): (String, Option<Proof>),
        caller: Caller,
    ) -> Result<(), LoginError> {
        let address = caller.address;
        let account = self.login.clone().check_password(email, current, caller).await?;
        self.login.factors.demand(&account, proof.as_ref(), address).await?;
        let Credentials { id, email, .. } = &account;
        let change = self.users.change_account(*id, AccountChange::Status(Status::Deleted));
        let raised = self.revocation.end(*id, email, None, change).await?;
        raised.ok_or(LoginError::NotLoggedIn)?;
        self.security.record(EventKind::AccountDeleted, Some(*id), address, None).await;
        Ok(())
    }
}
