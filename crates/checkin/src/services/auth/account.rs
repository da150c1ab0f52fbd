//! One's own account: open it, look at it, change its password.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::{NewAccountBody, PasswordBody};
use super::{Auth, SessionResult};
use crate::domain::{Email, LocationId, User, text};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems, TooOften};
use crate::http::{ApiError, ClientAddress, FieldError, Fields, Problem};
use crate::passwords;
use crate::services::identity::{USER, email_of};
use crate::storage::{NewUser, Registered};

/// The fewest characters of a new password, as OWASP asks for.
const MIN_PASSWORD_CHARS: usize = 8;

/// The account that is logged in.
#[utoipa::path(
    get, operation_id = "getSession", path = "/session", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = Account), LoginNeeded, Problems),
)]
pub(super) async fn show(
    State(auth): State<Auth>,
    session: SessionResult,
) -> Result<Json<Account>, ApiError> {
    let email = email_of(&session?)?;
    let user = auth.users.user_by_email(&email).await?.ok_or(ApiError::AuthenticationRequired)?;
    Ok(Json(Account { user: user.into() }))
}

/// Opens an account. It does not log in.
#[utoipa::path(
    post, operation_id = "registerAccount", path = "/register", tag = "account", security(()),
    request_body = NewAccountBody,
    responses(
        (status = 201, body = Account),
        (
            status = 409, description = "The address has an account",
            body = Problem<'static>, content_type = "application/problem+json",
        ),
        Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn register(
    State(auth): State<Auth>,
    fields: Fields,
) -> Result<impl IntoResponse, ApiError> {
    let new = NewAccount::parse(fields)?;
    let password = auth.passwords.hash(new.password).await?;
    let (first_name, last_name, email) = (new.first_name, new.last_name, new.email);
    match auth.users.register(NewUser { first_name, last_name, email, password }).await? {
        Registered::Opened(user) => Ok((StatusCode::CREATED, Json(Account { user: user.into() }))),
        Registered::EmailTaken => Err(ApiError::EmailTaken),
    }
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
    fields: Result<Fields, ApiError>,
) -> Result<&'static str, ApiError> {
    let session = session?;
    let email = email_of(&session)?;
    let change = PasswordChange::parse(fields?)?;
    let user =
        auth.check_password(&email, change.current, address).await.map_err(
            |error| match error {
                ApiError::InvalidLogin => wrong_password(),
                other => other,
            },
        )?;
    let new = auth.passwords.hash(change.new).await?;
    if !auth.users.change_password(user.id, &user.password, &new).await? {
        // Somebody else changed it meanwhile, so the current password was not the current one.
        return Err(wrong_password());
    }
    // Whoever knew the old password may hold a session; this one goes on under a fresh id.
    auth.account_sessions.end_others(&email.canonical(), &session.id()).await?;
    session.regenerate().await?;
    session.insert(USER, user.email.as_str())?;
    Ok("OK")
}

fn wrong_password() -> ApiError {
    ApiError::Invalid(vec![FieldError::new("currentPassword", "is the account's password")])
}

struct PasswordChange {
    current: String,
    new: String,
}

impl PasswordChange {
    fn parse(mut fields: Fields) -> Result<Self, ApiError> {
        let current = fields.text("currentPassword");
        let current = fields.parse("currentPassword", current, passwords::plausible);
        let new = fields.text("newPassword");
        let new = fields.parse("newPassword", new, new_password);
        fields.finish()?;
        let (Some(current), Some(new)) = (current, new) else { return Err(ApiError::Internal) };
        Ok(Self { current, new })
    }
}

struct NewAccount {
    first_name: String,
    last_name: String,
    email: Email,
    password: String,
}

impl NewAccount {
    fn parse(mut fields: Fields) -> Result<Self, ApiError> {
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
        let password = fields.parse("password", password, new_password);
        fields.finish()?;
        let (Some(first_name), Some(last_name), Some(email), Some(password)) =
            (first_name, last_name, email, password)
        else {
            return Err(ApiError::Internal);
        };
        Ok(Self { first_name, last_name, email, password })
    }
}

fn new_password(text: String) -> Result<String, String> {
    if text.chars().count() < MIN_PASSWORD_CHARS {
        return Err(format!("has {MIN_PASSWORD_CHARS} characters or more"));
    }
    if text.len() > passwords::MAX_BYTES {
        return Err(format!("has {} bytes at most", passwords::MAX_BYTES));
    }
    Ok(text)
}

/// An account, to its owner.
#[derive(Serialize, ToSchema)]
pub(super) struct Account {
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
