//! Locations near a point, from the geographic sets.
//!
//! Redis stores a location to within half a metre, and none beyond 85° of latitude: such locations are stored
//! at the edge of its map, on their own meridian. So we ask for slightly more locations than we need, and
//! for many more only if a circle crosses the edge. The result is decided by the distance to the
//! coordinates in the hash.

use std::collections::HashSet;

use checkin_domain::{Coordinates, EARTH_RADIUS_M, Location, LocationId};
use checkin_storage::nearby::{FAR_SIDE_M, Found, metres};
use checkin_storage::{Nearby, Page, Ranked, Result, readable};
use redis_link::Reply;

use crate::connection::{Connection, IN_FLIGHT, at_once};
use crate::locations;
use crate::reply::{array, text, unexpected};

/// The edge of the map; Redis would accept another thousandth of a degree.
const EDGE: f64 = 85.05;

/// Maximum error of a distance from Redis.
const BLUR_M: f64 = 1.0;

/// The same if the location, the point or both are beyond the edge: twice the distance from there to the
/// pole.
const SHIFT_M: f64 = 2.0 * (90.0 - EDGE) / 180.0 * FAR_SIDE_M + BLUR_M;

pub(crate) async fn places(
    redis: &Connection,
    near: Nearby,
    page: Page,
) -> Result<Vec<Ranked<Location>>> {
    let map = Map::around(near.center);
    let begin_m = page.after.map_or(0.0, |after| metres(after.rank));
    let (mut found, mut seen) = (Found::new(near, page), HashSet::new());
    for circle_m in near.circles(page) {
        let mut candidates = candidates(redis, &near, map, circle_m).await?;
        candidates.retain(|candidate| seen.insert(candidate.id));
        candidates.retain(|candidate| map.at_most(candidate.distance_m) >= begin_m);
        for chunk in candidates.chunks(IN_FLIGHT) {
            let known_m = map.at_least(chunk[0].distance_m).min(circle_m);
            if found.is_full(known_m) {
                return Ok(found.into_page());
            }
            let read = |id| async move { readable(locations::read(redis, id).await) };
            let read = chunk.iter().map(|candidate| read(candidate.id)).collect();
            at_once(read).await?.into_iter().flatten().for_each(|place| found.add(place));
        }
        if found.is_full(circle_m) {
            break;
        }
    }
    Ok(found.into_page())
}

/// Returns all locations that may be in the circle, nearest first according to Redis.
async fn candidates(
    redis: &Connection,
    near: &Nearby,
    map: Map,
    circle_m: f64,
) -> Result<Vec<Candidate>> {
    let key = redis.keys.geo(near.category);
    let (longitude, latitude) = position(near.center);
    let radius_m = map.at_most(circle_m).min(FAR_SIDE_M).to_string();
    let search =
        ["GEOSEARCH", &key, "FROMLONLAT", &longitude, &latitude, "BYRADIUS", &radius_m, "m"];
    let words: Vec<&str> = search.into_iter().chain(["ASC", "WITHDIST"]).collect();
    let found = array(redis.call(&words).await?)?.into_iter();
    found.filter_map(|reply| candidate(redis, &key, reply).transpose()).collect()
}

/// Returns longitude and latitude for a geographic command.
pub(crate) fn position(coordinates: Coordinates) -> (String, String) {
    let latitude = coordinates.latitude().clamp(-EDGE, EDGE);
    let longitude = coordinates.longitude();
    // The same meridian. Redis accepts 180, but calculates wrong distances for it.
    let longitude = if longitude >= 180.0 { -180.0 } else { longitude };
    (longitude.to_string(), latitude.to_string())
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: LocationId,
    /// The distance according to Redis.
    distance_m: f64,
}

fn candidate(redis: &Connection, key: &str, reply: Reply) -> Result<Option<Candidate>> {
    let mut pair = array(reply)?.into_iter();
    let id = text(pair.next().unwrap_or(Reply::Nil))?;
    let distance = text(pair.next().unwrap_or(Reply::Nil))?;
    let distance_m = distance.parse().map_err(|_| unexpected("a distance"))?;
    Ok(redis.listed(key, &id).map(|id| Candidate { id, distance_m }))
}

/// The relation between distances on Redis's map and those on the earth, for one point.
#[derive(Clone, Copy, Debug)]
struct Map {
    /// No location beyond the edge is nearer.
    edge_m: f64,
}

impl Map {
    fn around(center: Coordinates) -> Self {
        let degrees = EDGE - center.latitude().abs();
        Self { edge_m: (degrees.to_radians() * EARTH_RADIUS_M - BLUR_M).max(0.0) }
    }

    /// Returns the minimum distance of a location that is `map_m` metres away on the map, and of all locations
    /// after it.
    fn at_least(self, map_m: f64) -> f64 {
        (map_m - BLUR_M).min(self.edge_m.max(map_m - SHIFT_M))
    }

    /// Returns the maximum distance of a location that is `map_m` metres away on the map; and the other way
    /// round.
    fn at_most(self, map_m: f64) -> f64 {
        if map_m + BLUR_M < self.edge_m { map_m + BLUR_M } else { map_m + SHIFT_M }
    }
}
