//! The errors of the service as problems.

use axum::http::StatusCode;

use crate::http::Problem;
use crate::input::BrokenRule;
use crate::usecases::login::LoginError;
use crate::usecases::registration::RegistrationError;

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::WrongPassword(quota) => {
                Self::text(StatusCode::UNAUTHORIZED, "Invalid login.").limited_by(quota)
            }
            LoginError::NewPassword(rule) => broken("newPassword", rule),
            LoginError::TooManyFailures(quota) => Self::too_many(quota),
            LoginError::Busy => Self::busy(),
            LoginError::Panicked => Self::internal(),
            LoginError::Storage(error) => error.into(),
            LoginError::Session(error) => error.into(),
        }
    }
}

/// Returns the problem of a logged-in user who enters the current password.
pub(super) fn of_password_change(error: LoginError) -> Problem {
    match error {
        LoginError::WrongPassword(quota) => {
            broken("currentPassword", "must be the account's current password".to_owned())
                .limited_by(quota)
        }
        other => other.into(),
    }
}

fn broken(field: &str, rule: String) -> Problem {
    Problem::invalid(vec![BrokenRule { field: field.to_owned(), rule }])
}

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::EmailTaken => {
                let detail = "the e-mail address belongs to an existing account";
                Self::new(StatusCode::CONFLICT, detail)
                    .field("email", "must not belong to an existing account")
            }
            RegistrationError::Password(rule) => broken("password", rule),
            RegistrationError::Busy => Self::busy(),
            RegistrationError::Panicked => Self::internal(),
            RegistrationError::Storage(error) => error.into(),
        }
    }
}
