//! What the weather service said.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::LocationId;
use checkin_storage::{Result, WeatherCache};

use crate::store::MemoryStorage;

#[async_trait]
impl WeatherCache for MemoryStorage {
    async fn weather(&self, location: LocationId) -> Result<Option<String>> {
        let contents = self.contents();
        let kept = contents.weather.get(&location).filter(|(_, until)| *until > contents.now_ms);
        Ok(kept.map(|(json, _)| json.clone()))
    }

    async fn keep_weather(&self, location: LocationId, json: &str, life: Duration) -> Result<()> {
        let mut contents = self.contents();
        let until = contents.until(life);
        contents.weather.insert(location, (json.to_owned(), until));
        Ok(())
    }
}
