//! Bulk loads into SQLite.

use async_trait::async_trait;
use tower_express_session::store::sqlite::rusqlite::{self, Connection, params};

use super::{SqliteStorage, checkins, column, locations, users};
use crate::domain::{Checkin, CheckinId, Location, LocationDetails, LocationId, User, UserId};
use crate::storage::{BulkLoad, Loaded, Result, StorageError};

/// Records that share one write, so that others get their turn during a long load.
const CHUNK: usize = 1000;

#[async_trait]
impl BulkLoad for SqliteStorage {
    async fn is_empty(&self) -> Result<bool> {
        let read = |connection: &Connection| {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM users)
                          AND NOT EXISTS (SELECT 1 FROM locations)";
            connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
        };
        Ok(self.database.read(read).await?)
    }

    async fn load_users(&self, users: &[User]) -> Result<Vec<Loaded>> {
        self.load(users, load_user).await
    }

    async fn load_locations(&self, locations: &[Location]) -> Result<Vec<Loaded>> {
        self.load(locations, |connection, location| {
            Ok(stored(locations::insert(connection, location)?))
        })
        .await
    }

    async fn load_details(&self, details: &[LocationDetails]) -> Result<Vec<Loaded>> {
        self.load(details, |connection, details| {
            if !has_location(connection, details.id)? {
                return Ok(Loaded::Dangling);
            }
            Ok(stored(locations::insert_details(connection, details)?))
        })
        .await
    }

    async fn load_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>> {
        if let Some(checkin) = checkins.iter().find(|checkin| !fits(checkin.id)) {
            let id = checkin.id;
            return Err(StorageError::new(format!(
                "check-in {id}: SQLite holds no number so large"
            )));
        }
        self.load(checkins, load_checkin).await
    }
}

impl SqliteStorage {
    async fn load<T: Clone + Send + Sync + 'static>(
        &self,
        records: &[T],
        store: fn(&Connection, &T) -> rusqlite::Result<Loaded>,
    ) -> Result<Vec<Loaded>> {
        let mut loaded = Vec::with_capacity(records.len());
        for chunk in records.chunks(CHUNK) {
            let chunk = chunk.to_vec();
            let write = move |connection: &Connection| {
                chunk.iter().map(|record| store(connection, record)).collect()
            };
            let answers: Vec<Loaded> = self.database.write(write).await?;
            loaded.extend(answers);
        }
        Ok(loaded)
    }
}

fn stored(inserted: bool) -> Loaded {
    if inserted { Loaded::Stored } else { Loaded::Unchanged }
}

fn load_user(connection: &Connection, user: &User) -> rusqlite::Result<Loaded> {
    if users::insert(connection, user)? {
        return Ok(Loaded::Stored);
    }
    if has_user(connection, user.id)? {
        return Ok(Loaded::Unchanged);
    }
    let sql = "SELECT id FROM users WHERE email_canonical = ?1";
    let owner = connection
        .prepare_cached(sql)?
        .query_row([user.email.canonical()], |row| column::id(row, 0))?;
    Ok(Loaded::EmailTaken(owner))
}

fn load_checkin(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<Loaded> {
    if !has_user(connection, checkin.user)? || !has_location(connection, checkin.location)? {
        return Ok(Loaded::Dangling);
    }
    if checkin.id > checkins::last_id(connection)? {
        checkins::insert(connection, checkin)?;
        return Ok(Loaded::Stored);
    }
    let sql = "SELECT 1 FROM checkins WHERE ms = ?1 AND seq = ?2";
    let id = params![column::number(checkin.id.ms), column::number(checkin.id.seq)];
    let there = connection.prepare_cached(sql)?.exists(id)?;
    Ok(if there { Loaded::Unchanged } else { Loaded::TooOld })
}

fn has_user(connection: &Connection, id: UserId) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM users WHERE id = ?1";
    connection.prepare_cached(sql)?.exists([column::number(id.get())])
}

fn has_location(connection: &Connection, id: LocationId) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM locations WHERE id = ?1";
    connection.prepare_cached(sql)?.exists([column::number(id.get())])
}

fn fits(id: CheckinId) -> bool {
    i64::try_from(id.ms).is_ok() && i64::try_from(id.seq).is_ok()
}
