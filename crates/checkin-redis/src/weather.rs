//! The responses of the weather service, in Redis.

use std::time::Duration;

use async_trait::async_trait;

use checkin_domain::LocationId;
use checkin_storage::{Result, WeatherCache};
use redis_link::Reply;

use crate::RedisStorage;
use crate::connection::LONGEST_LIFE_MS;
use crate::reply::text;

#[async_trait]
impl WeatherCache for RedisStorage {
    async fn weather(&self, location: LocationId) -> Result<Option<String>> {
        match self.redis.call(&["GET", &self.redis.keys.weather(location)]).await? {
            Reply::Nil => Ok(None),
            json => text(json).map(Some),
        }
    }

    async fn keep_weather(&self, location: LocationId, json: &str, life: Duration) -> Result<()> {
        // Redis refuses a time to live of 0, and one that ends after its last millisecond.
        let life_ms = life.as_millis().clamp(1, LONGEST_LIFE_MS).to_string();
        self.redis.call(&["SET", &self.redis.keys.weather(location), json, "PX", &life_ms]).await?;
        Ok(())
    }
}
