//! Opens an account: at once, or when its owner has confirmed the address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::confirmation::Confirmation;
use super::security_log::SecurityLog;
use super::tasks::{TaskError, Tasks};
use crate::domain::{Email, User};
use crate::passwords::{Busy, Owner, PasswordPolicy, Passwords, QueuePlace, Verified};
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
    confirmation: Option<Confirmation>,
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
    /// The token of a message is wrong, used or over.
    WrongToken,
    /// The password is not the one of the registration.
    WrongPassword,
    /// Too many passwords are hashed, or too many tasks run.
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
        confirmation: Option<Confirmation>,
    ) -> Self {
        Self { users, privacy, newcomer_time, passwords, policy, security, tasks, confirmation }
    }

    /// Opens an account. It does not log in. `address` is the network that the request came from. If mail can
    /// be sent, it sends a message with a token instead and returns `None`, whether the address has an account
    /// or not: everything that depends on it happens in a task.
    ///
    /// # Cancel safety
    ///
    /// The account may be opened even if the future is dropped.
    pub(crate) async fn open(
        &self,
        new: NewAccount,
        address: Option<IpAddr>,
    ) -> Result<Option<User>, RegistrationError> {
        let NewAccount { first_name, last_name, email, password } = &new;
        let owner = Owner { first_name, last_name, email };
        self.policy.check(password, owner).map_err(RegistrationError::Password)?;
        let place = self.passwords.queue()?;
        let Some(confirmation) = &self.confirmation else {
            let this = self.clone();
            let task = async move { this.store(this.hashed(place, new).await?, address).await };
            return self.tasks.run(task).await.map(Some);
        };
        let (this, confirmation) = (self.clone(), confirmation.clone());
        let new = self.tasks.run(async move { this.hashed(place, new).await }).await?;
        self.tasks.spawn(async move {
            match confirmation.ask(new).await {
                Ok(()) => {}
                // The store logs an outage itself.
                Err(error) if error.is_logged() => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot prepare a message about a registration");
                }
            }
        })?;
        Ok(None)
    }

    /// Opens the account whose owner has this token of a message and knows the password of the registration. It does
    /// not log in. Without the password, somebody could register the address of another person, who only follows
    /// the link, and would then share the account with them.
    ///
    /// # Errors
    ///
    /// [`RegistrationError::WrongToken`] if the token is wrong, used or over, or too many passwords were wrong;
    /// [`RegistrationError::WrongPassword`], after which the token can be used again; and
    /// [`RegistrationError::EmailTaken`] if somebody else has opened an account with the address meanwhile.
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Self::open).
    pub(crate) async fn confirm(
        &self,
        token: String,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<User, RegistrationError> {
        let confirmation = self.confirmation.clone().ok_or(RegistrationError::WrongToken)?;
        let (this, place) = (self.clone(), self.passwords.queue()?);
        let task = async move {
            let new = this.confirmed(&confirmation, place, &token, password).await?;
            this.store(new, address).await
        };
        self.tasks.run(task).await
    }

    /// Returns the account of a token, which is used up, if the password is right.
    async fn confirmed(
        &self,
        confirmation: &Confirmation,
        place: QueuePlace,
        token: &str,
        password: String,
    ) -> Result<NewUser, RegistrationError> {
        let turn = place.turn().await?;
        let found = confirmation.find(token).await?;
        let (name, new) = found.ok_or(RegistrationError::WrongToken)?;
        let pending = &confirmation.pending;
        let Some(guess) = pending.guesses.take_pending(&name).await? else {
            pending.take(&name).await?;
            return Err(RegistrationError::WrongToken);
        };
        match turn.verify(password, Some(new.password.clone())).await {
            Ok(Verified::Yes | Verified::YesRehashed(_)) => {}
            Ok(Verified::No) => {
                if guess.quota().remaining == 0 {
                    pending.take(&name).await?;
                }
                return Err(RegistrationError::WrongPassword);
            }
            Err(busy) => {
                pending.guesses.give_back(guess).await;
                return Err(busy.into());
            }
        }
        // One account for each token.
        let is_first = pending.take(&name).await?;
        if is_first { Ok(new) } else { Err(RegistrationError::WrongToken) }
    }

    async fn hashed(
        &self,
        place: QueuePlace,
        new: NewAccount,
    ) -> Result<NewUser, RegistrationError> {
        let NewAccount { first_name, last_name, email, password } = new;
        let password = place.turn().await?.hash(password).await?;
        Ok(NewUser { first_name, last_name, email, password })
    }

    async fn store(
        &self,
        new: NewUser,
        address: Option<IpAddr>,
    ) -> Result<User, RegistrationError> {
        match self.users.register(new).await? {
            Registered::Opened(user) => {
                if !self.newcomer_time.is_zero() {
                    self.privacy.mark_new(user.id, self.newcomer_time).await?;
                }
                self.security.record(EventKind::AccountOpened, Some(user.id), address, None).await;
                Ok(user)
            }
            Registered::EmailTaken => Err(RegistrationError::EmailTaken),
        }
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
