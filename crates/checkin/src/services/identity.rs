//! The response to a request without a login.

use axum::http::StatusCode;

use crate::http::Problem;
use crate::usecases::accounts::AccountError;

/// Returns 401 with the text of the contract.
pub(super) fn authentication_required() -> Problem {
    Problem::text(StatusCode::UNAUTHORIZED, "Authentication required.")
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotLoggedIn => authentication_required(),
            AccountError::Storage(error) => error.into(),
            AccountError::Session(error) => error.into(),
        }
    }
}
