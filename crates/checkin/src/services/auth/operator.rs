//! What an operator does to other accounts.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use tower_express_session::Session;
use utoipa::ToSchema;

use super::sessions::{Ended, Handle, Sessions};
use super::state::Auth;
use crate::domain::UserId;
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::http::{ClientIp, PathParameters, Problem, ProblemDetails};
use crate::input::parameters;
use crate::storage::Status;
use crate::usecases::administration::{Account, Acting, AdministrationError, operator_of};

parameters! {
    pub(super) struct AccountPath(()) {
        /// The id of the account
        id "id" in Path: UserId;
    }
}

parameters! {
    pub(super) struct AccountSessionPath(()) {
        /// The id of the account
        id "id" in Path: UserId;
        /// The handle that `GET /accounts/{id}/sessions` lists
        handle "handle" in Path: Handle;
    }
}

/// An account, as operators see it.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountOfOthers)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountView {
    id: u64,
    first_name: String,
    last_name: String,
    email: String,
    /// `active` or `disabled`.
    status: &'static str,
    /// `user` or `operator`.
    role: &'static str,
}

impl From<Account> for AccountView {
    fn from(Account { user, standing }: Account) -> Self {
        Self {
            id: user.id.get(),
            first_name: user.first_name,
            last_name: user.last_name,
            email: user.email.as_str().to_owned(),
            status: standing.status.as_str(),
            role: standing.role.as_str(),
        }
    }
}

/// The logged-in account, which is an operator.
pub(super) struct Operator {
    id: UserId,
    handle: String,
    /// The network that the request came from, if it is known.
    address: Option<IpAddr>,
}

impl FromRequestParts<Arc<Auth>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, auth: &Arc<Auth>) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, auth).await?;
        let account = operator_of(&session, &*auth.users).await?;
        let ClientIp(address) = ClientIp::of(parts);
        Ok(Self { id: account.id, handle: session.id().handle(), address })
    }
}

/// Returns an account, for an operator.
#[utoipa::path(
    get, operation_id = "getAccount", path = "/accounts/{id}", tag = "operators",
    security(("session" = [])), params(AccountPath),
    responses((status = 200, body = AccountView), LoginNeeded, Forbidden, Missing, Problems),
)]
pub(super) async fn show(
    State(auth): State<Arc<Auth>>,
    _operator: Operator,
    PathParameters(of): PathParameters<AccountPath>,
) -> Result<Json<AccountView>, Problem> {
    Ok(Json(auth.administration.show(of.id).await?.into()))
}

/// Ends a session of an account, for an operator.
#[utoipa::path(
    delete, operation_id = "endSessionOfAccount", path = "/accounts/{id}/sessions/{handle}",
    tag = "operators", security(("session" = [])), params(AccountSessionPath),
    responses(
        (status = 204, description = "The session has ended"),
        LoginNeeded, Forbidden, Missing, Problems,
    ),
)]
pub(super) async fn end_session(
    State(auth): State<Arc<Auth>>,
    operator: Operator,
    PathParameters(of): PathParameters<AccountSessionPath>,
) -> Result<StatusCode, Problem> {
    auth.administration.end_session(operator.acting(), of.id, &of.handle.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the sessions of an account, for an operator.
#[utoipa::path(
    get, operation_id = "listSessionsOfAccount", path = "/accounts/{id}/sessions", tag = "operators",
    security(("session" = [])), params(AccountPath),
    responses((status = 200, body = Sessions), LoginNeeded, Forbidden, Missing, Problems),
)]
pub(super) async fn list_sessions(
    State(auth): State<Arc<Auth>>,
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
    State(auth): State<Arc<Auth>>,
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
    State(auth): State<Arc<Auth>>,
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
    State(auth): State<Arc<Auth>>,
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
            AdministrationError::Account(error) => error.into(),
            AdministrationError::NotOperator => {
                Self::new(StatusCode::FORBIDDEN, "the account must be an operator's")
            }
            AdministrationError::NoAccount => Self::missing("account"),
            AdministrationError::NoSession => Self::missing("session"),
            AdministrationError::OwnAccount => {
                Self::new(StatusCode::CONFLICT, "operators cannot disable their own account")
                    .field("id", "must not be the operator's own account")
            }
            AdministrationError::Storage(error) => error.into(),
            AdministrationError::Session(error) => error.into(),
        }
    }
}
