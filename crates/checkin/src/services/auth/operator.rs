//! What an operator does to other accounts.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::logged_in::LoggedInAccount;
use super::sessions::{Ended, Sessions};
use super::state::Auth;
use crate::domain::UserId;
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::http::{ClientIp, PathParameters, Problem, ProblemDetails};
use crate::input::parameters;
use crate::storage::{Role, Status};
use crate::usecases::administration::{Acting, AdministrationError};

parameters! {
    pub(super) struct AccountPath(()) {
        /// The id of the account
        id "id" in Path: UserId;
    }
}

/// The logged-in account, which is an operator.
pub(super) struct Operator {
    id: UserId,
    handle: String,
    /// The network that the request came from, if it is known.
    address: Option<IpAddr>,
}

impl FromRequestParts<Auth> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Problem> {
        let LoggedInAccount { session, account } =
            LoggedInAccount::from_request_parts(parts, auth).await?;
        match account.standing.role {
            Role::Operator => {
                let ClientIp(address) = ClientIp::of(parts);
                Ok(Self { id: account.id, handle: session.id().handle(), address })
            }
            Role::User => {
                Err(Problem::new(StatusCode::FORBIDDEN, "the account must be an operator's"))
            }
        }
    }
}

/// Lists the sessions of an account, for an operator.
#[utoipa::path(
    get, operation_id = "listSessionsOfAccount", path = "/accounts/{id}/sessions", tag = "operators",
    security(("session" = [])), params(AccountPath),
    responses((status = 200, body = Sessions), LoginNeeded, Forbidden, Missing, Problems),
)]
pub(super) async fn list_sessions(
    State(auth): State<Auth>,
    operator: Operator,
    PathParameters(of): PathParameters<AccountPath>,
) -> Result<Json<Sessions>, Problem> {
    let sessions = auth.administration.sessions(of.id).await?;
    Ok(Json(Sessions::new(sessions, &operator.handle)))
}

/// Ends all sessions of an account, for an operator.
#[utoipa::path(
    delete, operation_id = "endSessionsOfAccount", path = "/accounts/{id}/sessions", tag = "operators",
    security(("session" = [])), params(AccountPath),
    responses((status = 200, body = Ended), LoginNeeded, Forbidden, Missing, Problems),
)]
pub(super) async fn end_sessions(
    State(auth): State<Auth>,
    operator: Operator,
    PathParameters(of): PathParameters<AccountPath>,
) -> Result<Json<Ended>, Problem> {
    let ended = auth.administration.end_sessions(operator.acting(), of.id).await?;
    Ok(Json(Ended { ended }))
}

/// Disables an account and ends its sessions, for an operator.
#[utoipa::path(
    post, operation_id = "disableAccount", path = "/accounts/{id}/disable", tag = "operators",
    security(("session" = [])), params(AccountPath),
    responses(
        (status = 204, description = "The account is disabled"),
        (
            status = 409, description = "It is the operator's own account",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        LoginNeeded, Forbidden, Missing, Problems,
    ),
)]
pub(super) async fn disable(
    State(auth): State<Auth>,
    operator: Operator,
    PathParameters(of): PathParameters<AccountPath>,
) -> Result<StatusCode, Problem> {
    let acting = operator.acting();
    auth.administration.set_status(acting, of.id, Status::Disabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enables an account that was disabled, for an operator.
#[utoipa::path(
    post, operation_id = "enableAccount", path = "/accounts/{id}/enable", tag = "operators",
    security(("session" = [])), params(AccountPath),
    responses(
        (status = 204, description = "The account is enabled"),
        LoginNeeded, Forbidden, Missing, Problems,
    ),
)]
pub(super) async fn enable(
    State(auth): State<Auth>,
    operator: Operator,
    PathParameters(of): PathParameters<AccountPath>,
) -> Result<StatusCode, Problem> {
    auth.administration.set_status(operator.acting(), of.id, Status::Active).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Operator {
    fn acting(&self) -> Acting {
        Acting { operator: self.id, address: self.address }
    }
}

impl From<AdministrationError> for Problem {
    fn from(error: AdministrationError) -> Self {
        match error {
            AdministrationError::NoAccount => Self::not_found(),
            AdministrationError::OwnAccount => {
                Self::new(StatusCode::CONFLICT, "an operator cannot disable the own account")
                    .field("id", "must not be the operator's own account")
            }
            AdministrationError::Storage(error) => error.into(),
            AdministrationError::Session(error) => error.into(),
        }
    }
}
