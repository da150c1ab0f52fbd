//! The check-in receiver: appends check-ins to the log, and deletes them.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use tower_express_session::{Error, LazySession};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::{CheckinId, Comment, LocationId, NewCheckin, StarRating, UserId};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Missing, Problems};
use crate::http::{Headers, JsonBody, Parameters, Problem, ProblemDetails, RequestAddress};
use crate::input::{Documented, Given, Input, body, parameters};
use crate::metrics::Throttled;
use crate::slow_store::{GivenUp, SlowStore};
use crate::storage::{Admission, Locations, Log, Retractions, Users};
use crate::usecases::accounts::{AccountError, Accounts};
use crate::usecases::check_in::{CheckIn, CheckInError, DeletionError};

const CHECKIN_ID: HeaderName = HeaderName::from_static("checkin-id");

/// The maximum length of an idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// The time after which clients may try again when too many check-ins wait. Processors apply about
/// ten thousand check-ins per second.
const BEHIND_RETRY: Duration = Duration::from_secs(5);

/// The state of the service. Requests share it.
struct Receiver {
    identity: Identity,
    check_in: CheckIn,
    slow_store: SlowStore,
}

/// What the service is built from.
pub struct Parts {
    /// The log of all check-ins.
    pub log: Arc<dyn Log>,
    /// Deletes check-ins.
    pub retractions: Arc<dyn Retractions>,
    /// The locations.
    pub locations: Arc<dyn Locations>,
    /// The accounts.
    pub users: Arc<dyn Users>,
    /// The way to find the user who checks in.
    pub identity: Identity,
    /// Counts what is refused.
    pub throttled: Throttled,
    /// Limits check-ins while the store is slow.
    pub slow_store: SlowStore,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The way to find the user who checks in.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The session, which must belong to the user.
    Session(Accounts),
    /// The request itself, which is trusted: `--no-auth`.
    None,
}

/// The settings of the service.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverSettings {
    /// The limits of the log.
    pub admission: Admission,
    /// The maximum number of check-ins per second of one user, with bursts of ten times as many. 0
    /// means unlimited.
    pub rate_per_user: u32,
}

/// Returns the routes of the service.
pub fn router(parts: Parts, settings: ReceiverSettings) -> OpenApiRouter {
    let Parts { log, retractions, locations, users, identity, throttled, slow_store } = parts;
    let ReceiverSettings { admission, rate_per_user } = settings;
    let check_in =
        CheckIn::new(log, retractions, locations, users, admission, rate_per_user, throttled);
    OpenApiRouter::new()
        .routes(routes!(checkin))
        .routes(routes!(delete))
        .with_state(Arc::new(Receiver { identity, check_in, slow_store }))
}

body! {
    /// A new check-in.
    struct NewCheckinBody {
        /// The user of the session.
        user "userId": UserId, example 77;
        location "locationId": LocationId, example 2;
        stars "starRating": StarRating;
        /// What the user writes about the check-in, in one line
        comment "comment": Option<Comment>, example "The cake is back.";
        /// Whether only its user sees it: it is in no list, stream or figure
        is_private "private": Option<bool>, example false;
    }
}

parameters! {
    pub(crate) struct CheckinHeaders(()) {
        /// A key that makes it safe to send the check-in again
        idempotency_key "Idempotency-Key" in Header: Option<IdempotencyKey>;
    }
}

/// A key that identifies a check-in among those of its user.
pub(crate) struct IdempotencyKey(pub(crate) String);

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

/// Checks in at a location and rates it.
///
/// 202 means that the check-in is stored. It is applied a moment later. A private one is in the history of its
/// user at once.
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
            description = "There is no such location, or an identical check-in was accepted a moment ago",
            content((ProblemDetails<'static> = "application/problem+json"), (String = "text/plain")),
        ),
        LoginNeeded, Forbidden, BodyProblems, Problems,
    ),
)]
async fn checkin(
    State(receiver): State<Arc<Receiver>>,
    session: Result<LazySession, Error>,
    headers: Result<Headers<CheckinHeaders>, Problem>,
    body: Result<JsonBody<NewCheckinBody>, Problem>,
) -> Result<impl IntoResponse, Problem> {
    let answer = async {
        // A request without a login is answered with 401, whatever else is wrong. The session is read when the request
        // is complete, because it may have ended while the client sent the body.
        let owner = receiver.owner(session).await?;
        let Headers(CheckinHeaders { idempotency_key }) = headers?;
        let JsonBody(NewCheckinBody { user, location, stars, comment, is_private }) = body?;
        let key = idempotency_key.as_ref().map(|key| key.0.as_str());
        let is_private = is_private.unwrap_or_default();
        let checkin = NewCheckin { user, location, stars, comment, is_private };
        let (id, quota) = receiver.check_in.check_in(owner, checkin, key).await?;
        let id = HeaderValue::try_from(id.to_string()).map_err(|_| Problem::internal())?;
        Ok((StatusCode::ACCEPTED, quota, [(CHECKIN_ID, id)]))
    };
    receiver.slow_store.within(pin!(answer)).await
}

parameters! {
    /// A check-in to delete.
    struct DeletedCheckin(RequestAddress) {
        /// The `Checkin-Id` of the check-in
        id "id" in Path: CheckinId;
        /// The user of the check-in. It is needed if the service requires no session
        user "userId" in Query: Option<UserId>;
    }
}

/// Deletes a check-in of the user.
///
/// It leaves the log at once, and the histories and figures a moment later.
#[utoipa::path(
    delete, operation_id = "deleteCheckin", path = "/api/checkin/{id}", tag = "check-ins",
    security(("session" = [])),
    params(DeletedCheckin),
    responses(
        (status = 204, description = "The check-in is deleted, now or before"),
        (
            status = 409, description = "Check-ins of this age may be in the figures only",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        LoginNeeded, Forbidden, Missing, Problems,
    ),
)]
async fn delete(
    State(receiver): State<Arc<Receiver>>,
    session: Result<LazySession, Error>,
    parameters: Result<Parameters<DeletedCheckin>, Problem>,
) -> Result<impl IntoResponse, Problem> {
    let answer = async {
        let owner = receiver.owner(session).await?;
        let Parameters(DeletedCheckin { id, user }) = parameters?;
        let user = match (owner, user) {
            (Some(owner), Some(user)) if owner != user => {
                return Err(CheckInError::AnotherUser.into());
            }
            (owner, user) => owner.or(user).ok_or_else(|| {
                Problem::new(StatusCode::BAD_REQUEST, "not valid: userId")
                    .field("userId", "must be given")
            })?,
        };
        let quota = receiver.check_in.delete(user, id).await?;
        Ok((StatusCode::NO_CONTENT, quota, ()))
    };
    receiver.slow_store.within(pin!(answer)).await
}

impl Receiver {
    /// Returns the user of the session, or `None` if no login is required.
    async fn owner(&self, request: Result<LazySession, Error>) -> Result<Option<UserId>, Problem> {
        let Identity::Session(accounts) = &self.identity else { return Ok(None) };
        let session = request?.session().await?;
        let owner = accounts.logged_in(&session).await;
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
                let detail = "userId is not the user of the session";
                Self::new(StatusCode::FORBIDDEN, detail)
                    .field("userId", "must be the user of the session")
            }
            CheckInError::UnknownUser => unprocessable("there is no such user")
                .field("userId", "must be the id of an account"),
            CheckInError::UnknownLocation => unprocessable("there is no such location")
                .field("locationId", "must be the id of a location"),
            CheckInError::TooMany(quota) => Self::too_many(quota),
            CheckInError::Duplicate => Self::text(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Multiple identical checkins are not permitted.",
            ),
            CheckInError::KeyReused => {
                unprocessable("the Idempotency-Key was used for another check-in")
                    .field("Idempotency-Key", "must be a new key for each check-in")
            }
            CheckInError::Behind => {
                let detail = "too many check-ins wait to be applied; try again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(BEHIND_RETRY)
            }
            CheckInError::Storage(error) => error.into(),
        }
    }
}

impl From<GivenUp> for Problem {
    fn from(GivenUp: GivenUp) -> Self {
        Self::store_unavailable()
    }
}

impl From<DeletionError> for Problem {
    fn from(error: DeletionError) -> Self {
        match error {
            DeletionError::Unknown => Self::missing("check-in"),
            DeletionError::TooOld => {
                let detail = "check-ins of this age are in the figures only, and cannot be deleted";
                Self::new(StatusCode::CONFLICT, detail)
            }
            DeletionError::TooMany(quota) => Self::too_many(quota),
            DeletionError::Storage(error) => error.into(),
        }
    }
}
