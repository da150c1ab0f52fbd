//! A change for which a logged-in session gives its password again.

use tower_express_session::Session;

use super::accounts::{AccountError, account_of};
use super::login::{Login, LoginError};

impl Login {
    /// Makes a change that a session asked for. If what it gave for it is wrong, this takes the time of a
    /// [failed login](Self::in_failure_time). Another request may have ended the session meanwhile: it has
    /// deleted the account, or changed its password. Then nothing is wrong with what this one gave.
    ///
    /// # Errors
    ///
    /// Those of the change, and [`LoginError::NotLoggedIn`] if the session has ended.
    ///
    /// # Cancel safety
    ///
    /// As that of the change.
    pub(super) async fn in_session<T>(
        &self,
        session: &Session,
        change: impl Future<Output = Result<T, LoginError>>,
    ) -> Result<T, LoginError> {
        let result = self.in_failure_time(change).await;
        if let Err(
            LoginError::WrongPassword(_) | LoginError::WrongSecondFactor | LoginError::WrongPasskey,
        ) = result
        {
            account_of(session, &*self.users).await?;
        }
        result
    }
}

impl From<AccountError> for LoginError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotLoggedIn => Self::NotLoggedIn,
            AccountError::Storage(error) => Self::Storage(error),
            AccountError::Session(error) => Self::Session(error),
        }
    }
}
