//! The weather at a place: asked for once, and remembered for an hour.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use quick_cache::sync::Cache;

use super::Api;
use super::document::{Id, Weatherless};
use super::locations::location_id;
use super::parameters::Parameters;
use super::upstream::{Failure, Upstream};
use crate::domain::{Coordinates, LocationId};
use crate::http::ApiError;
use crate::http::document::{Missing, Problems};
use crate::storage::WeatherCache;

/// How long an answer of the weather service is good for.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// For so long neither the store nor the weather service is asked again, whatever they said.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Of so many places at a time.
const MAX_REMEMBERED: usize = 1000;

/// The weather at a place, as OpenWeatherMap describes it, at most an hour old.
#[utoipa::path(
    get, operation_id = "getLocationWeather", path = "/api/location/{id}/weather", tag = "places", security(()), params(Id),
    responses((status = 200, body = Object), Missing, Problems, Weatherless),
)]
pub(super) async fn weather(
    State(api): State<Arc<Api>>,
    given: Parameters,
) -> Result<Response, ApiError> {
    let id = given.read(location_id)?;
    let coordinates = api.stores.locations.coordinates(id).await?.ok_or(ApiError::NotFound)?;
    let json = api.weather.at(id, coordinates).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json.to_string()).into_response())
}

/// Knows the weather. Of requests for one place that come together, one asks and all get the answer.
pub(super) struct Weather {
    cache: Arc<dyn WeatherCache>,
    upstream: Option<Upstream>,
    remembered: Cache<LocationId, Remembered>,
}

#[derive(Clone)]
struct Remembered {
    since: Instant,
    weather: Result<Arc<str>, Failure>,
}

impl Weather {
    pub(super) fn new(cache: Arc<dyn WeatherCache>, upstream: Option<Upstream>) -> Self {
        Self { cache, upstream, remembered: Cache::new(MAX_REMEMBERED) }
    }

    /// The weather at a place, as JSON.
    async fn at(&self, id: LocationId, place: Coordinates) -> Result<Arc<str>, ApiError> {
        let upstream = self.upstream.as_ref().ok_or(ApiError::NoWeatherKey)?;
        let is_over = |remembered: &Remembered| remembered.since.elapsed() >= REMEMBERED;
        self.remembered.remove_if(&id, is_over);
        // Who asks may be dropped; then the next who waits asks.
        let found = self.remembered.get_or_insert_async(&id, self.ask(upstream, id, place)).await?;
        found.weather.map_err(|failure| match failure {
            Failure::Away => ApiError::WeatherAway,
            Failure::Unknown => ApiError::WeatherUnknown,
        })
    }

    /// Asks the store, and if it does not know, the weather service.
    async fn ask(
        &self,
        upstream: &Upstream,
        id: LocationId,
        place: Coordinates,
    ) -> Result<Remembered, ApiError> {
        let mut weather = self.cache.weather(id).await?.ok_or(Failure::Away);
        if weather.is_err() {
            weather = upstream.weather(place).await;
            if let Ok(json) = &weather {
                self.cache.keep_weather(id, json, LIFE).await?;
            }
        }
        Ok(Remembered { since: Instant::now(), weather: weather.map(Arc::from) })
    }
}
