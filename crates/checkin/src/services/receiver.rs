//! The check-in receiver: takes check-ins into the log.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use quick_cache::sync::Cache;
use tower_express_session::{Error, Session};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::identity::Accounts;
use crate::domain::{LocationId, NewCheckin, StarRating, UserId};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems, TooOften};
use crate::http::{ApiError, FieldError, Fields, Problem, RateLimit};
use crate::storage::{
    Accepted, Admission, CheckinLog, LocationRepository, UserRepository, is_there,
};

const CHECKIN_ID: HeaderName = HeaderName::from_static("checkin-id");
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// So many places and users are remembered as existing. Neither is ever deleted.
const MAX_KNOWN: usize = 1_000_000;

/// What the service needs.
#[derive(Clone)]
pub struct Receiver {
    log: Arc<dyn CheckinLog>,
    locations: Arc<dyn LocationRepository>,
    users: Arc<dyn UserRepository>,
    known_locations: Arc<Cache<LocationId, ()>>,
    known_users: Arc<Cache<UserId, ()>>,
    identity: Identity,
    settings: Settings,
    rate: RateLimit<UserId>,
}

/// How the service tells who checks in.
#[derive(Clone, Debug)]
pub enum Identity {
    /// By the session, which must be a user's own.
    Session(Accounts),
    /// It believes the request: `--no-auth`.
    None,
}

/// Settings of the service.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What the log takes.
    pub admission: Admission,
    /// Check-ins a second that one user may make, with ten times as many in a burst; 0 limits none.
    pub rate_per_user: u32,
}

/// The routes of the service.
pub fn router(
    log: Arc<dyn CheckinLog>,
    locations: Arc<dyn LocationRepository>,
    users: Arc<dyn UserRepository>,
    identity: Identity,
    settings: Settings,
) -> OpenApiRouter {
    let receiver = Receiver {
        log,
        locations,
        users,
        known_locations: Arc::new(Cache::new(MAX_KNOWN)),
        known_users: Arc::new(Cache::new(MAX_KNOWN)),
        identity,
        settings,
        rate: RateLimit::new(settings.rate_per_user),
    };
    OpenApiRouter::new().routes(routes!(checkin)).with_state(receiver)
}

/// A check-in, as it is sent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "describes a body, which `parse` reads")]
struct NewCheckinBody {
    /// The session's own user.
    #[schema(minimum = 1, maximum = 9007199254740991i64, example = 77)]
    user_id: u64,
    #[schema(minimum = 1, maximum = 9007199254740991i64, example = 2)]
    location_id: u64,
    #[schema(minimum = 0, maximum = 5)]
    star_rating: u32,
}

/// Checks in at a place and rates it.
///
/// 202 says that the check-in is stored; it is counted a moment later.
#[utoipa::path(
    post, operation_id = "createCheckin", path = "/api/checkin", tag = "check-ins",
    security(("session" = [])),
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "Makes it safe to send the check-in again",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$",
    )),
    request_body = NewCheckinBody,
    responses(
        (
            status = 202, description = "The check-in is stored",
            headers(("Checkin-Id" = String, description = "Its id in the log")),
        ),
        (
            status = 422,
            description = "There is no such place, or an identical check-in was accepted a moment ago",
            content((Problem<'static> = "application/problem+json"), (String = "text/plain")),
        ),
        LoginNeeded, Forbidden, TooOften, BodyProblems, Problems,
    ),
)]
async fn checkin(
    State(receiver): State<Receiver>,
    session: Result<Session, Error>,
    headers: HeaderMap,
    fields: Result<Fields, ApiError>,
) -> Result<impl IntoResponse, ApiError> {
    // Whoever is not logged in hears that first, whatever the body says.
    let owner = receiver.owner(session).await?;
    let key = idempotency_key(&headers)?;
    let checkin = parse(fields?)?;
    receiver.check(owner, checkin).await?;
    match receiver.log.append(checkin, key, receiver.settings.admission).await? {
        Accepted::Stored(id) | Accepted::Replayed(id) => {
            let id = HeaderValue::try_from(id.to_string()).map_err(|_| ApiError::Internal)?;
            Ok((StatusCode::ACCEPTED, [(CHECKIN_ID, id)]))
        }
        Accepted::Duplicate => Err(ApiError::IdenticalCheckin),
        Accepted::KeyReused => Err(ApiError::KeyReused),
        Accepted::Behind => Err(ApiError::Behind),
    }
}

impl Receiver {
    /// The user of the session; `None` when sessions are not asked for.
    async fn owner(&self, session: Result<Session, Error>) -> Result<Option<UserId>, ApiError> {
        let Identity::Session(accounts) = &self.identity else { return Ok(None) };
        let owner = accounts.logged_in(&session?).await;
        if matches!(owner, Err(ApiError::AuthenticationRequired)) {
            tracing::debug!("Rejecting checkin - no valid user session found.");
        }
        owner.map(Some)
    }

    /// Whether this user may make this check-in.
    async fn check(&self, owner: Option<UserId>, checkin: NewCheckin) -> Result<(), ApiError> {
        match owner {
            Some(owner) if owner != checkin.user => return Err(ApiError::NotYourself),
            Some(_) => {}
            None => self.check_user(checkin.user).await?,
        }
        self.rate.take(&checkin.user).map_err(ApiError::TooMany)?;
        self.check_location(checkin.location).await
    }

    async fn check_location(&self, id: LocationId) -> Result<(), ApiError> {
        if self.known_locations.get(&id).is_none() {
            if !is_there(self.locations.location(id).await)? {
                return Err(ApiError::Unknown("location"));
            }
            self.known_locations.insert(id, ());
        }
        Ok(())
    }

    async fn check_user(&self, id: UserId) -> Result<(), ApiError> {
        if self.known_users.get(&id).is_none() {
            if !is_there(self.users.user(id).await)? {
                return Err(ApiError::Unknown("user"));
            }
            self.known_users.insert(id, ());
        }
        Ok(())
    }
}

fn parse(mut fields: Fields) -> Result<NewCheckin, ApiError> {
    let user = fields.integer::<UserId>("userId");
    let location = fields.integer::<LocationId>("locationId");
    let stars = fields.integer::<StarRating>("starRating");
    fields.finish()?;
    match (user, location, stars) {
        (Some(user), Some(location), Some(stars)) => Ok(NewCheckin { user, location, stars }),
        _ => Err(ApiError::Internal),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let invalid = |rule: &str| ApiError::Invalid(vec![FieldError::new("Idempotency-Key", rule)]);
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(invalid("must be given once"));
    }
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_BYTES => Ok(Some(key)),
        Ok(_) => Err(invalid("must have 1 to 255 characters")),
        Err(_) => Err(invalid("must be printable ASCII")),
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("identity", &self.identity)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
