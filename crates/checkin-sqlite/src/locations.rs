//! Locations in SQLite.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlite_writer::rusqlite::types::Type;
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use super::{SqliteStorage, column, words};
use checkin_domain::{
    Category, Coordinates, DetailsSection, Location, LocationDetails, LocationId, StarRating,
};
use checkin_storage::{Locations, Result, details};

pub(super) const COLUMNS: &str = "id, name, category, longitude, latitude, num_checkins, num_stars";

#[async_trait]
impl Locations for SqliteStorage {
    async fn location(&self, id: LocationId) -> Result<Option<Location>> {
        let number = column::number(id.get());
        let read = self.file.look_up(move |connection| by_id(connection, number)).await;
        self.file.reports.logged(format_args!("locations {id}"), read)
    }

    async fn coordinates(&self, id: LocationId) -> Result<Option<Coordinates>> {
        let number = column::number(id.get());
        let read = move |connection: &Connection| {
            let sql = "SELECT longitude, latitude FROM locations WHERE id = ?1";
            let coordinates = |row: &Row<'_>| coordinates(row, 0);
            connection.prepare_cached(sql)?.query_row([number], coordinates).optional()
        };
        let read = self.file.look_up(read).await;
        self.file.reports.logged(format_args!("locations {id}"), read)
    }

    async fn categories(&self, ids: &[LocationId]) -> Result<HashMap<LocationId, Category>> {
        let (ids, reports) = (ids.to_vec(), self.file.reports.clone());
        let read = move |connection: &Connection| {
            let mut categories = HashMap::new();
            let sql = "SELECT category FROM locations WHERE id = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            for id in ids {
                let number = column::number(id.get());
                let read = statement.query_row([number], |row| category(row, 0)).optional();
                let found = column::readable(&reports, || format!("locations {id}"), read)?;
                categories.extend(found.flatten().map(|category| (id, category)));
            }
            Ok(categories)
        };
        self.file.read(read).await
    }

    async fn location_details(
        &self,
        id: LocationId,
        sections: &[DetailsSection],
    ) -> Result<Option<LocationDetails>> {
        let text = self.file.look_up(move |connection| details_text(connection, id)).await;
        let read = text;
        let read = read
            .and_then(|text| text.map(|text| details::from_json(id, &text, sections)).transpose());
        self.file.reports.logged(format_args!("location_details {id}"), read)
    }

    async fn locations_after(
        &self,
        after: Option<LocationId>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let after = after.map_or(0, |id| column::number(id.get()));
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let sql = format!("SELECT {COLUMNS} FROM locations WHERE id > ?1 ORDER BY id");
            let mut statement = connection.prepare_cached(&sql)?;
            column::readable_rows(&reports, "locations", &mut statement, [after], limit, location)
        };
        self.file.read(read).await
    }

    async fn ratings(&self, id: LocationId) -> Result<[u64; 6]> {
        let read = move |connection: &Connection| {
            let sql = "SELECT stars, num_checkins FROM location_ratings WHERE location_id = ?1";
            let mut ratings = [0; 6];
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([column::number(id.get())])?;
            while let Some(row) = rows.next()? {
                let stars: StarRating = column::id(row, 0)?;
                ratings[usize::from(stars.get())] = column::whole(row, 1)?;
            }
            Ok(ratings)
        };
        self.file.look_up(read).await
    }
}

pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<Location>> {
    let sql = format!("SELECT {COLUMNS} FROM locations WHERE id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], location).optional()
}

/// Reads the details of a location as JSON.
pub(super) fn details_text(
    connection: &Connection,
    id: LocationId,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT details FROM location_details WHERE location_id = ?1";
    let id = column::number(id.get());
    connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()
}

/// Inserts a location. Returns false if the id is taken.
pub(super) fn insert(connection: &Connection, location: &Location) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO locations
                   (id, name, category, longitude, latitude, num_checkins, num_stars,
                    base_checkins, base_stars, words)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    let inserted = connection.prepare_cached(sql)?.execute(params![
        column::number(location.id.get()),
        location.name,
        location.category.as_str(),
        location.coordinates.longitude(),
        location.coordinates.latitude(),
        column::number(location.num_checkins),
        column::number(location.num_stars),
        words::indexed(&location.name),
    ])?;
    Ok(inserted == 1)
}

/// Inserts details. Returns false if the location already has details.
pub(super) fn insert_details(
    connection: &Connection,
    details: &LocationDetails,
) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO location_details (location_id, details)
               VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let values = params![column::number(details.id.get()), details::to_json(details)];
    Ok(connection.prepare_cached(sql)?.execute(values)? == 1)
}

/// Reads a row of [`COLUMNS`].
pub(super) fn location(row: &Row<'_>) -> rusqlite::Result<Location> {
    Ok(Location {
        id: column::id(row, 0)?,
        name: row.get(1)?,
        category: category(row, 2)?,
        coordinates: coordinates(row, 3)?,
        num_checkins: column::whole(row, 5)?,
        num_stars: column::whole(row, 6)?,
    })
}

fn category(row: &Row<'_>, column: usize) -> rusqlite::Result<Category> {
    column::text(row, column, |text| text.parse())
}

/// Reads a column with the longitude, and the next one with the latitude.
fn coordinates(row: &Row<'_>, column: usize) -> rusqlite::Result<Coordinates> {
    let coordinates = Coordinates::new(row.get(column)?, row.get(column + 1)?);
    coordinates.map_err(|cause| column::wrong(column, Type::Real, cause))
}
