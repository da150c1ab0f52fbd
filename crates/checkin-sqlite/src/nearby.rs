//! Locations near a point.

use std::collections::HashSet;
use std::convert::Infallible;

use sqlite_writer::rusqlite::{self, Connection, params};

use super::{column, directory, locations};
use checkin_domain::{Category, Location};
use checkin_storage::Reports;
use checkin_storage::nearby::{Area, Cell, Found, Frontier, MOST_IN_CELL, Step};
use checkin_storage::{Nearby, Page, Ranked};

/// The maximum number of locations in a category that are read together.
const MOST_IN_RARE_CATEGORY: i64 = 1000;

pub(super) fn page(
    connection: &Connection,
    reports: &Reports,
    near: Nearby,
    page: Page,
) -> rusqlite::Result<Vec<Ranked<Location>>> {
    let (mut found, mut seen) = (Found::new(near, page), HashSet::new());
    if let Some(category) = near.category.filter(|_| page.limit > 0)
        && is_rare(connection, category)?
    {
        places_of(connection, reports, category)?.into_iter().for_each(|place| found.add(place));
        return Ok(found.into_page());
    }
    let mut frontier = Frontier::<Infallible>::new(near, page);
    while frontier.nearest_m().is_some_and(|nearest_m| !found.is_full(nearest_m)) {
        let Some((_, Step::Cell(cell))) = frontier.pop() else { break };
        if has_many(connection, cell)? {
            frontier.divide(cell);
            continue;
        }
        for place in places_in(connection, reports, cell.area())? {
            // A location close to its border is found in the next cell, too.
            if seen.insert(place.id) {
                found.add(place);
            }
        }
    }
    Ok(found.into_page())
}

/// Returns whether a category has so few locations that all of them are read. The boxes do not know the
/// categories, so a search for a few locations would read all that are nearer.
fn is_rare(connection: &Connection, category: Category) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM locations WHERE category = ?1 LIMIT ?2)";
    let parameters = params![category.as_str(), MOST_IN_RARE_CATEGORY + 1];
    let count: i64 = connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(count <= MOST_IN_RARE_CATEGORY)
}

fn places_of(
    connection: &Connection,
    reports: &Reports,
    category: Category,
) -> rusqlite::Result<Vec<Location>> {
    let mut statement = connection.prepare_cached(&directory::locations_in())?;
    let (parameters, read) = (params![0, category.as_str()], locations::location);
    column::readable_rows(reports, "locations", &mut statement, parameters, usize::MAX, read)
}

/// Returns whether there are so many locations in a cell that it has to be divided.
fn has_many(connection: &Connection, cell: Cell) -> rusqlite::Result<bool> {
    if cell.is_smallest() {
        return Ok(false);
    }
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {BOXES} LIMIT ?5)");
    let Area { west, east, south, north } = cell.area();
    let parameters = params![west, east, south, north, MOST_IN_CELL + 1];
    let count: i64 = connection.prepare_cached(&sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(count > MOST_IN_CELL)
}

fn places_in(
    connection: &Connection,
    reports: &Reports,
    area: Area,
) -> rusqlite::Result<Vec<Location>> {
    let mut statement = connection.prepare_cached(&sql())?;
    let Area { west, east, south, north } = area;
    let parameters = [west, east, south, north];
    let (table, read) = ("locations", locations::location);
    column::readable_rows(reports, table, &mut statement, parameters, usize::MAX, read)
}

/// The locations in an area. The boxes have 32 bits, so some of them are slightly outside.
const BOXES: &str = "location_boxes AS boxes
    WHERE boxes.east >= ?1 AND boxes.west <= ?2 AND boxes.north >= ?3 AND boxes.south <= ?4";

pub(super) fn sql() -> String {
    let columns = locations::COLUMNS.replacen("id", "locations.id", 1);
    let boxes =
        BOXES.replacen("AS boxes", "AS boxes CROSS JOIN locations ON locations.id = boxes.id", 1);
    format!("SELECT {columns} FROM {boxes}")
}
