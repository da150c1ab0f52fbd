//! The accounts of users.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Email, Name, PasswordHash, User, UserId};

/// The accounts of users.
///
/// # Contract
///
/// - Ids and e-mail addresses (compared in their canonical form) are unique at all times, even if
///   several processes write at the same time.
/// - A read sees every write that was completed before it.
#[async_trait]
pub trait Users: Send + Sync {
    /// Returns the account with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// Returns the account with this id and its standing, which may be that of a moment later.
    async fn user_with_standing(&self, id: UserId) -> Result<Option<(User, Standing)>>;

    /// Returns the account with this address.
    async fn user_by_email(&self, email: &Email) -> Result<Option<User>>;

    /// Creates an account with the next free id.
    async fn register(&self, new: NewUser) -> Result<Registered>;

    /// Returns the name of the user with this id. Reads nothing else.
    async fn name(&self, id: UserId) -> Result<Option<Name>>;

    /// Returns the part of the account with this id that a login needs.
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>>;

    /// Returns the part of the account with this address that a login needs.
    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>>;

    /// Returns the standing of an account. That of an account that does not exist is the default.
    async fn standing(&self, id: UserId) -> Result<Standing>;

    /// Increases the account's epoch, and keeps no session but `kept`, in one step. Returns the new
    /// epoch, or `None` if there is no such account or it no longer [admits](Standing::admits) `kept`.
    async fn raise_epoch(&self, id: UserId, kept: Option<&KeptSession>) -> Result<Option<u64>>;

    /// Replaces a password, increases the account's epoch and keeps no session, in one step. Returns
    /// the new epoch, or `None` if there is no such account or its password is no longer `expected`.
    /// Without `expected`, any password is replaced.
    async fn change_password(
        &self,
        id: UserId,
        expected: Option<&PasswordHash>,
        new: &PasswordHash,
    ) -> Result<Option<u64>>;

    /// Replaces the hash of a password by another hash of the same password, if it is still
    /// `expected`. The epoch does not change. Returns false if the hash is another one, or if there is
    /// no such account.
    async fn renew_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// Returns the accounts with ids above `after`, in order of their ids, at most `limit`.
    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>>;
}

/// The part of an account that a login needs, read in one step. It can be read even if the rest of
/// the account cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The id of the account.
    pub id: UserId,
    /// The address that the person logs in with.
    pub email: Email,
    /// The hash of the password.
    pub password: PasswordHash,
    /// The sessions of the account that are valid.
    pub standing: Standing,
}

/// The sessions of an account that are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The epoch, which increases whenever sessions of the account are ended. Sessions of an earlier
    /// epoch have ended.
    pub epoch: u64,
    /// The handle of the session that ended the others, and is valid although it has an earlier epoch.
    pub kept: Option<String>,
}

impl Standing {
    /// Returns whether a session with this epoch and this handle is valid. A session of an Express
    /// service has no epoch, and is valid until it is found and ended.
    #[must_use]
    pub fn admits(&self, epoch: Option<u64>, handle: impl FnOnce() -> String) -> bool {
        epoch.is_none_or(|epoch| epoch >= self.epoch)
            || self.kept.as_ref().is_some_and(|kept| *kept == handle())
    }
}

/// The session that ends the others of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSession {
    /// The handle of the session.
    pub handle: String,
    /// The epoch of the session, if it has one.
    pub epoch: Option<u64>,
}

/// An account to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// The address that the person logs in with.
    pub email: Email,
    /// The hash of the password.
    pub password: PasswordHash,
}

/// The result of [`Users::register`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The account, with its id.
    Opened(User),
    /// Another account has this address.
    EmailTaken,
}
