//! The responses of the weather service, in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use sqlite_writer::rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStorage, column};
use checkin_domain::LocationId;
use checkin_storage::{Result, WeatherCache};

#[async_trait]
impl WeatherCache for SqliteStorage {
    async fn weather(&self, location: LocationId) -> Result<Option<String>> {
        let (id, now_ms) = (column::number(location.get()), self.file.now_ms());
        let read = move |connection: &Connection| {
            let sql = "SELECT json FROM weather WHERE location_id = ?1 AND expires_ms > ?2";
            connection.prepare_cached(sql)?.query_row([id, now_ms], |row| row.get(0)).optional()
        };
        self.file.look_up(read).await
    }

    async fn keep_weather(&self, location: LocationId, json: &str, life: Duration) -> Result<()> {
        let (id, json) = (column::number(location.get()), json.to_owned());
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = self.file.now_ms().saturating_add(life_ms);
        let write = move |connection: &Connection| {
            // Each location has one row, so that expired rows need not be deleted.
            let sql = "INSERT INTO weather (location_id, json, expires_ms) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET json = ?2, expires_ms = ?3";
            connection.prepare_cached(sql)?.execute(params![id, json, expires_ms])
        };
        self.file.write(write).await?;
        Ok(())
    }
}
