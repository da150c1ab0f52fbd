//! An account as somebody at the terminal names it.

use std::str::FromStr;

use anyhow::{Context, bail};

use crate::domain::{Email, User, UserId};
use crate::storage::UserRepository;

/// The id of an account, or its address.
#[derive(Clone, Debug)]
pub(super) enum Account {
    Id(UserId),
    Email(Email),
}

impl Account {
    /// Whether it is this one.
    pub(super) fn is(&self, id: UserId, email: &Email) -> bool {
        match self {
            Self::Id(own) => *own == id,
            Self::Email(own) => own.canonical() == email.canonical(),
        }
    }

    /// The account in the store.
    ///
    /// # Errors
    ///
    /// When there is none, or the store does not answer.
    pub(super) async fn find(&self, users: &dyn UserRepository) -> anyhow::Result<User> {
        let found = match self {
            Self::Id(id) => users.user(*id).await,
            Self::Email(email) => users.user_by_email(email).await,
        };
        match (found.context("cannot read the account")?, self) {
            (Some(user), _) => Ok(user),
            (None, Self::Id(id)) => bail!("there is no user {id}"),
            (None, Self::Email(_)) => bail!("there is no user with this e-mail address"),
        }
    }
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.contains('@') {
            true => text.parse().map(Self::Email).map_err(|rule| format!("an address {rule}")),
            false => text.parse().map(Self::Id).map_err(|rule| format!("an id {rule}")),
        }
    }
}
