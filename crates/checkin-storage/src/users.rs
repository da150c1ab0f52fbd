//! The accounts of users.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::{AccountChange, Admitted, NewEpoch, Result, Standing};
use checkin_domain::{Email, Name, PasswordHash, User, UserId};

/// The accounts of users.
///
/// # Contract
///
/// - Ids and e-mail addresses (compared in their canonical form) are unique at all times, even if
///   several processes write at the same time. An account is found by each of its address's
///   [`index_keys`](Email::index_keys), the first of them first: earlier versions compared other forms.
/// - A read sees every write that was completed before it.
/// - The epoch of a new account is at least that of each account that was [erased](Users::erase) before, so
///   that no session from before is valid for another account with the same address.
/// - What asks for a change (`by`) must still be [valid](Standing::still_admits) in the step that makes the
///   change. Otherwise nothing changes, and the result is `None`. Without it, an administrator asks.
/// - What increases an epoch makes a search for the sessions from before due, as [`Searches`](crate::Searches) says.
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

    /// Returns the names of these users, which may repeat, without those that do not exist or cannot be read.
    async fn names(&self, ids: &[UserId]) -> Result<HashMap<UserId, Name>>;

    /// Returns the part of the account with this id that a login needs.
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>>;

    /// Returns the part of the account with this address that a login needs.
    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>>;

    /// Returns the standing of an account. That of an account that does not exist is the default.
    async fn standing(&self, id: UserId) -> Result<Standing>;

    /// Increases the account's epoch, and keeps no session but the one that asks, in one step. Returns the new
    /// epoch, or `None` if there is no such account.
    async fn raise_epoch(&self, id: UserId, by: Option<&Admitted>) -> Result<Option<NewEpoch>>;

    /// Replaces a password, increases the account's epoch and keeps no session, in one step. Returns
    /// the new epoch, or `None` if there is no such account, or it is deleted.
    async fn change_password(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        new: &PasswordHash,
    ) -> Result<Option<NewEpoch>>;

    /// Replaces the hash of a password by another hash of the same password, if it is still
    /// `expected`. The epoch does not change. Returns false if the hash is another one, or if there is
    /// no such account, or it is not active.
    async fn renew_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// Changes the status or the role of an account, increases its epoch and keeps no session, in one step.
    /// Returns the new epoch, or `None` if nothing changes: there is no such account, it is deleted, or it is
    /// already as it should be.
    async fn change_account(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        change: AccountChange,
    ) -> Result<Option<NewEpoch>>;

    /// Erases the personal data of an account that is deleted, and frees its address. Its id and
    /// its epoch remain, under the name of [`NewUser::erased`], with the figures and check-ins that
    /// [`Retractions::retract_all`](crate::Retractions::retract_all) did not take along. Returns false if the
    /// account is not deleted. An erased account can be erased again.
    async fn erase(&self, id: UserId) -> Result<bool>;

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
    /// Its standing.
    pub standing: Standing,
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

impl NewUser {
    /// Returns what remains of an account whose personal data were erased. No password matches its hash, and
    /// nobody can give its address.
    #[must_use]
    pub fn erased(id: UserId) -> Self {
        Self {
            first_name: "Deleted".to_owned(),
            last_name: "user".to_owned(),
            email: Email::of_deleted(id),
            password: PasswordHash::stored("!"),
        }
    }
}

/// The result of [`Users::register`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The account, with its id.
    Opened(User),
    /// Another account has this address.
    EmailTaken,
}
