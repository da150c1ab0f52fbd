//! The routes of the service and what they share.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    checkins, export, locations, nearby, representation, statistics, stream, users, weather,
};
use crate::storage::{
    CheckinLog, Directory, History, LocationRepository, UserRepository, WeatherCache,
};
use crate::usecases::accounts::Accounts;
use crate::usecases::feed::{Feed, MAX_CLIENTS};
use crate::usecases::nearby::NearbyPlaces;
use crate::usecases::places::Places;
use crate::usecases::upstream::Upstream;
use crate::usecases::weather::Weather;

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
pub(super) struct Api {
    pub(super) stores: Stores,
    pub(super) accounts: Accounts,
    pub(super) places: Places,
    pub(super) nearby: NearbyPlaces,
    pub(super) weather: Weather,
    pub(super) feed: Arc<Feed>,
    pub(super) stopping: Stopping,
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
    let places = Places {
        locations: stores.locations.clone(),
        directory: stores.directory.clone(),
        history: stores.history.clone(),
        users: stores.users.clone(),
    };
    let api = Api {
        accounts: Accounts::new(stores.users.clone()),
        places,
        nearby: NearbyPlaces::new(stores.directory.clone()),
        weather: Weather::new(stores.locations.clone(), stores.weather.clone(), upstream),
        feed: Feed::new(stores.log.clone(), representation::event_data, MAX_CLIENTS),
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

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stores")
    }
}
