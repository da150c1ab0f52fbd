//! The extractor of routes for operators.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tower_express_session::Session;

use super::state::Operations;
use crate::domain::UserId;
use crate::http::Problem;
use crate::usecases::administration::operator_of;

/// The logged-in account, which is an operator.
pub(super) struct Operator {
    pub(super) id: UserId,
}

impl FromRequestParts<Arc<Operations>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        operations: &Arc<Operations>,
    ) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, operations).await?;
        let account = operator_of(&session, &*operations.users).await?;
        Ok(Self { id: account.id })
    }
}
