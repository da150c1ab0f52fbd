//! The extractor of routes that need a login.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tower_express_session::Session;

use super::state::Auth;
use crate::domain::Email;
use crate::http::Problem;
use crate::usecases::accounts::account_of;

/// The session of a request, and the e-mail address of the logged-in account.
pub(super) struct LoggedInAccount {
    pub(super) session: Session,
    pub(super) email: Email,
}

impl FromRequestParts<Auth> for LoggedInAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, auth).await?;
        let email = account_of(&session, &*auth.users).await?.email;
        Ok(Self { session, email })
    }
}
