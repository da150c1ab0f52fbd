//! People's accounts.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Email, Name, PasswordHash, User, UserId};

/// People's accounts.
///
/// # Contract
///
/// - Ids and e-mail addresses (compared in their canonical form) are unique at all times, whoever
///   writes at the same time.
/// - A read sees every write that was answered before.
#[async_trait]
pub trait Users: Send + Sync {
    /// The account of this id.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The account of this address.
    async fn user_by_email(&self, email: &Email) -> Result<Option<User>>;

    /// Opens an account under the next free id.
    async fn register(&self, new: NewUser) -> Result<Registered>;

    /// What the user of this id is called. Reads nothing else of them.
    async fn name(&self, id: UserId) -> Result<Option<Name>>;

    /// What a login needs of the account of this id.
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>>;

    /// What a login needs of the account of this address.
    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>>;

    /// The epoch of an account.
    async fn epoch(&self, id: UserId) -> Result<u64>;

    /// Replaces a password, and raises the account's epoch in the same step. Returns the new epoch;
    /// `None` if there is no such account, or its password is not `expected` any more. Without
    /// `expected` any password is replaced.
    async fn change_password(
        &self,
        id: UserId,
        expected: Option<&PasswordHash>,
        new: &PasswordHash,
    ) -> Result<Option<u64>>;

    /// Replaces the hash of a password by another one of the same password, if it is still
    /// `expected`; the epoch stays. Returns false if it is not, or there is no such account.
    async fn renew_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// The accounts with ids above `after`, in order of their ids, at most `limit`.
    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>>;
}

/// What a login needs of an account, all of it of one moment. It can be read when the rest cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Whose it is.
    pub id: UserId,
    /// The address that the person logs in with.
    pub email: Email,
    /// The hash of the password.
    pub password: PasswordHash,
    /// How often its password was changed. A session that was opened in an earlier epoch is over.
    pub epoch: u64,
}

/// An account that is to be opened.
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

/// The answer to [`Users::register`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The account, with its id.
    Opened(User),
    /// Somebody has an account with this address.
    EmailTaken,
}
