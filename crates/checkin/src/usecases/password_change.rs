//! Changes the password of an account, and ends the account's other sessions.

use std::net::IpAddr;
use std::sync::Arc;

use tower_express_session::Session;

use super::accounts::{account_of, is_valid};
use super::guesses::Caller;
use super::login::{Login, LoginError};
use super::revocation::Revocation;
use super::security_log::SecurityLog;
use super::tasks::Tasks;
use crate::domain::{Email, PasswordHash};
use crate::passwords::{Owner, PasswordPolicy, Passwords};
use crate::second_factor::Proof;
use crate::storage::{Budget, Credentials, EventKind, Users};

/// The maximum number of epochs in which a password is tried to be changed.
const MAX_EPOCHS: usize = 5;

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

/// The current password of an account, the new one, and a proof.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) current: String,
    pub(crate) new: String,
    /// The proof of the second factor, if the account has one.
    pub(crate) proof: Option<Proof>,
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

    /// Replaces the password of the session's account, ends the account's other sessions, and gives
    /// this one a fresh id. `address` is the network that the request came from. Returns the cookie by
    /// which the device will be recognized.
    ///
    /// # Errors
    ///
    /// [`LoginError::NewPassword`] if the new password breaks a rule, and
    /// [`LoginError::WrongPassword`] if `current` is not the account's password.
    /// [`LoginError::SecondFactorRequired`] and [`LoginError::WrongSecondFactor`] if the account has a second
    /// factor. [`LoginError::NotLoggedIn`] instead of these if something has ended the session meanwhile,
    /// such as another change of the password.
    ///
    /// # Cancel safety
    ///
    /// The change continues.
    pub(crate) async fn change(
        &self,
        session: &Session,
        email: Email,
        replacement: Replacement,
        address: Option<IpAddr>,
    ) -> Result<Option<String>, LoginError> {
        let attempt = self.attempt(session, email, replacement, address);
        self.login.in_session(session, attempt).await
    }

    async fn attempt(
        &self,
        session: &Session,
        email: Email,
        replacement: Replacement,
        address: Option<IpAddr>,
    ) -> Result<Option<String>, LoginError> {
        let own = Some(Budget::of_session(session.id().as_str()));
        let caller = Caller { address, own };
        let task = self.clone().replace(session.clone(), email, replacement, caller);
        let (email, epoch) = self.tasks.run(task).await?;
        // This session continues under a new id.
        session.log_in_at_epoch(email.as_str(), &[], epoch).await?;
        Ok(self.login.device_cookie(&email, epoch))
    }

    /// Changes a password and ends the sessions from before, because people who know the old password
    /// may have one. Returns the address of the account and its new epoch.
    async fn replace(
        self,
        session: Session,
        email: Email,
        Replacement { current, new, proof }: Replacement,
        caller: Caller,
    ) -> Result<(Email, u64), LoginError> {
        let address = caller.address;
        let account = self.login.clone().check_password(email, current, caller).await?;
        if !is_valid(&session, &account.standing) {
            return Err(LoginError::NotLoggedIn);
        }
        let Credentials { id, email, .. } = &account;
        let name = self.users.name(*id).await?;
        let (first_name, last_name) =
            name.as_ref().map_or(("", ""), |name| (name.first.as_str(), name.last.as_str()));
        let checked = self.policy.check(&new, Owner { first_name, last_name, email });
        checked.map_err(LoginError::NewPassword)?;
        // A code is right once, so it is verified after everything that may be wrong.
        self.login.factors.demand(&account, proof.as_ref(), address).await?;
        let new = self.passwords.turn().await?.hash(new).await?;
        let epoch = self.store(&session, &account, &new).await?;
        self.security.record(EventKind::PasswordChanged, Some(*id), address, None).await;
        Ok((account.email, epoch))
    }

    /// Stores a new password in place of the one of `account` that was checked, and returns the new epoch. A
    /// session that was ended meanwhile must not continue under a new id. But the same session may have ended
    /// all others meanwhile, which raises the epoch, too.
    async fn store(
        &self,
        session: &Session,
        account: &Credentials,
        new: &PasswordHash,
    ) -> Result<u64, LoginError> {
        let Credentials { id, email, password, .. } = account;
        let mut epoch = account.standing.epoch;
        for _ in 0..MAX_EPOCHS {
            let change = self.users.change_password(*id, Some(epoch), new);
            if let Some(raised) = self.revocation.end(*id, email, None, change).await? {
                return Ok(raised.epoch);
            }
            let now = account_of(session, &*self.users).await?;
            if now.password != *password {
                break;
            }
            epoch = now.standing.epoch;
        }
        Err(LoginError::NotLoggedIn)
    }
}
