//! Changes the password of an account, and ends the account's other sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tower_express_session::{AccountSessions, Session};

use super::guesses::Caller;
use super::login::{Login, LoginError};
use super::security_log::SecurityLog;
use super::tasks::{TaskError, Tasks};
use crate::domain::Email;
use crate::passwords::{Owner, PasswordPolicy, Passwords};
use crate::storage::{Budget, Credentials, EventKind, Users};

/// The maximum time that a change of the password waits until the account's sessions have ended. Those
/// in the index are the first. Only sessions of Express have to be searched among all others, and
/// our services refuse them already.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The maximum number of attempts of that search, with a pause after each: for longer than a store is
/// usually unavailable.
const MAX_ATTEMPTS: u32 = 300;
const PAUSE: Duration = Duration::from_secs(1);

/// Changes passwords.
#[derive(Clone)]
pub(crate) struct PasswordChange {
    login: Login,
    users: Arc<dyn Users>,
    account_sessions: AccountSessions,
    passwords: Passwords,
    policy: PasswordPolicy,
    security: SecurityLog,
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
        policy: PasswordPolicy,
        security: SecurityLog,
        tasks: Tasks,
    ) -> Self {
        Self { login, users, account_sessions, passwords, policy, security, tasks }
    }

    /// Replaces the password of the session's account, ends the account's other sessions, and gives
    /// this one a fresh id. `address` is the network that the request came from. Returns the cookie by
    /// which the device will be recognized.
    ///
    /// # Errors
    ///
    /// [`LoginError::NewPassword`] if the new password breaks a rule, and
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
    ) -> Result<Option<String>, LoginError> {
        self.login.in_failure_time(self.attempt(session, email, replacement, address)).await
    }

    async fn attempt(
        &self,
        session: &Session,
        email: Email,
        replacement: Replacement,
        address: Option<IpAddr>,
    ) -> Result<Option<String>, LoginError> {
        let (changed, on_change) = oneshot::channel();
        let own = Some(Budget::of_session(session.id().as_str()));
        let task = self.clone().replace(email, replacement, Caller { address, own }, changed);
        let task = self.tasks.spawn(task)?;
        let changed = on_change.await.map_err(|_| TaskError::Panicked)?;
        let Credentials { email, epoch, .. } = changed?;
        // The task continues the search for other sessions when this request has waited long
        // enough.
        if timeout(MAX_WAIT, task).await.is_err() {
            tracing::info!(
                "a password was changed; the search for the account's sessions continues"
            );
        }
        // This session continues under a new id.
        session.log_in_at_epoch(email.as_str(), &[], epoch).await?;
        Ok(self.login.device_cookie(&email, epoch))
    }

    /// Changes a password, sends the account as it is then, and ends the sessions from before.
    async fn replace(
        self,
        email: Email,
        replacement: Replacement,
        caller: Caller,
        changed: oneshot::Sender<Result<Credentials, LoginError>>,
    ) {
        let account = self.store(email, replacement, caller).await;
        let older = account.as_ref().ok().map(|now| (now.email.canonical(), now.epoch));
        // Nobody waits for it if the client hung up.
        drop(changed.send(account));
        if let Some((account, epoch)) = older {
            self.end_older_sessions(&account, epoch).await;
        }
    }

    async fn store(
        &self,
        email: Email,
        Replacement { current, new }: Replacement,
        caller: Caller,
    ) -> Result<Credentials, LoginError> {
        let address = caller.address;
        let account = self.login.clone().check_password(email, current, caller).await?;
        let Credentials { id, email, password, .. } = &account;
        let name = self.users.name(*id).await?;
        let (first_name, last_name) =
            name.as_ref().map_or(("", ""), |name| (name.first.as_str(), name.last.as_str()));
        let checked = self.policy.check(&new, Owner { first_name, last_name, email });
        checked.map_err(LoginError::NewPassword)?;
        let new = self.passwords.turn().await?.hash(new).await?;
        let changed = self.users.change_password(*id, Some(password), &new).await?;
        // The password was changed in the meantime, so `current` is not the current one any more.
        let epoch = changed.ok_or(LoginError::WrongPassword(None))?;
        self.security.record(EventKind::PasswordChanged, Some(*id), address, None).await;
        Ok(Credentials { epoch, ..account })
    }

    /// Ends the sessions from before `epoch`, because people who know the old password may have
    /// one. Our services refuse older sessions with an epoch by themselves.
    async fn end_older_sessions(&self, account: &str, epoch: u64) {
        for attempt in 1..=MAX_ATTEMPTS {
            let Err(error) = self.account_sessions.revoke_before(account, epoch).await else {
                return;
            };
            tracing::warn!(%error, attempt, "cannot end the sessions from before a new password");
            sleep(PAUSE).await;
        }
    }
}
