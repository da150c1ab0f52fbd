//! Histories of Swarm in SQLite.

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, params};

use super::{SqliteStorage, bulk, column, locations, private};
use checkin_domain::{Checkin, Location, LocationId, MAX_SAFE_INTEGER, UserId, Visit};
use checkin_storage::swarm::VISITS_A_SECOND;
use checkin_storage::{Loaded, Result, SwarmLoad, VenueLocation};

#[async_trait]
impl SwarmLoad for SqliteStorage {
    async fn locations_of(&self, venues: &[String]) -> Result<Vec<Option<LocationId>>> {
        let venues = venues.to_vec();
        let read = move |connection: &Connection| {
            venues.iter().map(|venue| location_of(connection, venue)).collect()
        };
        self.file.read(read).await
    }

    async fn remember_venues(&self, venues: &[(String, LocationId)]) -> Result<()> {
        let remember = |connection: &Connection, (venue, id): &(String, LocationId)| {
            remember(connection, venue, *id)
        };
        self.load(venues, remember).await.map(drop)
    }

    async fn make_locations(&self, venues: &[(String, Location)]) -> Result<Vec<VenueLocation>> {
        let make = |connection: &Connection, (venue, location): &(String, Location)| {
            make_location(connection, venue, location)
        };
        self.load(venues, make).await
    }

    async fn load_visits(&self, visits: &[Visit]) -> Result<Vec<Loaded>> {
        let clock = self.file.clock.clone();
        let load = move |connection: &Connection, visit: &Visit| {
            load_visit(connection, visit, clock.now_ms())
        };
        self.load(visits, load).await
    }
}

fn location_of(connection: &Connection, venue: &str) -> rusqlite::Result<Option<LocationId>> {
    let sql = "SELECT location_id FROM swarm_venues WHERE venue = ?1";
    connection.prepare_cached(sql)?.query_row([venue], |row| column::id(row, 0)).optional()
}

fn remember(connection: &Connection, venue: &str, id: LocationId) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO swarm_venues (venue, location_id) VALUES (?1, ?2)";
    let values = params![venue, column::number(id.get())];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

fn make_location(
    connection: &Connection,
    venue: &str,
    location: &Location,
) -> rusqlite::Result<VenueLocation> {
    let id = match location_of(connection, venue)? {
        Some(id) => id,
        None => free_id(connection, location.id)?,
    };
    let made = locations::insert(connection, &Location { id, ..location.clone() })?;
    remember(connection, venue, id)?;
    Ok(VenueLocation { id, made })
}

fn free_id(connection: &Connection, lowest: LocationId) -> rusqlite::Result<LocationId> {
    let sql = "SELECT max(?1, coalesce(max(id), 0) + 1) FROM locations WHERE id <= ?2";
    let parameters = [lowest.get(), MAX_SAFE_INTEGER].map(column::number);
    let id = connection.prepare_cached(sql)?.query_row(parameters, |row| column::whole(row, 0))?;
    LocationId::try_from(id).map_err(|_| column::used_up("locations"))
}

fn load_visit(connection: &Connection, visit: &Visit, now_ms: i64) -> rusqlite::Result<Loaded> {
    let Visit { checkin, swarm_id } = visit;
    let user = checkin.user;
    if let Some(id) = swarm_id
        && (is_known(connection, user, id)? || private::has_visit(connection, user, id)?)
    {
        return Ok(Loaded::Unchanged);
    }
    let (loaded, public) = match checkin.is_private {
        true => load_private(connection, visit, now_ms)?,
        false => load_public(connection, visit, now_ms)?,
    };
    if let (Some(id), Loaded::Stored | Loaded::Unchanged) = (swarm_id, loaded) {
        match public {
            Some(public) => insert_known(connection, &public, id)?,
            None => private::keep_visit(connection, user, id)?,
        }
    }
    Ok(loaded)
}

/// Loads a visit that is private, unless it is there as a public one that belongs to no other visit. Returns that
/// one, too.
fn load_private(
    connection: &Connection,
    Visit { checkin, swarm_id }: &Visit,
    now_ms: i64,
) -> rusqlite::Result<(Loaded, Option<Checkin>)> {
    let belongs = swarm_id.is_some() && belongs(connection, checkin)?;
    let is_public = is_visited(connection, checkin)? || bulk::was_retracted(connection, checkin)?;
    match is_public && !belongs {
        true => Ok((Loaded::Unchanged, Some(checkin.clone()))),
        false => Ok((bulk::load_checkin(connection, checkin, now_ms)?, None)),
    }
}

/// Loads a visit that is public, unless it is there as a private one. Returns the check-in, too, if it is none.
fn load_public(
    connection: &Connection,
    visit: &Visit,
    now_ms: i64,
) -> rusqlite::Result<(Loaded, Option<Checkin>)> {
    if private::is_visited(connection, &visit.checkin)? {
        return Ok((Loaded::Unchanged, None));
    }
    let checkin = match &visit.swarm_id {
        None => Some(visit.checkin.clone()),
        Some(_) => first_unknown(connection, visit)?,
    };
    let Some(checkin) = checkin else { return Ok((Loaded::Unchanged, None)) };
    let loaded = match is_visited(connection, &checkin)? {
        true => Loaded::Unchanged,
        false => bulk::load_checkin(connection, &checkin, now_ms)?,
    };
    Ok((loaded, Some(checkin)))
}

fn is_known(connection: &Connection, user: UserId, swarm_id: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM swarm_visits WHERE user_id = ?1 AND swarm_id = ?2";
    connection.prepare_cached(sql)?.exists(params![column::number(user.get()), swarm_id])
}

/// Returns the check-in at the first millisecond at which no visit of its user at its location is stored.
fn first_unknown(connection: &Connection, visit: &Visit) -> rusqlite::Result<Option<Checkin>> {
    for later in (0..VISITS_A_SECOND).map(|ms| visit.later(ms)) {
        if !belongs(connection, &later)? {
            return Ok(Some(later));
        }
    }
    Ok(None)
}

/// Returns whether the check-in at this location and time belongs to a visit with a Swarm id.
fn belongs(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM swarm_visits
               WHERE user_id = ?1 AND time_ms = ?2 AND location_id = ?3";
    connection.prepare_cached(sql)?.exists(content(checkin))
}

/// Returns whether the user has a check-in at this location and time, of any rating.
pub(super) fn is_visited(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM checkins WHERE user_id = ?1 AND time_ms = ?2 AND location_id = ?3";
    connection.prepare_cached(sql)?.exists(content(checkin))
}

fn insert_known(
    connection: &Connection,
    checkin: &Checkin,
    swarm_id: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO swarm_visits (user_id, time_ms, location_id, swarm_id)
               VALUES (?1, ?2, ?3, ?4)";
    let [user, time, location] = content(checkin);
    let values = params![user, time, location, swarm_id];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

fn content(checkin: &Checkin) -> [i64; 3] {
    [checkin.user.get(), checkin.time_ms, checkin.location.get()].map(column::number)
}
