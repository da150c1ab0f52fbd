//! Locations near a point, from the geographic sets.
//!
//! A geographic set is a sorted set. The score of a location has the bits of its coordinates, so that the
//! locations of a cell are a range of scores. We read the ranges of the nearest cells, and no command reads
//! many locations. GEOSEARCH would read all locations from the point to the page.
//!
//! Redis stores a location to within half a metre, and none beyond 85° of latitude: such locations are stored
//! at the edge of its map, on their own meridian. The result is decided by the distance to the coordinates in
//! the hash.

use checkin_domain::{Coordinates, Location, LocationId};
use checkin_storage::nearby::{Cell, EDGE, Found, Frontier, MOST_IN_CELL, Step};
use checkin_storage::{FoundLocations, Nearby, Page, Result, readable};

use crate::connection::{Connection, IN_FLIGHT, at_once};
use crate::locations;
use crate::reply::{number, scored, unexpected};

pub(crate) async fn places(redis: &Connection, near: Nearby, page: Page) -> Result<FoundLocations> {
    let key = redis.keys.geo(near.category);
    let (mut found, mut frontier) = (Found::new(near, page), Frontier::new(near, page));
    while frontier.nearest_m().is_some_and(|nearest_m| !found.is_full(nearest_m)) {
        let steps = frontier.take(page.limit.min(IN_FLIGHT));
        let seen = steps.into_iter().map(|step| look(redis, &key, step)).collect();
        for seen in at_once(seen).await? {
            match seen {
                Seen::Many(cell) => frontier.divide(cell),
                Seen::Few(entries) => {
                    entries.into_iter().for_each(|(id, cell)| frontier.add_place(id, cell));
                }
                Seen::Place(place) => place.into_iter().for_each(|place| found.add(place)),
            }
        }
    }
    Ok(found.into_page())
}

/// What there is in a step of a search.
enum Seen {
    /// More locations than are read from a cell, which has to be divided.
    Many(Cell),
    /// Locations, each with the smallest cell that contains it.
    Few(Vec<(LocationId, Cell)>),
    /// A location, unless there is none of this id.
    Place(Option<Location>),
}

async fn look(redis: &Connection, key: &str, step: Step<LocationId>) -> Result<Seen> {
    let cell = match step {
        Step::Place(id) => return readable(locations::read(redis, id).await).map(Seen::Place),
        Step::Cell(cell) => cell,
    };
    let scores = cell.scores();
    let (begin, end) = (scores.start.to_string(), format!("({}", scores.end));
    // Counting takes much less time than reading.
    let count = number(redis.call(&["ZCOUNT", key, &begin, &end]).await?)?;
    if count > MOST_IN_CELL && !cell.is_smallest() {
        return Ok(Seen::Many(cell));
    }
    if count == 0 {
        return Ok(Seen::Few(Vec::new()));
    }
    let range = ["ZRANGEBYSCORE", key, &begin, &end, "WITHSCORES"];
    let entries = scored(redis.call(&range).await?)?;
    let entry = |(id, score): &(String, String)| {
        // Scores are floating-point numbers, which represent all our numbers exactly.
        let score: f64 = score.parse().map_err(|_| unexpected("a score"))?;
        Ok(redis.listed(key, id).map(|id| (id, Cell::of_score(score as u64))))
    };
    entries
        .iter()
        .filter_map(|found| entry(found).transpose())
        .collect::<Result<_>>()
        .map(Seen::Few)
}

/// Returns longitude and latitude for a geographic command.
pub(crate) fn position(coordinates: Coordinates) -> (String, String) {
    let latitude = coordinates.latitude().clamp(-EDGE, EDGE);
    let longitude = coordinates.longitude();
    // The same meridian. Redis accepts 180, but calculates wrong distances for it.
    let longitude = if longitude >= 180.0 { -180.0 } else { longitude };
    (longitude.to_string(), latitude.to_string())
}
