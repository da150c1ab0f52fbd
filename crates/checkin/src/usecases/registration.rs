//! Opens an account.

use std::sync::Arc;

use super::tasks::{TaskError, Tasks};
use crate::domain::{Email, User};
use crate::passwords::{Busy, Passwords};
use crate::storage::{NewUser, Registered, StorageError, Users};

/// Opens accounts.
#[derive(Clone)]
pub(crate) struct Registration {
    users: Arc<dyn Users>,
    passwords: Passwords,
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
    /// Too many passwords are hashed at once.
    Busy,
    /// The work panicked.
    Panicked,
    /// The store failed.
    Storage(StorageError),
}

impl Registration {
    pub(crate) fn new(users: Arc<dyn Users>, passwords: Passwords, tasks: Tasks) -> Self {
        Self { users, passwords, tasks }
    }

    /// Opens an account. It does not log in.
    ///
    /// # Cancel safety
    ///
    /// The account may be opened even if the future is dropped.
    pub(crate) async fn open(&self, new: NewAccount) -> Result<User, RegistrationError> {
        match self.tasks.run(self.clone().store(new)).await? {
            Registered::Opened(user) => Ok(user),
            Registered::EmailTaken => Err(RegistrationError::EmailTaken),
        }
    }

    async fn store(self, new: NewAccount) -> Result<Registered, RegistrationError> {
        let NewAccount { first_name, last_name, email, password } = new;
        let password = self.passwords.turn().await?.hash(password).await?;
        Ok(self.users.register(NewUser { first_name, last_name, email, password }).await?)
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
