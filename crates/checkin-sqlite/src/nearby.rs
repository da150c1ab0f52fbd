//! Locations near a point.

use std::collections::HashSet;
use std::convert::Infallible;

use sqlite_writer::rusqlite::{self, Connection, params};

use super::{column, directory, locations};
use checkin_domain::{Category, Location};
use checkin_storage::Reports;
use checkin_storage::nearby::{Area, Cell, Found, Frontier, MOST_IN_CELL, Step};
use checkin_storage::{FoundLocations, MAX_CANDIDATES, Nearby, Page};

pub(super) fn page(
    connection: &Connection,
    reports: &Reports,
    near: Nearby,
    page: Page,
) -> rusqlite::Result<FoundLocations> {
    let (mut found, mut seen) = (Found::new(near, page), HashSet::new());
    if let Some(category) = near.category.filter(|_| page.limit > 0)
        && is_rare(connection, category)?
    {
        places_of(connection, reports, category)?.into_iter().for_each(|place| found.add(place));
        return Ok(found.into_page());
    }
    let mut frontier = Frontier::<Infallible>::new(near, page);
    let (begin_mm, mut of_others) = (page.after.map_or(0, |after| after.rank), 0);
    while frontier.nearest_m().is_some_and(|nearest_m| !found.is_full(nearest_m)) {
        let Some((at_least_mm, Step::Cell(cell))) = frontier.pop() else { break };
        // The next page must begin further away than this one.
        if of_others >= MAX_CANDIDATES && at_least_mm.saturating_sub(1) > begin_mm {
            return Ok(found.into_part(at_least_mm));
        }
        if has_many(connection, cell)? {
            frontier.divide(cell);
            continue;
        }
        for place in places_in(connection, reports, cell.area())? {
            // A location close to its border is found in the next cell, too.
            if seen.insert(place.id) {
                // Each page has to look at all cells across its beginning.
                let is_behind = at_least_mm > begin_mm;
                let is_other = near.category.is_some_and(|category| place.category != category);
                of_others += usize::from(is_behind && is_other);
                found.add(place);
            }
        }
    }
    Ok(found.into_page())
}

/// Returns whether a category has so few locations that all of them are read. The boxes do not know the
/// categories, so a search for few locations would check many others.
fn is_rare(connection: &Connection, category: Category) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM locations WHERE category = ?1 LIMIT ?2)";
    let parameters = params![category.as_str(), column::limit(MAX_CANDIDATES + 1)];
    let count: i64 = connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(count <= column::limit(MAX_CANDIDATES))
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
