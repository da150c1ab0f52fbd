//! The extractor of routes that need a login.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tower_express_session::Session;

use super::state::Auth;
use crate::http::Problem;
use crate::storage::Credentials;
use crate::usecases::accounts::account_of;

/// The session of a request, and the logged-in account.
pub(super) struct LoggedInAccount {
    pub(super) session: Session,
    pub(super) account: Credentials,
}

impl FromRequestParts<Auth> for LoggedInAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, auth).await?;
        let account = account_of(&session, &*auth.users).await?;
        Ok(Self { session, account })
    }
}
