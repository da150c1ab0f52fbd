//! Locations near a point.

use sqlite_writer::rusqlite::{self, Connection};

use super::{column, locations};
use checkin_domain::{Coordinates, EARTH_RADIUS_M, Location};
use checkin_storage::Reports;
use checkin_storage::nearby::Found;
use checkin_storage::{Nearby, Page, Ranked};

/// The margin of a box around its circle, in metres. It is larger than all rounding errors.
const MARGIN_M: f64 = 1.0;

pub(super) fn page(
    connection: &Connection,
    reports: &Reports,
    near: Nearby,
    page: Page,
) -> rusqlite::Result<Vec<Ranked<Location>>> {
    let mut found = Found::new(near, page);
    for circle_m in near.circles(page) {
        found = Found::new(near, page);
        for area in boxes(near.center, circle_m) {
            add_from(connection, reports, area, &mut found)?;
        }
        if found.is_full(circle_m) {
            break;
        }
    }
    Ok(found.into_page())
}

fn add_from(
    connection: &Connection,
    reports: &Reports,
    area: Area,
    found: &mut Found,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&sql())?;
    let Area { west, east, south, north } = area;
    let mut rows = statement.query([west, east, south, north])?;
    while let Some(row) = rows.next()? {
        let label = || format!("locations {}", row.get::<_, i64>(0).unwrap_or_default());
        let place = column::readable(reports, label, locations::location(row))?;
        place.into_iter().for_each(|place| found.add(place));
    }
    Ok(())
}

pub(super) fn sql() -> String {
    let columns = locations::COLUMNS.replacen("id", "locations.id", 1);
    format!(
        "SELECT {columns} FROM location_boxes AS boxes CROSS JOIN locations ON locations.id = boxes.id
         WHERE boxes.east >= ?1 AND boxes.west <= ?2 AND boxes.north >= ?3 AND boxes.south <= ?4"
    )
}

/// An area between two meridians and two parallels, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Area {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

/// Returns the box that contains a circle, or two boxes if the circle crosses the meridian of 180°.
/// They do not overlap.
fn boxes(center: Coordinates, radius_m: f64) -> Vec<Area> {
    let angle = (radius_m + MARGIN_M) / EARTH_RADIUS_M;
    let (longitude, latitude) = (center.longitude(), center.latitude());
    let (south, north) = (latitude - angle.to_degrees(), latitude + angle.to_degrees());
    let area = |west, east| Area { west, east, south, north };
    if south <= -90.0 || north >= 90.0 {
        // The circle contains a pole and therefore all meridians.
        return vec![area(-180.0, 180.0)];
    }
    // The outermost meridians touch a circle at a point slightly nearer to the pole than its centre.
    let width = (angle.sin() / latitude.to_radians().cos()).min(1.0).asin().to_degrees();
    let (west, east) = (longitude - width, longitude + width);
    if west < -180.0 {
        vec![area(-180.0, east), area(west + 360.0, 180.0)]
    } else if east > 180.0 {
        vec![area(west, 180.0), area(-180.0, east - 360.0)]
    } else {
        vec![area(west, east)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_may_extend_around_the_earth() {
        let boxes = |longitude, latitude, radius_m| {
            boxes(Coordinates::new(longitude, latitude).unwrap(), radius_m)
        };
        let [area] = boxes(10.0, 60.0, 1000.0)[..] else { panic!("not one") };
        assert!((area.east - area.west) > 1.9 * (area.north - area.south), "{area:?}");
        for longitude in [-180.0, -179.999, 179.999, 180.0] {
            let [one, other] = boxes(longitude, 60.0, 1000.0)[..] else { panic!("not two") };
            assert!(one.east < other.west || other.east < one.west, "{one:?} {other:?}");
            assert!([one, other].iter().any(|area| area.east == 180.0));
            assert!([one, other].iter().any(|area| area.west == -180.0));
        }
        for (latitude, radius_m) in [(89.999, 1000.0), (-90.0, 0.0), (0.0, 2e7)] {
            let [area] = boxes(7.0, latitude, radius_m)[..] else { panic!("not one") };
            assert_eq!((area.west, area.east), (-180.0, 180.0));
        }
    }
}
