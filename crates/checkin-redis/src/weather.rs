//! What the weather service said, in Redis.

use std::time::Duration;

use async_trait::async_trait;

use super::{RedisStorage, Reply, text};
use checkin_domain::LocationId;
use checkin_storage::{Result, WeatherCache};

#[async_trait]
impl WeatherCache for RedisStorage {
    async fn weather(&self, location: LocationId) -> Result<Option<String>> {
        match self.call(&["GET", &self.keys.weather(location)]).await? {
            Reply::Nil => Ok(None),
            json => text(json).map(Some),
        }
    }

    async fn keep_weather(&self, location: LocationId, json: &str, life: Duration) -> Result<()> {
        // Redis refuses a life of 0, and one that ends after the last of its milliseconds.
        let life_ms = life.as_millis().clamp(1, LONGEST_LIFE_MS).to_string();
        self.call(&["SET", &self.keys.weather(location), json, "PX", &life_ms]).await?;
        Ok(())
    }
}

/// More than a thousand years.
const LONGEST_LIFE_MS: u128 = 1 << 45;
