//! The extractor of routes that need a login.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use tower_express_session::Session;

use super::state::Auth;
use crate::demo;
use crate::http::Problem;
use crate::passwords::normal;
use crate::storage::Credentials;
use crate::usecases::accounts::account_of;
use crate::usecases::demo_account::DemoAccount;

/// The session of a request, and the logged-in account.
pub(super) struct LoggedInAccount {
    pub(super) session: Session,
    pub(super) account: Credentials,
    /// Whether the visitors of the walk-through share the account. Only the port of the console offers one, so only
    /// its requests have the [`DemoAccount`] as an extension.
    pub(super) is_shared: bool,
}

impl LoggedInAccount {
    /// Refuses a change of what everybody who shares the account needs, if it is confirmed by the password that
    /// everybody knows. Another password is wrong, as for every account.
    ///
    /// # Errors
    ///
    /// If the account is shared.
    pub(super) fn expect_own(&self, password: &str) -> Result<(), Problem> {
        if self.is_shared && normal(password) == demo::PASSWORD {
            Err(refusal(
                "the demo account is shared by all visitors, so nobody may change or delete it here",
            ))
        } else {
            Ok(())
        }
    }

    /// Refuses to end sessions of others who share the account.
    ///
    /// # Errors
    ///
    /// If the account is shared, and `handle` is not that of the session that asks.
    pub(super) fn expect_own_session(&self, handle: Option<&str>) -> Result<(), Problem> {
        if self.is_shared && handle != Some(&self.session.id().handle()) {
            Err(refusal(
                "the demo account is shared by all visitors, so nobody may end the sessions of others here",
            ))
        } else {
            Ok(())
        }
    }
}

fn refusal(detail: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

impl FromRequestParts<Arc<Auth>> for LoggedInAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, auth: &Arc<Auth>) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, auth).await?;
        let account = account_of(&session, &*auth.users).await?;
        let is_shared = match parts.extensions.get::<Arc<DemoAccount>>() {
            Some(demo) => demo.is(&account).await?,
            None => false,
        };
        Ok(Self { session, account, is_shared })
    }
}
