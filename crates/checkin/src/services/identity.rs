//! Whose session it is.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tower_express_session::{AccountStore, Accounts as AccountSessions, Session};

use crate::domain::{Email, UserId};
use crate::http::ApiError;
use crate::storage::UserRepository;

/// The attribute that says who is logged in: an e-mail address, all that an Express login stores.
pub(super) const USER: &str = "user";

/// So many addresses are remembered.
const MAX_ACCOUNTS: usize = 100_000;

/// An account that is deleted or renamed is forgotten after so long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Finds the account of a session, mostly without asking the store.
#[derive(Clone)]
pub struct Accounts {
    users: Arc<dyn UserRepository>,
    ids: Arc<Cache<String, (UserId, Instant)>>,
}

impl Accounts {
    /// Asks this repository for accounts that it does not remember.
    #[must_use]
    pub fn new(users: Arc<dyn UserRepository>) -> Self {
        Self { users, ids: Arc::new(Cache::new(MAX_ACCOUNTS)) }
    }

    /// The account that is logged in.
    ///
    /// # Errors
    ///
    /// [`ApiError::AuthenticationRequired`] when nobody is, or the account is gone;
    /// [`ApiError::StoreAway`].
    pub(super) async fn logged_in(&self, session: &Session) -> Result<UserId, ApiError> {
        let email = email_of(session)?;
        let address = email.canonical();
        if let Some((id, known_since)) = self.ids.get(&address)
            && known_since.elapsed() < REMEMBERED
        {
            return Ok(id);
        }
        let user = self.users.user_by_email(&email).await?;
        let id = user.ok_or(ApiError::AuthenticationRequired)?.id;
        self.ids.insert(address, (id, Instant::now()));
        Ok(id)
    }
}

/// The address in a session; whatever is not one, whoever wrote it, is no login.
pub(super) fn email_of(session: &Session) -> Result<Email, ApiError> {
    let text = session.get::<String>(USER).ok().flatten();
    text.and_then(|text| text.parse().ok()).ok_or(ApiError::AuthenticationRequired)
}

/// The sessions of each account in this store. An account is named by its address in the form to
/// compare by, whoever wrote it into a session.
#[must_use]
pub fn account_sessions(store: Arc<dyn AccountStore>) -> AccountSessions {
    AccountSessions::new(store, USER).named_by(|json| {
        let text: String = serde_json::from_str(json).ok()?;
        text.parse::<Email>().ok().map(|email| email.canonical())
    })
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("remembered", &self.ids.len()).finish()
    }
}
