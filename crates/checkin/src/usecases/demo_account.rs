//! The demo account, whose password everybody knows, and its sessions as the store has them. Visitors share it, so
//! none of them may take it from the others, or see where they are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tower_express_session::store::{AccountStore, Freshness};
use tower_express_session::{Error, Secrets};

use crate::demo;
use crate::domain::{Email, PasswordHash, UserId};
use crate::passwords::{Busy, Passwords, Verified};
use crate::storage::{Credentials, Role, SecondFactors, StorageError, Users};

/// The number of characters of a session's id that are shown.
const SHOWN: usize = 4;

/// The demo account. A store may have none, or one that is not open to everybody any more.
pub(crate) struct DemoAccount {
    users: Arc<dyn Users>,
    second_factors: Arc<dyn SecondFactors>,
    passwords: Passwords,
    sessions: Arc<dyn AccountStore>,
    secrets: Secrets,
    /// What stands before the id of a session in the store.
    key_prefix: String,
    /// The hash that was compared last, and whether the password matched. It is locked for a copy only.
    compared: Mutex<Option<(PasswordHash, bool)>>,
}

/// Returns whether everybody can log in to the demo account, and is an operator then.
///
/// # Errors
///
/// If the store cannot be read.
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
pub(crate) async fn is_open_operator<S: Users + SecondFactors + ?Sized>(
    store: &S,
) -> Result<bool, StorageError> {
    let account = account_without_second_factor(store, store).await?;
    let operator = account.filter(|account| account.standing.role == Role::Operator);
    let Some(operator) = operator else { return Ok(false) };
    Ok(is_demo_password(&Passwords::new(), operator.password).await.unwrap_or(false))
}

/// Returns the demo account, if it is active and has no second factor.
async fn account_without_second_factor<U: Users + ?Sized, F: SecondFactors + ?Sized>(
    users: &U,
    second_factors: &F,
) -> Result<Option<Credentials>, StorageError> {
    let account = users.credentials_by_email(&address()).await?;
    let Some(account) = account.filter(|account| account.standing.is_active()) else {
        return Ok(None);
    };
    let factor = second_factors.second_factor(account.id).await?;
    Ok(factor.is_none().then_some(account))
}

async fn is_demo_password(passwords: &Passwords, hash: PasswordHash) -> Result<bool, Busy> {
    let verified = passwords.turn().await?.verify(demo::PASSWORD.to_owned(), Some(hash)).await?;
    Ok(verified != Verified::No)
}

/// A session as the store has it.
pub(crate) struct StoredSession {
    /// Its key, with the first characters of its id.
    pub(crate) key: String,
    /// Its value and the rest of its time to live; `None` if there is no such session.
    pub(crate) value: Option<(String, Duration)>,
}

fn address() -> Email {
    demo::LOGIN.parse().expect("the address of the demo is one")
}

impl StoredSession {
    /// Returns whether it is, or was, a session of this account. One that is gone belongs to nobody.
    pub(crate) fn is_of(&self, email: &str) -> bool {
        let user = |text: &str| serde_json::from_str::<Value>(text).ok()?.get("user").cloned();
        self.value.as_ref().is_none_or(|(text, _)| user(text).is_some_and(|user| user == email))
    }
}

impl DemoAccount {
    pub(crate) fn new(
        users: Arc<dyn Users>,
        second_factors: Arc<dyn SecondFactors>,
        (sessions, secrets): (Arc<dyn AccountStore>, Secrets),
        key_prefix: String,
    ) -> Self {
        let passwords = Passwords::new();
        let compared = Mutex::default();
        Self { users, second_factors, passwords, sessions, secrets, key_prefix, compared }
    }

    /// Returns the id of the account, if everybody can log in to it and may: it is active, its password is that of
    /// the demo data, it has no second factor, and it is no operator's.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub(crate) async fn id(&self) -> Result<Option<UserId>, StorageError> {
        let account = account_without_second_factor(&*self.users, &*self.second_factors).await?;
        let Some(account) = account else { return Ok(None) };
        let is_open =
            account.standing.role == Role::User && self.has_password(account.password).await;
        Ok(is_open.then_some(account.id))
    }

    /// Returns whether this is the demo account, and open to everybody, as [`id`](Self::id) says.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub(crate) async fn is(&self, account: &Credentials) -> Result<bool, StorageError> {
        let is_demo = account.email.is_of_same_account(&address());
        Ok(is_demo && self.id().await? == Some(account.id))
    }

    /// Compares the password once for each hash.
    async fn has_password(&self, hash: PasswordHash) -> bool {
        let compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, matched)) = compared.filter(|(known, _)| *known == hash) {
            return matched;
        }
        let Ok(matched) = is_demo_password(&self.passwords, hash.clone()).await else {
            return false;
        };
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some((hash, matched));
        matched
    }

    /// Returns the session that a signed cookie names, as the store has it; `None` if the cookie is forged.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub(crate) async fn stored_session(
        &self,
        cookie: &str,
    ) -> Result<Option<StoredSession>, Error> {
        let Some(id) = self.secrets.unsign(cookie) else { return Ok(None) };
        let stored = self.sessions.load(&id, Freshness::Latest).await?;
        let value = stored
            .map(|stored| (String::from_utf8_lossy(&stored.value).into_owned(), stored.time_left));
        let begin: String = id.as_str().chars().take(SHOWN).collect();
        Ok(Some(StoredSession { key: format!("{}{begin}…", self.key_prefix), value }))
    }
}
