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
use crate::usecases::feed::{Feed, FeedMetrics, MAX_CLIENTS, Source};
use crate::usecases::look_ups::LookUps;
use crate::usecases::nearby::NearbyLocations;
use crate::usecases::newcomers::Newcomers;
use crate::usecases::statistics::UserStatistics;
use crate::usecases::upstream::Upstream;
use crate::usecases::weather::WeatherLookup;
use crate::usecases::whereabouts::Whereabouts;

/// The settings of the service.
#[derive(Debug, Default)]
pub struct ApiSettings {
    /// The weather service. Without it, there is no weather.
    pub upstream: Option<Upstream>,
    /// `--lookup-rate`: the maximum number of look-ups by e-mail address per second of an account, with
    /// bursts of ten times as many. 0 means unlimited.
    pub lookup_rate: u32,
    /// `--newcomer-rate`: the maximum number of look-ups about others per hour of a new account. 0 means
    /// unlimited.
    pub newcomer_rate: u32,
}

/// Returns the routes of the service. Streams end when `stop` does. `metrics` count the streams and what
/// is refused, and `limits` limits the streams of a client.
pub fn router(
    stores: Stores,
    accounts: Accounts,
    settings: ApiSettings,
    stop: impl Future<Output = ()> + Send + 'static,
    metrics: &ProcessMetrics,
    limits: ClientLimits,
) -> OpenApiRouter {
    let ApiSettings { upstream, lookup_rate, newcomer_rate } = settings;
    let whereabouts = Whereabouts::new(stores.privacy.clone());
    let source = Source {
        log: stores.log.clone(),
        users: stores.users.clone(),
        whereabouts: whereabouts.clone(),
    };
    let refused = metrics.throttled.newcomers.clone();
    let feed = FeedMetrics {
        open: metrics.event_streams.clone(),
        refused: metrics.throttled.event_streams.clone(),
    };
    let api = Api {
        accounts,
        nearby: NearbyLocations::new(stores.directory.clone()),
        statistics: UserStatistics::new(
            stores.history.clone(),
            stores.locations.clone(),
            metrics.throttled.requests.clone(),
        ),
        weather: WeatherLookup::new(stores.locations.clone(), stores.weather.clone(), upstream),
        feed: Feed::new(source, stream::event, MAX_CLIENTS, feed),
        newcomers: Newcomers::new(stores.privacy.clone(), newcomer_rate, refused),
        look_ups: LookUps::new(lookup_rate, metrics.throttled.lookups.clone()),
        whereabouts,
        limits,
        stopping: stop.boxed().shared(),
        stores,
    };
    routes().with_state(Arc::new(api))
}

fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(users::by_email))
        .routes(routes!(users::user))
        .routes(routes!(users::full_name))
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
