//! The responses of the weather service.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use checkin_domain::LocationId;

/// Caches responses of the weather service.
#[async_trait]
pub trait WeatherCache: Send + Sync {
    /// Returns the cached response for a location.
    async fn weather(&self, location: LocationId) -> Result<Option<String>>;

    /// Stores a response (JSON) for the time `life`.
    async fn keep_weather(&self, location: LocationId, json: &str, life: Duration) -> Result<()>;
}
