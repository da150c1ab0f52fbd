//! An account as the user of the command line names it.

use std::str::FromStr;

use anyhow::{Context, anyhow};

use crate::domain::{Email, UserId};
use crate::storage::{self, Users, is_there};

/// The id of an account, or its address.
#[derive(Clone, Debug)]
pub(super) enum AccountArgument {
    Id(UserId),
    Email(Email),
}

impl AccountArgument {
    /// Returns whether it names this account.
    pub(super) fn is(&self, id: UserId, email: &Email) -> bool {
        match self {
            Self::Id(own) => *own == id,
            Self::Email(own) => own.is_of_same_account(email),
        }
    }

    /// Returns the account from the store.
    ///
    /// # Errors
    ///
    /// If there is no such account, or it or the store cannot be read.
    pub(super) async fn find(&self, users: &dyn Users) -> anyhow::Result<storage::Credentials> {
        let found = match self {
            Self::Id(id) => users.credentials(*id).await,
            Self::Email(email) => users.credentials_by_email(email).await,
        };
        found.context("cannot read the account")?.ok_or_else(|| self.nobody())
    }

    /// Returns the id of the account. The rest of the record need not be readable.
    ///
    /// # Errors
    ///
    /// If there is no such account, or the store cannot be read.
    pub(super) async fn find_id(&self, users: &dyn Users) -> anyhow::Result<UserId> {
        let Self::Id(id) = self else { return Ok(self.find(users).await?.id) };
        let found = is_there(users.credentials(*id).await).context("cannot read the account")?;
        if found { Ok(*id) } else { Err(self.nobody()) }
    }

    fn nobody(&self) -> anyhow::Error {
        match self {
            Self::Id(id) => anyhow!("there is no user {id}"),
            Self::Email(_) => anyhow!("there is no user with this e-mail address"),
        }
    }
}

impl FromStr for AccountArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.contains('@') {
            true => text.parse().map(Self::Email).map_err(|rule| format!("an address {rule}")),
            false => text.parse().map(Self::Id).map_err(|rule| format!("an id {rule}")),
        }
    }
}
