//! The errors of the service as problems.

use axum::http::StatusCode;
use serde_json::{Map, json};

use crate::http::Problem;
use crate::input::BrokenRule;
use crate::second_factor::MAX_PASSKEYS;
use crate::usecases::accounts::AccountError;
use crate::usecases::login::LoginError;
use crate::usecases::registration::RegistrationError;
use crate::usecases::second_factors::Demand;

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::WrongPassword(quota) => {
                Self::text(StatusCode::UNAUTHORIZED, "Invalid login.").limited_by(quota)
            }
            LoginError::SecondFactorRequired(demand) => required(*demand),
            LoginError::WrongSecondFactor | LoginError::WrongPasskey => {
                Self::text(StatusCode::UNAUTHORIZED, "Invalid login.")
            }
            LoginError::NoPasskey => {
                Self::new(StatusCode::NOT_FOUND, "the account has no such passkey")
            }
            LoginError::TooManyPasskeys => {
                let detail = format!("the account must have less than {MAX_PASSKEYS} passkeys");
                Self::new(StatusCode::CONFLICT, detail)
            }
            LoginError::PasskeysOff => no_passkeys(),
            LoginError::NotBegun => {
                let rule = "must be that of an app whose setup began in this session within the last five minutes; \
                            begin again";
                broken("code", rule.to_owned())
            }
            LoginError::NoSecondFactor => {
                Self::new(StatusCode::BAD_REQUEST, "the account must have a second factor")
            }
            LoginError::WrongToken => wrong_token(),
            LoginError::NotLoggedIn => AccountError::NotLoggedIn.into(),
            LoginError::NewPassword(rule) => broken("newPassword", rule),
            LoginError::TooManyFailures(quota) => Self::too_many(quota),
            LoginError::Busy => Self::busy(),
            LoginError::Panicked => Self::internal(),
            LoginError::Storage(error) => error.into(),
            LoginError::Session(error) => error.into(),
        }
    }
}

/// Returns the problem of an account whose second factor is missing: at a login, or before a change of a
/// logged-in account.
fn required(Demand { pending_login, methods }: Demand) -> Problem {
    let (status, detail) = match pending_login {
        Some(_) => (
            StatusCode::UNAUTHORIZED,
            "the account has a second factor; give it within five minutes",
        ),
        None => {
            (StatusCode::FORBIDDEN, "the account has a second factor; give it with this change")
        }
    };
    let mut members = Map::new();
    members.extend(pending_login.map(|token| ("pendingLogin".to_owned(), token.into())));
    members.insert("methods".to_owned(), json!(methods));
    Problem::new(status, detail).of_type("second-factor-required", members)
}

/// Returns the problem of a logged-in user who enters the current password.
pub(super) fn of_change(error: LoginError) -> Problem {
    match error {
        LoginError::WrongPassword(quota) => {
            broken("currentPassword", "must be the account's current password".to_owned())
                .limited_by(quota)
        }
        LoginError::WrongSecondFactor => broken(
            "code",
            "must be a code of the account's second factor that was not used before".to_owned(),
        ),
        LoginError::WrongPasskey => broken(
            "passkey",
            "must be the answer of one passkey to the last challenge, within five minutes"
                .to_owned(),
        ),
        other => other.into(),
    }
}

/// Returns the problem of a route that needs passkeys.
fn no_passkeys() -> Problem {
    let detail = "passkeys must be configured: --public-url, with https:// and a domain name";
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// Returns the problem of a route that needs mail.
pub(super) fn no_mail() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "mail must be configured: --mail-url or --mail-command")
}

fn wrong_token() -> Problem {
    let rule = "must be the token of a message that is still valid and was not used before";
    broken("token", rule.to_owned())
}

pub(super) fn broken(field: &str, rule: String) -> Problem {
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
            RegistrationError::WrongToken => wrong_token(),
            RegistrationError::Password(rule) => broken("password", rule),
            RegistrationError::WrongPassword => broken(
                "password",
                "must be the password that you chose when you registered".to_owned(),
            ),
            RegistrationError::Busy => Self::busy(),
            RegistrationError::Panicked => Self::internal(),
            RegistrationError::Storage(error) => error.into(),
        }
    }
}
