//! The extractor of routes that need a login.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use tower_express_session::Session;

use super::state::Api;
use crate::domain::UserId;
use crate::http::Problem;

/// The logged-in user, with the session.
pub(super) struct Visitor {
    pub(super) id: UserId,
    pub(super) session: Session,
}

impl FromRequestParts<Arc<Api>> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, api).await?;
        let id = api.accounts.logged_in(&session).await?;
        Ok(Self { id, session })
    }
}

/// A logged-in user who looks up something about others, which new accounts may do a limited number of times.
pub(super) struct Onlooker(pub(super) Visitor);

impl FromRequestParts<Arc<Api>> for Onlooker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, api).await?;
        api.newcomers.admit(visitor.id).await?;
        Ok(Self(visitor))
    }
}

impl Visitor {
    /// Returns the id if it is the visitor's own id.
    pub(super) fn is(&self, id: UserId) -> Result<UserId, Problem> {
        let not_their_own = || Problem::new(StatusCode::FORBIDDEN, "only the user may see this");
        if self.id == id { Ok(id) } else { Err(not_their_own()) }
    }
}
