//! Changes the password of an account, and ends the account's other sessions.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use tower_express_session::{AccountSessions, Session};

use super::account_sessions::{Revoked, revoke, wait_for};
use super::login::{Login, LoginError};
use super::tasks::{TaskError, Tasks};
use crate::domain::Email;
use crate::passwords::Passwords;
use crate::storage::{Credentials, Users};

/// Changes passwords.
#[derive(Clone)]
pub(crate) struct PasswordChange {
    login: Login,
    users: Arc<dyn Users>,
    account_sessions: AccountSessions,
    passwords: Passwords,
    tasks: Tasks,
}

/// The current password of an account, and the new one.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) current: String,
    pub(crate) new: String,
}

impl PasswordChange {
    pub(crate) fn new(
        login: Login,
        users: Arc<dyn Users>,
        account_sessions: AccountSessions,
        passwords: Passwords,
        tasks: Tasks,
    ) -> Self {
        Self { login, users, account_sessions, passwords, tasks }
    }

    /// Replaces the password of the session's account, ends the account's other sessions, and gives
    /// this one a fresh id. `address` is the network that the request came from.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongPassword`] if `current` is not the account's password, or somebody else
    /// has changed it meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The change and the search for the other sessions continue.
    pub(crate) async fn change(
        &self,
        session: &Session,
        email: Email,
        replacement: Replacement,
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        let (changed, on_change) = oneshot::channel();
        let task = self.clone().replace(email, replacement, address, changed);
        let task = self.tasks.spawn(task)?;
        let changed = on_change.await.map_err(|_| TaskError::Panicked)?;
        let Credentials { email, epoch, .. } = changed?;
        // The task continues the search for other sessions when this request has waited long
        // enough.
        wait_for(task).await;
        // This session continues under a new id.
        Ok(session.log_in_at_epoch(email.as_str(), &[], epoch).await?)
    }

    /// Changes a password, sends the account as it is then, and ends the sessions from before.
    async fn replace(
        self,
        email: Email,
        replacement: Replacement,
        address: Option<IpAddr>,
        changed: oneshot::Sender<Result<Credentials, LoginError>>,
    ) -> Option<usize> {
        let account = self.store(email, replacement, address).await;
        let older = account.as_ref().ok().map(|now| (now.email.canonical(), now.epoch));
        // Nobody waits for it if the client hung up.
        drop(changed.send(account));
        let (account, epoch) = older?;
        // People who know the old password may have a session. Our services refuse older sessions
        // with an epoch by themselves.
        revoke(self.account_sessions, account, Revoked::BeforeEpoch(epoch)).await
    }

    async fn store(
        &self,
        email: Email,
        Replacement { current, new }: Replacement,
        address: Option<IpAddr>,
    ) -> Result<Credentials, LoginError> {
        let account = self.login.clone().check_password(email, current, address).await?;
        let new = self.passwords.turn().await?.hash(new).await?;
        let Credentials { id, password, .. } = &account;
        let changed = self.users.change_password(*id, Some(password), &new).await?;
        // The password was changed in the meantime, so `current` is not the current one any more.
        let epoch = changed.ok_or(LoginError::WrongPassword)?;
        Ok(Credentials { epoch, ..account })
    }
}
