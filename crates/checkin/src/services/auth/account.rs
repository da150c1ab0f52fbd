//! A user's own account: open it, show it, change its password, delete it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use tower_express_session::{Error, LazySession};
use utoipa::ToSchema;

use super::bodies::{ConfirmRegistrationBody, ConfirmationBody, NewAccountBody, PasswordBody};
use super::checked::{Checked, OfAccount, WithMail};
use super::problems::of_change;
use super::second_factor::SecondFactorNeeded;
use super::state::Auth;
use crate::domain::{LocationId, User};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems};
use crate::http::{ClientIp, DeviceCookie, JsonBody, Problem, ProblemDetails};
use crate::storage::Role;
use crate::usecases::registration::NewAccount;

/// Returns the logged-in account.
#[utoipa::path(
    get, operation_id = "getSession", path = "/session", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = OwnAccount), LoginNeeded, Problems),
)]
pub(super) async fn show(
    State(auth): State<Arc<Auth>>,
    session: Result<LazySession, Error>,
) -> Result<Json<OwnAccount>, Problem> {
    let (user, role) = auth.accounts.user_of(&session?).await?;
    let role = (role == Role::Operator).then(|| role.as_str());
    Ok(Json(OwnAccount { user: PublicUser { role, ..user.into() } }))
}

/// Opens an account. The session is not logged in. If the service sends mail, the account is opened by the
/// token of a message, and the response does not tell whether the address has an account.
#[utoipa::path(
    post, operation_id = "registerAccount", path = "/register", tag = "account", security(()),
    request_body = NewAccountBody,
    responses(
        (status = 201, body = OwnAccount, description = "The account; the service sends no mail"),
        (
            status = 202, content_type = "text/plain", body = String,
            description = "`OK`: a message is sent to the address",
        ),
        (
            status = 409, description = "The e-mail address belongs to an existing account",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn register(
    State(auth): State<Arc<Auth>>,
    ClientIp(address): ClientIp,
    JsonBody(body): JsonBody<NewAccountBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewAccountBody { first_name, last_name, email, password } = body;
    let (first_name, last_name, password) = (first_name.0, last_name.0, password.0);
    let new = NewAccount { first_name, last_name, email, password };
    Ok(match auth.registration.open(new, address).await? {
        Some(user) => opened(user).into_response(),
        None => (StatusCode::ACCEPTED, "OK").into_response(),
    })
}

/// Opens an account with the token of a message and the password of the registration. The session is not logged in.
#[utoipa::path(
    post, operation_id = "confirmRegistration", path = "/register/confirm", tag = "account", security(()),
    request_body = ConfirmRegistrationBody,
    responses(
        (status = 201, body = OwnAccount),
        (
            status = 404, description = "The service sends no mail (`--mail-url` or `--mail-command`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        (
            status = 409, description = "The e-mail address has got an account meanwhile",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn confirm_registration(
    State(auth): State<Arc<Auth>>,
    Checked { body, address, .. }: WithMail<ConfirmRegistrationBody>,
) -> Result<impl IntoResponse, Problem> {
    Ok(opened(auth.registration.confirm(body.token.0, body.password.0, address).await?))
}

fn opened(user: User) -> (StatusCode, Json<OwnAccount>) {
    (StatusCode::CREATED, Json(OwnAccount { user: user.into() }))
}

/// Changes the password and ends the other sessions of the account. This session gets a new id. An account
/// with a second factor needs a code of it.
#[utoipa::path(
    post, operation_id = "changePassword", path = "/password", tag = "account",
    security(("session" = [])), request_body = PasswordBody,
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn change_password(
    State(auth): State<Arc<Auth>>,
    Checked { passed, body, address }: OfAccount<PasswordBody>,
) -> Result<impl IntoResponse, Problem> {
    let PasswordBody { current, new, code, passkey } = body;
    let confirmation = passed.confirmation(ConfirmationBody { current, code, passkey })?;
    let changed = auth.password_change.change(passed.requester(address), confirmation, new.0);
    let device = changed.await.map_err(of_change)?;
    Ok((device.map(DeviceCookie).map(Extension), "OK"))
}

/// Deletes the account and ends all of its sessions. Its check-ins are deleted and its personal data erased as soon
/// as its sessions have been searched for. An account with a second factor needs a code of it.
#[utoipa::path(
    delete, operation_id = "deleteAccount", path = "/account", tag = "account",
    security(("session" = [])), request_body = ConfirmationBody,
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn delete(
    State(auth): State<Arc<Auth>>,
    Checked { passed, body, address }: OfAccount<ConfirmationBody>,
) -> Result<&'static str, Problem> {
    let confirmation = passed.confirmation(body)?;
    let deleted = auth.account_deletion.delete(passed.requester(address), confirmation);
    deleted.await.map_err(of_change)?;
    Ok("OK")
}

/// An account, as its owner sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct OwnAccount {
    user: PublicUser,
}

/// Returns the fields that the owner of an account may see, never the password.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PublicUser {
    id: u64,
    first_name: String,
    last_name: String,
    email: String,
    num_checkins: u64,
    last_checkin: Option<u64>,
    last_seen_at: Option<u64>,
    /// `operator`, if the account has this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

impl From<User> for PublicUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id.get(),
            first_name: user.first_name,
            last_name: user.last_name,
            email: user.email.as_str().to_owned(),
            num_checkins: user.num_checkins,
            last_checkin: user.last_checkin,
            last_seen_at: user.last_seen_at.map(LocationId::get),
            role: None,
        }
    }
}
