//! The read API: users, places and check-ins, and what happens right now.

mod checkins;
mod document;
mod export;
mod feed;
mod in_task;
mod local_time;
mod locations;
mod nearby;
mod paging;
mod parameters;
mod representation;
mod statistics;
mod stream;
mod upstream;
mod users;
mod weather;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tower_express_session::Session;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::feed::Feed;
use self::local_time::LocalTime;
use self::weather::Weather;
use super::identity::Accounts;
use crate::domain::UserId;
use crate::http::ApiError;
use crate::storage::{
    CheckinLog, Directory, History, LocationRepository, UserRepository, WeatherCache,
};

pub use upstream::{Upstream, UpstreamError, WeatherKey};

/// What the service reads.
#[derive(Clone)]
pub struct Stores {
    /// People's accounts.
    pub users: Arc<dyn UserRepository>,
    /// The places.
    pub locations: Arc<dyn LocationRepository>,
    /// Lists of both.
    pub directory: Arc<dyn Directory>,
    /// Who was where.
    pub history: Arc<dyn History>,
    /// All check-ins.
    pub log: Arc<dyn CheckinLog>,
    /// What the weather service said.
    pub weather: Arc<dyn WeatherCache>,
}

/// What the service needs.
struct Api {
    stores: Stores,
    accounts: Accounts,
    weather: Weather,
    feed: Arc<Feed>,
    local_time: LocalTime,
    stopping: Stopping,
}

/// Is ready when the process is about to end.
type Stopping = Shared<BoxFuture<'static, ()>>;

/// The routes of the service. Streams end when `stop` does; without an `upstream` there is no
/// weather.
pub fn router(
    stores: Stores,
    upstream: Option<Upstream>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> OpenApiRouter {
    let api = Api {
        accounts: Accounts::new(stores.users.clone()),
        weather: Weather::new(stores.weather.clone(), upstream),
        feed: Feed::new(stores.log.clone(), feed::MAX_CLIENTS),
        local_time: LocalTime::new(),
        stopping: stop.boxed().shared(),
        stores,
    };
    routes().with_state(Arc::new(api))
}

fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(users::user))
        .routes(routes!(users::full_name))
        .routes(routes!(users::by_email))
        .routes(routes!(users::recent))
        .routes(routes!(users::by_checkins))
        .routes(routes!(users::at))
        .routes(routes!(users::history))
        .routes(routes!(export::export))
        .routes(routes!(statistics::statistics))
        .routes(routes!(locations::location))
        .routes(routes!(locations::details))
        .routes(routes!(locations::hours))
        .routes(routes!(locations::visitors))
        .routes(routes!(weather::weather))
        .routes(routes!(locations::by_category))
        .routes(routes!(locations::by_checkins))
        .routes(routes!(locations::search))
        .routes(routes!(nearby::nearby))
        .routes(routes!(checkins::between))
        .routes(routes!(checkins::latest))
        .routes(routes!(stream::stream))
}

/// Who is logged in.
struct Visitor {
    id: UserId,
    session: Session,
}

impl FromRequestParts<Arc<Api>> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let session = Session::from_request_parts(parts, api).await?;
        let id = api.accounts.logged_in(&session).await?;
        Ok(Self { id, session })
    }
}

impl Visitor {
    /// Makes sure that it is about themself.
    fn is(&self, id: UserId) -> Result<UserId, ApiError> {
        if self.id == id { Ok(id) } else { Err(ApiError::NotYours) }
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Api")
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stores")
    }
}
