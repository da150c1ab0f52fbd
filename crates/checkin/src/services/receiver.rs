//! The check-in receiver: takes check-ins into the log.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use tower_express_session::{Error, Session};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::{LocationId, NewCheckin, StarRating, UserId};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems, TooOften};
use crate::http::{Headers, JsonBody, Problem, ProblemDetails};
use crate::input::{Documented, Given, Input, body, parameters};
use crate::storage::{Admission, Locations, Log, Users};
use crate::usecases::accounts::{AccountError, Accounts};
use crate::usecases::check_in::{CheckIn, CheckInError};

const CHECKIN_ID: HeaderName = HeaderName::from_static("checkin-id");

/// The longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// Processors that are at work get rid of some ten thousand check-ins a second.
const BEHIND_RETRY: Duration = Duration::from_secs(5);

/// The state of the service.
#[derive(Clone)]
struct Receiver {
    identity: Identity,
    check_in: CheckIn,
}

/// How the service finds out which user checks in.
#[derive(Clone, Debug)]
pub enum Identity {
    /// By the session, which must be a user's own.
    Session(Accounts),
    /// It trusts the request: `--no-auth`.
    None,
}

/// ReceiverSettings of the service.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverSettings {
    /// What the log takes.
    pub admission: Admission,
    /// Check-ins a second that one user may make, with ten times as many in a burst; 0 limits none.
    pub rate_per_user: u32,
}

/// The routes of the service.
pub fn router(
    log: Arc<dyn Log>,
    locations: Arc<dyn Locations>,
    users: Arc<dyn Users>,
    identity: Identity,
    settings: ReceiverSettings,
) -> OpenApiRouter {
    let ReceiverSettings { admission, rate_per_user } = settings;
    let check_in = CheckIn::new(log, locations, users, admission, rate_per_user);
    OpenApiRouter::new().routes(routes!(checkin)).with_state(Receiver { identity, check_in })
}

body! {
    /// A check-in, as it is sent.
    struct NewCheckinBody {
        /// The session's own user.
        user "userId": UserId, example 77;
        location "locationId": LocationId, example 2;
        stars "starRating": StarRating;
    }
}

parameters! {
    struct CheckinHeaders(()) {
        /// Makes it safe to send the check-in again
        idempotency_key "Idempotency-Key" in Header: Option<IdempotencyKey>;
    }
}

/// A key that identifies a check-in among those of its user.
struct IdempotencyKey(String);

impl Input for IdempotencyKey {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let text = given.text().map_err(|_| "must be printable ASCII")?;
        if !(1..=MAX_KEY_BYTES).contains(&text.len()) {
            return Err(format!("must have 1 to {MAX_KEY_BYTES} characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Documented for IdempotencyKey {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_KEY_BYTES))
            .pattern(Some("^[!-~]+$"))
    }
}

/// Checks in at a place and rates it.
///
/// 202 says that the check-in is stored; it is counted a moment later.
#[utoipa::path(
    post, operation_id = "createCheckin", path = "/api/checkin", tag = "check-ins",
    security(("session" = [])),
    params(CheckinHeaders),
    request_body = NewCheckinBody,
    responses(
        (
            status = 202, description = "The check-in is stored",
            headers(("Checkin-Id" = String, description = "Its id in the log")),
        ),
        (
            status = 422,
            description = "There is no such place, or an identical check-in was accepted a moment ago",
            content((ProblemDetails<'static> = "application/problem+json"), (String = "text/plain")),
        ),
        LoginNeeded, Forbidden, TooOften, BodyProblems, Problems,
    ),
)]
async fn checkin(
    State(receiver): State<Receiver>,
    session: Result<Session, Error>,
    headers: Result<Headers<CheckinHeaders>, Problem>,
    body: Result<JsonBody<NewCheckinBody>, Problem>,
) -> Result<impl IntoResponse, Problem> {
    // A request without a login is answered with 401, whatever else is wrong with it.
    let owner = receiver.owner(session).await?;
    let Headers(CheckinHeaders { idempotency_key }) = headers?;
    let JsonBody(NewCheckinBody { user, location, stars }) = body?;
    let key = idempotency_key.as_ref().map(|key| key.0.as_str());
    let id = receiver.check_in.check_in(owner, NewCheckin { user, location, stars }, key).await?;
    let id = HeaderValue::try_from(id.to_string()).map_err(|_| Problem::internal())?;
    Ok((StatusCode::ACCEPTED, [(CHECKIN_ID, id)]))
}

impl Receiver {
    /// The user of the session; `None` when sessions are not asked for.
    async fn owner(&self, session: Result<Session, Error>) -> Result<Option<UserId>, Problem> {
        let Identity::Session(accounts) = &self.identity else { return Ok(None) };
        let owner = accounts.logged_in(&session?).await;
        if matches!(owner, Err(AccountError::NotLoggedIn)) {
            tracing::debug!("Rejecting checkin - no valid user session found.");
        }
        Ok(Some(owner?))
    }
}

impl From<CheckInError> for Problem {
    fn from(error: CheckInError) -> Self {
        let unprocessable = |detail| Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        match error {
            CheckInError::AnotherUser => {
                let detail = "the session belongs to another user than userId names";
                Self::new(StatusCode::FORBIDDEN, detail)
                    .field("userId", "must be the user of the session")
            }
            CheckInError::UnknownUser => unprocessable("there is no such user")
                .field("userId", "must be the id of an account"),
            CheckInError::UnknownLocation => unprocessable("there is no such location")
                .field("locationId", "must be the id of a place"),
            CheckInError::TooMany(wait) => Self::too_many(wait),
            CheckInError::Duplicate => Self::text(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Multiple identical checkins are not permitted.",
            ),
            CheckInError::KeyReused => {
                unprocessable("the Idempotency-Key came with another check-in before")
                    .field("Idempotency-Key", "must be a new one for each check-in")
            }
            CheckInError::Behind => {
                let detail = "too many check-ins wait to be applied; try again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(BEHIND_RETRY)
            }
            CheckInError::Storage(error) => error.into(),
        }
    }
}
