//! Places near a point, from the geographic sets.
//!
//! Redis knows a place to within half a metre, and none beyond 85° of latitude: those stand at the
//! edge of its map, on their own meridian. So it is asked for a little more than is wanted, and for
//! much more only where a circle reaches over the edge; what counts is the distance from the
//! coordinates in the hash.

use std::collections::HashSet;

use checkin_domain::{Coordinates, EARTH_RADIUS_M, Location, LocationId};
use checkin_storage::nearby::{FAR_SIDE_M, Found, metres};
use checkin_storage::{Nearby, Page, Ranked, Result, readable};
use redis_link::Reply;

use crate::connection::{Connection, IN_FLIGHT, at_once};
use crate::locations;
use crate::reply::{array, text, unexpected};

/// The edge of the map; Redis would take another thousandth of a degree.
const EDGE: f64 = 85.05;

/// How far a distance from Redis is off, at most.
const BLUR_M: f64 = 1.0;

/// The same where the place, the point or both lie beyond the edge: from there to the pole, twice.
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

/// All places that may lie in the circle, nearest first as Redis sees it.
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

/// Longitude and latitude for a geographic command.
pub(crate) fn position(coordinates: Coordinates) -> (String, String) {
    let latitude = coordinates.latitude().clamp(-EDGE, EDGE);
    let longitude = coordinates.longitude();
    // The same meridian; at 180 itself, which it takes, Redis miscalculates.
    let longitude = if longitude >= 180.0 { -180.0 } else { longitude };
    (longitude.to_string(), latitude.to_string())
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: LocationId,
    /// As Redis sees it.
    distance_m: f64,
}

fn candidate(redis: &Connection, key: &str, reply: Reply) -> Result<Option<Candidate>> {
    let mut pair = array(reply)?.into_iter();
    let id = text(pair.next().unwrap_or(Reply::Nil))?;
    let distance = text(pair.next().unwrap_or(Reply::Nil))?;
    let distance_m = distance.parse().map_err(|_| unexpected("a distance"))?;
    Ok(redis.listed(key, &id).map(|id| Candidate { id, distance_m }))
}

/// What distances on Redis's map, from one point, say of those on the earth.
#[derive(Clone, Copy, Debug)]
struct Map {
    /// No place beyond the edge is nearer.
    edge_m: f64,
}

impl Map {
    fn around(center: Coordinates) -> Self {
        let degrees = EDGE - center.latitude().abs();
        Self { edge_m: (degrees.to_radians() * EARTH_RADIUS_M - BLUR_M).max(0.0) }
    }

    /// A place at so many metres on the map is at least this far away, as are all behind it.
    fn at_least(self, map_m: f64) -> f64 {
        (map_m - BLUR_M).min(self.edge_m.max(map_m - SHIFT_M))
    }

    /// A place at so many metres on the map is at most this far away; and the other way round.
    fn at_most(self, map_m: f64) -> f64 {
        if map_m + BLUR_M < self.edge_m { map_m + BLUR_M } else { map_m + SHIFT_M }
    }
}
