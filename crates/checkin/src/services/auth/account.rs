//! One's own account: open it, look at it, change its password.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;

use super::document::{NewAccountBody, PasswordBody};
use super::{Auth, SessionResult};
use crate::domain::{Email, LocationId, User, text};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems, TooOften};
use crate::http::{ApiError, ClientAddress, FieldError, Fields, Problem};
use crate::passwords;
use crate::services::identity::account_of;
use crate::storage::{Account, NewUser, Registered};

/// How long a change of the password waits for the search for the account's sessions: less than a
/// request may take.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How often that search is tried, with a pause after each: for as long as a store is usually away.
const MAX_ATTEMPTS: u32 = 300;
const PAUSE: Duration = Duration::from_secs(1);

/// The account that is logged in.
#[utoipa::path(
    get, operation_id = "getSession", path = "/session", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = OwnAccount), LoginNeeded, Problems),
)]
pub(super) async fn show(
    State(auth): State<Auth>,
    session: SessionResult,
) -> Result<Json<OwnAccount>, ApiError> {
    let id = account_of(&session?, &*auth.users).await?.id;
    let user = auth.users.user(id).await?.ok_or(ApiError::AuthenticationRequired)?;
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
    match auth.tasks.run(auth.clone().open_account(new)).await? {
        Registered::Opened(user) => {
            Ok((StatusCode::CREATED, Json(OwnAccount { user: user.into() })))
        }
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
    let account = account_of(&session, &*auth.users).await?;
    let change = PasswordChange::parse(fields?)?;
    let (changed, on_change) = oneshot::channel();
    let task = auth.clone().replace_password(account.email, change, address, changed);
    let task = auth.tasks.spawn(task)?;
    let Account { email, epoch, .. } = on_change.await.map_err(|_| ApiError::Internal)??;
    // The task goes on with the search for other sessions when this request has waited enough.
    if timeout(MAX_WAIT, task).await.is_err() {
        tracing::info!("a password is changed, and the search for the account's sessions goes on");
    }
    // This session goes on under a fresh id.
    session.log_in_at_epoch(email.as_str(), &[], epoch).await?;
    Ok("OK")
}

impl Auth {
    async fn open_account(self, new: NewAccount) -> Result<Registered, ApiError> {
        let password = self.passwords.turn().await?.hash(new.password).await?;
        let (first_name, last_name, email) = (new.first_name, new.last_name, new.email);
        Ok(self.users.register(NewUser { first_name, last_name, email, password }).await?)
    }

    /// Changes a password, sends the account as it is then, and ends the sessions from before.
    async fn replace_password(
        self,
        email: Email,
        change: PasswordChange,
        address: Option<ClientAddress>,
        changed: oneshot::Sender<Result<Account, ApiError>>,
    ) {
        let account = self.store_password(email, change, address).await;
        let older = account.as_ref().ok().map(|now| (now.email.canonical(), now.epoch));
        // Nobody waits for it any more where the client hung up.
        drop(changed.send(account));
        if let Some((account, epoch)) = older {
            self.end_older_sessions(&account, epoch).await;
        }
    }

    async fn store_password(
        &self,
        email: Email,
        change: PasswordChange,
        address: Option<ClientAddress>,
    ) -> Result<Account, ApiError> {
        let checked = self.clone().check_password(email, change.current, address).await;
        let account = checked.map_err(|error| match error {
            ApiError::InvalidLogin => wrong_password(),
            other => other,
        })?;
        let new = self.passwords.turn().await?.hash(change.new).await?;
        let Account { id, password, .. } = &account;
        let changed = self.users.change_password(*id, Some(password), &new).await?;
        // Somebody else may have changed it meanwhile: the current password is not the current one.
        let epoch = changed.ok_or_else(wrong_password)?;
        Ok(Account { epoch, ..account })
    }

    /// Ends the sessions from before `epoch`: somebody who knew the old password may hold one. Services
    /// of ours refuse those that have an epoch by themselves.
    async fn end_older_sessions(&self, account: &str, epoch: u64) {
        for attempt in 1..=MAX_ATTEMPTS {
            let Err(error) = self.account_sessions.revoke_before(account, epoch).await else {
                return;
            };
            tracing::warn!(%error, attempt, "cannot end the sessions from before a new password");
            sleep(PAUSE).await;
        }
    }
}

fn wrong_password() -> ApiError {
    ApiError::Invalid(vec![FieldError::new(
        "currentPassword",
        "must be the account's current password",
    )])
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
        let new = fields.parse("newPassword", new, passwords::acceptable);
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
        let password = fields.parse("password", password, passwords::acceptable);
        fields.finish()?;
        let (Some(first_name), Some(last_name), Some(email), Some(password)) =
            (first_name, last_name, email, password)
        else {
            return Err(ApiError::Internal);
        };
        Ok(Self { first_name, last_name, email, password })
    }
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
