//! Loading data in bulk into SQLite.

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, params};

use super::retention::horizon_ms;
use super::{SqliteStorage, column, locations, log, private, standing, swarm, users};
use checkin_domain::{Checkin, CheckinId, Location, LocationDetails, LocationId, User, UserId};
use checkin_storage::{BulkLoad, Loaded, Result, StorageError};

/// Maximum number of records in one write, so that other writers need not wait for a long load.
const CHUNK: usize = 1000;

#[async_trait]
impl BulkLoad for SqliteStorage {
    async fn is_empty(&self) -> Result<bool> {
        let read = |connection: &Connection| {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM accounts)
                          AND NOT EXISTS (SELECT 1 FROM locations)";
            connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
        };
        self.file.read(read).await
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
                "check-in {id}: SQLite cannot store so large a number"
            )));
        }
        let clock = self.file.clock.clone();
        self.load(checkins, move |connection, checkin| match other_form(connection, checkin)? {
            Some(other) => Ok(other),
            None => load_checkin(connection, checkin, clock.now_ms()),
        })
        .await
    }
}

impl SqliteStorage {
    /// Stores the records in chunks, each in one transaction. Returns one result for each, in order.
    pub(super) async fn load<T: Clone + Send + Sync + 'static, A: Send + 'static>(
        &self,
        records: &[T],
        store: impl Fn(&Connection, &T) -> rusqlite::Result<A> + Clone + Send + 'static,
    ) -> Result<Vec<A>> {
        let mut loaded = Vec::with_capacity(records.len());
        for chunk in records.chunks(CHUNK) {
            let (chunk, store) = (chunk.to_vec(), store.clone());
            let write = move |connection: &Connection| {
                chunk.iter().map(|record| store(connection, record)).collect()
            };
            let answers: Vec<A> = self.file.write(write).await?;
            loaded.extend(answers);
        }
        Ok(loaded)
    }
}

fn stored(inserted: bool) -> Loaded {
    if inserted { Loaded::Stored } else { Loaded::Unchanged }
}

fn load_user(connection: &Connection, user: &User) -> rusqlite::Result<Loaded> {
    if has_user(connection, user.id)? {
        return Ok(Loaded::Unchanged);
    }
    if let Some(owner) = users::owner_of(connection, &user.email)? {
        return Ok(Loaded::EmailTaken(owner));
    }
    users::insert(connection, user).map(stored)
}

/// Returns the answer for a check-in that is there, or was until it was retracted, as a private one if it is public, or
/// as a public one if it is private, but not as what it is.
fn other_form(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<Option<Loaded>> {
    let was_public = was_retracted(connection, checkin)?;
    let was_private = private::was_retracted(connection, checkin.user, checkin.id)?;
    let is_public = swarm::is_visited(connection, checkin)?;
    let is_private = private::is_visited(connection, checkin)?;
    let (own, was_other, is_other, answer) = match checkin.is_private {
        true => (is_private || was_private, was_public, is_public, Loaded::IsPublic),
        false => (is_public || was_public, was_private, is_private, Loaded::IsPrivate),
    };
    Ok(match (own, was_other) {
        (true, _) => None,
        (false, true) => Some(Loaded::Unchanged),
        (false, false) => is_other.then_some(answer),
    })
}

pub(super) fn load_checkin(
    connection: &Connection,
    checkin: &Checkin,
    now_ms: i64,
) -> rusqlite::Result<Loaded> {
    let has_user =
        has_user(connection, checkin.user)? && !standing::is_deleted(connection, checkin.user)?;
    if !has_user || !has_location(connection, checkin.location)? {
        return Ok(Loaded::Dangling);
    }
    if checkin.is_private {
        return private::load(connection, checkin);
    }
    if is_there(connection, checkin)? {
        return Ok(Loaded::Unchanged);
    }
    if checkin.time_ms < horizon_ms(connection)? {
        return Ok(Loaded::TooOld);
    }
    let own = checkin.id > log::last_id(connection)? && checkin.time_ms == checkin.id.ms;
    let id = match own {
        true => checkin.id,
        // The id of an entry is not before its time.
        false => log::next_id(connection, now_ms.max(column::number(checkin.time_ms)))?,
    };
    log::insert(connection, &Checkin { id, ..checkin.clone() })?;
    Ok(Loaded::Stored)
}

/// Returns whether there is, or was until it was retracted, an entry with this id, or the same visit.
fn is_there(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM checkins WHERE ms = ?1 AND seq = ?2
               UNION ALL
               SELECT 1 FROM checkins
               WHERE user_id = ?3 AND time_ms = ?4 AND location_id = ?5 AND stars = ?6 AND time_ms < ms";
    let (ms, seq) = column::position(checkin.id);
    let is_entry = connection.prepare_cached(sql)?.exists(params![
        ms,
        seq,
        column::number(checkin.user.get()),
        column::number(checkin.time_ms),
        column::number(checkin.location.get()),
        checkin.stars.get(),
    ])?;
    Ok(is_entry || was_retracted(connection, checkin)?)
}

/// Returns whether an entry with this id was retracted, or one of its user at its time that was stored behind later
/// ones.
pub(super) fn was_retracted(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM retractions WHERE ms = ?1 AND seq = ?2
               UNION ALL
               SELECT 1 FROM retractions WHERE user_id = ?3 AND time_ms = ?4 AND time_ms < ms";
    let (ms, seq) = column::position(checkin.id);
    let (user, time) = (column::number(checkin.user.get()), column::number(checkin.time_ms));
    connection.prepare_cached(sql)?.exists([ms, seq, user, time])
}

fn has_user(connection: &Connection, id: UserId) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM accounts WHERE id = ?1";
    connection.prepare_cached(sql)?.exists([column::number(id.get())])
}

fn has_location(connection: &Connection, id: LocationId) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM locations WHERE id = ?1";
    connection.prepare_cached(sql)?.exists([column::number(id.get())])
}

fn fits(id: CheckinId) -> bool {
    i64::try_from(id.ms).is_ok() && i64::try_from(id.seq).is_ok()
}
