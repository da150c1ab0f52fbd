//! Reads the weather at a location, and caches it for an hour.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::upstream::{Failure, Upstream};
use crate::domain::{Coordinates, LocationId};
use crate::storage::{Locations, StorageError, WeatherCache};

/// How long a response of the weather service is valid.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// How long a result is reused, whatever it was, before the store or the weather service is asked
/// again.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The maximum number of locations whose result is cached for that long.
const MAX_REMEMBERED: usize = 1000;

/// Reads the weather. If several requests for one location arrive together, one asks the service
/// and all get the result.
pub(crate) struct WeatherLookup {
    locations: Arc<dyn Locations>,
    cache: Arc<dyn WeatherCache>,
    upstream: Option<Upstream>,
    remembered: Cache<LocationId, Remembered>,
}

#[derive(Clone)]
struct Remembered {
    since: Instant,
    weather: Result<Arc<str>, Failure>,
}

/// Why there is no weather.
#[derive(Debug)]
pub(crate) enum WeatherError {
    /// The location does not exist.
    UnknownLocation,
    /// This process has no key for the weather service.
    NoKey,
    /// The weather service failed.
    Upstream(Failure),
    /// The store failed.
    Storage(StorageError),
}

impl WeatherLookup {
    /// Creates the use case. Without an `upstream`, every call fails with [`WeatherError::NoKey`].
    pub(crate) fn new(
        locations: Arc<dyn Locations>,
        cache: Arc<dyn WeatherCache>,
        upstream: Option<Upstream>,
    ) -> Self {
        Self { locations, cache, upstream, remembered: Cache::new(MAX_REMEMBERED) }
    }

    /// Returns the weather at a location as the weather service describes it: a JSON object.
    ///
    /// # Cancel safety
    ///
    /// If the caller that asks is dropped, one of those that wait asks again.
    pub(crate) async fn at(&self, id: LocationId) -> Result<Arc<str>, WeatherError> {
        let coordinates = self.locations.coordinates(id).await?;
        let coordinates = coordinates.ok_or(WeatherError::UnknownLocation)?;
        let upstream = self.upstream.as_ref().ok_or(WeatherError::NoKey)?;
        let is_over = |remembered: &Remembered| remembered.since.elapsed() >= REMEMBERED;
        self.remembered.remove_if(&id, is_over);
        let ask = self.ask(upstream, id, coordinates);
        let found = self.remembered.get_or_insert_async(&id, ask).await?;
        found.weather.map_err(WeatherError::Upstream)
    }

    /// Asks the store, then the weather service.
    async fn ask(
        &self,
        upstream: &Upstream,
        id: LocationId,
        place: Coordinates,
    ) -> Result<Remembered, StorageError> {
        let mut weather = self.cache.weather(id).await?.ok_or(Failure::Unavailable);
        if weather.is_err() {
            weather = upstream.weather(place).await;
            if let Ok(json) = &weather {
                self.cache.keep_weather(id, json, LIFE).await?;
            }
        }
        Ok(Remembered { since: Instant::now(), weather: weather.map(Arc::from) })
    }
}

impl From<StorageError> for WeatherError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
