//! The land of the earth as the path of an SVG picture, from Natural Earth's data (1:10,000,000).

use std::fmt::Write as _;

use super::map_view::{HEIGHT, MapView, Point, WIDTH};

/// Polygons, made by `console/land.js`: the number of points, then each point as the difference from the one before it,
/// longitude and latitude in thousandths of a degree. Numbers are zigzag varints.
const LAND: &[u8] = include_bytes!("../../../assets/land.bin");

/// The units of a degree.
const UNITS: f64 = 1000.0;

/// The space around the picture in which polygons are not cut off.
const MARGIN: f64 = 4.0;

/// A point of a picture.
type Pixel = (f64, f64);

/// Returns the path of all land in the picture.
pub(super) fn path(view: &MapView) -> String {
    let (mut numbers, mut path) = (Numbers(LAND), String::new());
    let (north_west, south_east) =
        (view.point((-MARGIN, -MARGIN)), view.point((WIDTH + MARGIN, HEIGHT + MARGIN)));
    // Steps of less than a pixel are left out.
    let step = (view.degrees_of_a_pixel() * UNITS) as i64;
    while let Some(count) = numbers.next() {
        let polygon = numbers.polygon(count, step);
        let degrees = |value: i64| value as f64 / UNITS;
        let is_near = polygon.iter().any(|(x, _)| degrees(*x) >= north_west.longitude)
            && polygon.iter().any(|(x, _)| degrees(*x) <= south_east.longitude)
            && polygon.iter().any(|(_, y)| degrees(*y) <= north_west.latitude)
            && polygon.iter().any(|(_, y)| degrees(*y) >= south_east.latitude);
        if is_near && polygon.len() > 2 {
            let pixel = |(x, y): &(i64, i64)| {
                view.pixel(Point { longitude: degrees(*x), latitude: degrees(*y) })
            };
            write(&mut path, &cut_off(polygon.iter().map(pixel).collect()));
        }
    }
    path
}

/// The numbers of the data.
struct Numbers(&'static [u8]);

impl Iterator for Numbers {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return Some((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
    }
}

impl Numbers {
    /// Reads a polygon, without the points that are nearer to the one before them than a step.
    fn polygon(&mut self, count: i64, step: i64) -> Vec<(i64, i64)> {
        let (mut kept, mut x, mut y): (Vec<(i64, i64)>, _, _) = (Vec::new(), 0, 0);
        for _ in 0..count {
            x += self.next().unwrap_or_default();
            y += self.next().unwrap_or_default();
            let is_far =
                kept.last().is_none_or(|(at, to)| (x - at).abs() > step || (y - to).abs() > step);
            if is_far {
                kept.push((x, y));
            }
        }
        kept
    }
}

/// Cuts a polygon off at the four sides of the picture, one after the other (Sutherland and Hodgman, 1974).
fn cut_off(mut polygon: Vec<Pixel>) -> Vec<Pixel> {
    /// How far a point is inside of a side.
    type Depth = fn(Pixel) -> f64;
    let sides: [Depth; 4] = [
        |(x, _)| x + MARGIN,
        |(x, _)| WIDTH + MARGIN - x,
        |(_, y)| y + MARGIN,
        |(_, y)| HEIGHT + MARGIN - y,
    ];
    for depth in sides {
        let mut inside = Vec::with_capacity(polygon.len());
        let mut before = polygon.last().copied();
        for point in polygon {
            if let Some(last) = before.replace(point) {
                let (from, to) = (depth(last), depth(point));
                if (from < 0.0) != (to < 0.0) {
                    let part = from / (from - to);
                    let between = |from: f64, to: f64| from + (to - from) * part;
                    inside.push((between(last.0, point.0), between(last.1, point.1)));
                }
                if to >= 0.0 {
                    inside.push(point);
                }
            }
        }
        polygon = inside;
    }
    polygon
}

/// Writes a polygon in whole pixels.
fn write(path: &mut String, polygon: &[Pixel]) {
    let mut last: Option<(i32, i32)> = None;
    for (x, y) in polygon {
        let (x, y) = (x.round() as i32, y.round() as i32);
        // A String takes everything.
        let _ = match last {
            None => write!(path, "M{x} {y}"),
            Some(last) if last == (x, y) => continue,
            Some((from_x, from_y)) => write!(path, "l{} {}", x - from_x, y - from_y),
        };
        last = Some((x, y));
    }
    if last.is_some() {
        path.push('z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether a point is in a polygon of the data: a ray from it crosses an odd number of sides.
    fn is_land(latitude: f64, longitude: f64) -> bool {
        let (mut numbers, mut is_inside) = (Numbers(LAND), false);
        while let Some(count) = numbers.next() {
            let polygon = numbers.polygon(count, -1);
            let degrees = |(x, y): &(i64, i64)| (*x as f64 / UNITS, *y as f64 / UNITS);
            for (from, to) in polygon.iter().zip(polygon.iter().skip(1)) {
                let ((x1, y1), (x2, y2)) = (degrees(from), degrees(to));
                if (y1 > latitude) != (y2 > latitude) {
                    let at = x1 + (latitude - y1) / (y2 - y1) * (x2 - x1);
                    is_inside ^= longitude < at;
                }
            }
        }
        is_inside
    }

    #[test]
    fn land_is_where_it_is() {
        for (latitude, longitude) in [(37.75, -122.45), (48.8, 2.3), (-25.0, 134.0), (0.0, 20.0)] {
            assert!(is_land(latitude, longitude), "{latitude} {longitude}");
        }
        for (latitude, longitude) in [(37.65, -122.25), (0.0, -30.0), (43.0, -70.0), (-50.0, 100.0)]
        {
            assert!(!is_land(latitude, longitude), "{latitude} {longitude}");
        }
    }

    #[test]
    fn a_path_is_short_at_each_zoom() {
        let center = Point { latitude: 37.8, longitude: -122.3 };
        for zoom in super::super::map_view::ZOOMS {
            let path = path(&MapView { center, zoom });
            assert!((20..60_000).contains(&path.len()), "{zoom}: {}", path.len());
        }
        let at_sea = MapView { center: Point { latitude: 12.0, longitude: -40.0 }, zoom: 8 };
        assert_eq!(path(&at_sea), "");
    }

    #[test]
    fn what_is_outside_is_cut_off() {
        let far = 5000.0;
        let (left, right) = (-MARGIN, WIDTH + MARGIN);
        let square = vec![(-far, 100.0), (far, 100.0), (far, 200.0), (-far, 200.0)];
        let cut = cut_off(square);
        assert!(cut.iter().all(|(x, y)| (left..=right).contains(x) && (100.0..=200.0).contains(y)));
        assert_eq!(cut.len(), 4);
        assert!(cut_off(vec![(-far, -far), (-far, -9.0), (-9.0, -far)]).is_empty());
        let all = vec![(-far, -far), (far, -far), (far, far), (-far, far)];
        assert_eq!(cut_off(all).len(), 4);
    }
}
