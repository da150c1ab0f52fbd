//! The routes of the service.

use std::sync::Arc;

use futures_util::FutureExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::{Api, Stores};
use super::{checkins, export, locations, nearby, statistics, stream, users, weather};
use crate::http::ClientLimits;
use crate::metrics::ProcessMetrics;
use crate::usecases::accounts::Accounts;
use crate::usecases::feed::{Feed, FeedMetrics, MAX_CLIENTS};
use crate::usecases::nearby::NearbyLocations;
use crate::usecases::upstream::Upstream;
use crate::usecases::weather::WeatherLookup;

/// Returns the routes of the service. Streams end when `stop` does. Without an `upstream`, there is
/// no weather. `metrics` count the streams, and `limits` limits those of a client.
pub fn router(
    stores: Stores,
    upstream: Option<Upstream>,
    stop: impl Future<Output = ()> + Send + 'static,
    metrics: &ProcessMetrics,
    limits: ClientLimits,
) -> OpenApiRouter {
    let feed = FeedMetrics {
        open: metrics.event_streams.clone(),
        refused: metrics.throttled.event_streams.clone(),
    };
    let api = Api {
        accounts: Accounts::new(stores.users.clone()),
        nearby: NearbyLocations::new(stores.directory.clone()),
        weather: WeatherLookup::new(stores.locations.clone(), stores.weather.clone(), upstream),
        feed: Feed::new(stores.log.clone(), stream::event, MAX_CLIENTS, feed),
        limits,
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
