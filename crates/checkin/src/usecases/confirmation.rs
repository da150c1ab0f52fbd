//! The confirmation of the address of a new account, by a token that is sent to it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::second_factors::Factors;
use crate::domain::{Email, PasswordHash};
use crate::mail::Mailer;
use crate::storage::{Attempt, Attempts, Budget, NewUser, PendingName, StorageError, Users};

/// The kind of these pending steps.
const KIND: &str = "registration";

/// How long a token is valid.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps new accounts until their owners confirm them.
#[derive(Clone)]
pub(crate) struct Confirmation {
    pub(crate) mailer: Mailer,
    pub(crate) pending: Factors,
    pub(crate) users: Arc<dyn Users>,
    pub(crate) attempts: Arc<dyn Attempts>,
}

/// A new account that waits for its owner.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PendingAccount {
    first_name: String,
    last_name: String,
    email: String,
    /// The hash of the password.
    password: String,
}

impl Confirmation {
    /// Sends a token to the address of a new account. If the address has an active account, its owner is told
    /// so instead.
    pub(crate) async fn ask(&self, new: NewUser) -> Result<(), StorageError> {
        let Some(_place) = self.mailer.place() else { return Ok(()) };
        let budget = Budget::of_registration_messages(&new.email);
        let Attempt::Taken(_) = self.attempts.take_attempt(&budget).await? else { return Ok(()) };
        let (to, text) = match self.users.credentials_by_email(&new.email).await? {
            Some(account) if !account.standing.is_active() => return Ok(()),
            // To the address of the account, which may be written in another way than the given one.
            Some(account) => (account.email, OF_EXISTING.to_owned()),
            None => {
                let to = new.email.clone();
                let token = self.pending.keep_for(KIND, &PendingAccount::from(new), LIFE).await?;
                (to, of_new(&self.mailer.link(&["register", "confirm"], &token)))
            }
        };
        if let Err(error) = self.mailer.send(&to, SUBJECT, &text).await {
            tracing::warn!(%error, "cannot send a message about a registration");
        }
        Ok(())
    }

    /// Returns the account of a token, and the name under which it is kept.
    pub(crate) async fn find(
        &self,
        token: &str,
    ) -> Result<Option<(PendingName, NewUser)>, StorageError> {
        let name = self.pending.name(KIND, token).await?;
        let pending: Option<PendingAccount> = self.pending.kept(&name).await?;
        Ok(pending.and_then(PendingAccount::account).map(|account| (name, account)))
    }
}

impl From<NewUser> for PendingAccount {
    fn from(NewUser { first_name, last_name, email, password }: NewUser) -> Self {
        let (email, password) = (email.as_str().to_owned(), password.as_str().to_owned());
        Self { first_name, last_name, email, password }
    }
}

impl PendingAccount {
    fn account(self) -> Option<NewUser> {
        let Self { first_name, last_name, email, password } = self;
        let (email, password) = (Email::known(&email).ok()?, PasswordHash::stored(password));
        Some(NewUser { first_name, last_name, email, password })
    }
}

const SUBJECT: &str = "Your registration";

const OF_EXISTING: &str = "Somebody tried to open an account with this address, which has one already. If it \
     was you, log in, or ask for a new password if you have forgotten yours. If it was not you, ignore this \
     message: nothing has changed.\n";

fn of_new(link: &str) -> String {
    format!(
        "Somebody wants to open an account with this address. If it was you, confirm it within a \
         day, with the password that you chose:\n\n{link}\n\nThe link works once. If it was not you, ignore \
         this message: no account is opened.\n"
    )
}
