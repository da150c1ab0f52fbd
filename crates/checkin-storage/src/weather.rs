//! What the weather service said.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use checkin_domain::LocationId;

/// Remembers answers of the weather service.
#[async_trait]
pub trait WeatherCache: Send + Sync {
    /// The answer that is remembered for a place.
    async fn weather(&self, location: LocationId) -> Result<Option<String>>;

    /// Remembers an answer (JSON) for so long.
    async fn keep_weather(&self, location: LocationId, json: &str, life: Duration) -> Result<()>;
}
