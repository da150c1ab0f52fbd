//! Opens an account.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::security_log::SecurityLog;
use super::tasks::{TaskError, Tasks};
use crate::domain::{Email, User};
use crate::passwords::{Busy, Owner, PasswordPolicy, Passwords};
use crate::storage::{EventKind, NewUser, Privacy, Registered, StorageError, Users};

/// Opens accounts.
#[derive(Clone)]
pub(crate) struct Registration {
    users: Arc<dyn Users>,
    privacy: Arc<dyn Privacy>,
    /// How long an account is new.
    newcomer_time: Duration,
    passwords: Passwords,
    policy: PasswordPolicy,
    security: SecurityLog,
    tasks: Tasks,
}

/// The data of a new account.
#[derive(Debug)]
pub(crate) struct NewAccount {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: Email,
    /// The plain password.
    pub(crate) password: String,
}

/// Why a registration failed.
#[derive(Debug)]
pub(crate) enum RegistrationError {
    /// The e-mail address belongs to an existing account.
    EmailTaken,
    /// The password breaks this rule.
    Password(String),
    /// Too many passwords are hashed at once.
    Busy,
    /// The work panicked.
    Panicked,
    /// The store failed.
    Storage(StorageError),
}

impl Registration {
    pub(crate) fn new(
        users: Arc<dyn Users>,
        (privacy, newcomer_time): (Arc<dyn Privacy>, Duration),
        passwords: Passwords,
        policy: PasswordPolicy,
        security: SecurityLog,
        tasks: Tasks,
    ) -> Self {
        Self { users, privacy, newcomer_time, passwords, policy, security, tasks }
    }

    /// Opens an account. It does not log in. `address` is the network that the request came from.
    ///
    /// # Cancel safety
    ///
    /// The account may be opened even if the future is dropped.
    pub(crate) async fn open(
        &self,
        new: NewAccount,
        address: Option<IpAddr>,
    ) -> Result<User, RegistrationError> {
        let NewAccount { first_name, last_name, email, password } = &new;
        let owner = Owner { first_name, last_name, email };
        self.policy.check(password, owner).map_err(RegistrationError::Password)?;
        match self.tasks.run(self.clone().store(new, address)).await? {
            Registered::Opened(user) => Ok(user),
            Registered::EmailTaken => Err(RegistrationError::EmailTaken),
        }
    }

    async fn store(
        self,
        new: NewAccount,
        address: Option<IpAddr>,
    ) -> Result<Registered, RegistrationError> {
        let NewAccount { first_name, last_name, email, password } = new;
        let password = self.passwords.turn().await?.hash(password).await?;
        let new = NewUser { first_name, last_name, email, password };
        let registered = self.users.register(new).await?;
        if let Registered::Opened(User { id, .. }) = &registered {
            if !self.newcomer_time.is_zero() {
                self.privacy.mark_new(*id, self.newcomer_time).await?;
            }
            self.security.record(EventKind::AccountOpened, Some(*id), address, None).await;
        }
        Ok(registered)
    }
}

impl From<Busy> for RegistrationError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<TaskError> for RegistrationError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::TooMany => Self::Busy,
            TaskError::Panicked => Self::Panicked,
        }
    }
}

impl From<StorageError> for RegistrationError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
