//! One's own account: open it, look at it, change its password.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::{NewAccountBody, PasswordBody};
use super::problems::of_password_change;
use super::routes::{Auth, SessionResult};
use crate::domain::{Email, LocationId, User, text};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems, TooOften};
use crate::http::{ClientAddress, Fields, Problem, ProblemDetails};
use crate::passwords;
use crate::usecases::accounts::{account_of, user_of};
use crate::usecases::password_change::Replacement;
use crate::usecases::registration::NewAccount;

/// The account that is logged in.
#[utoipa::path(
    get, operation_id = "getSession", path = "/session", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = OwnAccount), LoginNeeded, Problems),
)]
pub(super) async fn show(
    State(auth): State<Auth>,
    session: SessionResult,
) -> Result<Json<OwnAccount>, Problem> {
    let user = user_of(&session?, &*auth.users).await?;
    Ok(Json(OwnAccount { user: user.into() }))
}

/// Opens an account. It does not log in.
#[utoipa::path(
    post, operation_id = "registerAccount", path = "/register", tag = "account", security(()),
    request_body = NewAccountBody,
    responses(
        (status = 201, body = OwnAccount),
        (
            status = 409, description = "The address has an account",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn register(
    State(auth): State<Auth>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let user = auth.registration.open(new_account(fields)?).await?;
    Ok((StatusCode::CREATED, Json(OwnAccount { user: user.into() })))
}

/// Changes the password, which ends the account's other sessions. This one gets a fresh id.
#[utoipa::path(
    post, operation_id = "changePassword", path = "/password", tag = "account",
    security(("session" = [])), request_body = PasswordBody,
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        LoginNeeded, Forbidden, TooOften, BodyProblems, Problems,
    ),
)]
pub(super) async fn change_password(
    State(auth): State<Auth>,
    Extension(address): Extension<Option<ClientAddress>>,
    session: SessionResult,
    fields: Result<Fields, Problem>,
) -> Result<&'static str, Problem> {
    let session = session?;
    let account = account_of(&session, &*auth.users).await?;
    let replacement = replacement(fields?)?;
    let address = address.map(ClientAddress::ip);
    let changed = auth.password_change.change(&session, account.email, replacement, address);
    changed.await.map_err(of_password_change)?;
    Ok("OK")
}

fn replacement(mut fields: Fields) -> Result<Replacement, Problem> {
    let current = fields.text("currentPassword");
    let current = fields.parse("currentPassword", current, passwords::plausible);
    let new = fields.text("newPassword");
    let new = fields.parse("newPassword", new, passwords::acceptable);
    fields.finish()?;
    let (Some(current), Some(new)) = (current, new) else { return Err(Problem::internal()) };
    Ok(Replacement { current, new })
}

fn new_account(mut fields: Fields) -> Result<NewAccount, Problem> {
    let mut name = |field| {
        let text = fields.text(field);
        fields.parse(field, text, |text| {
            let max = text::MAX_NAME_CHARS;
            text::check_line(&text, max).map(|()| text)
        })
    };
    let (first_name, last_name) = (name("firstName"), name("lastName"));
    let email = fields.text("email");
    let email = fields.parse("email", email, |text| text.parse::<Email>());
    let password = fields.text("password");
    let password = fields.parse("password", password, passwords::acceptable);
    fields.finish()?;
    let (Some(first_name), Some(last_name), Some(email), Some(password)) =
        (first_name, last_name, email, password)
    else {
        return Err(Problem::internal());
    };
    Ok(NewAccount { first_name, last_name, email, password })
}

/// An account, to its owner.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct OwnAccount {
    user: PublicUser,
}

/// What an account's owner gets to see: these fields, and never the password.
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
        }
    }
}
