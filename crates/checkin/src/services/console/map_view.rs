//! The part of the earth that a map shows, in the Mercator projection of web maps.

use std::f64::consts::PI;

/// The size of the picture in pixels.
pub(super) const WIDTH: f64 = 960.0;
pub(super) const HEIGHT: f64 = 560.0;

/// The size of the whole earth at zoom 0, in pixels; it doubles with each step.
pub(super) const TILE: f64 = 256.0;

/// The whole earth, and a few blocks.
pub(super) const ZOOMS: std::ops::RangeInclusive<u8> = 1..=15;

/// The zoom of a map with one place.
const ZOOM_OF_ONE: u8 = 12;

/// The latitude at which the projection ends.
pub(super) const MAX_LATITUDE: f64 = 85.0;

const MILES_ROUND_THE_EARTH: f64 = 24_902.0;

/// A point on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

/// The part of the earth around a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MapView {
    pub(super) center: Point,
    pub(super) zoom: u8,
}

impl Point {
    /// Returns where the point is in a picture of the whole earth whose side is 1.
    fn projected(self) -> (f64, f64) {
        let latitude = self.latitude.clamp(-MAX_LATITUDE, MAX_LATITUDE).to_radians();
        ((self.longitude + 180.0) / 360.0, (1.0 - latitude.tan().asinh() / PI) / 2.0)
    }

    fn from_projected((x, y): (f64, f64)) -> Self {
        let latitude = (PI * (1.0 - 2.0 * y)).sinh().atan().to_degrees();
        let latitude = latitude.clamp(-MAX_LATITUDE, MAX_LATITUDE);
        Self { latitude, longitude: (x * 360.0 - 180.0).clamp(-180.0, 180.0) }
    }
}

impl MapView {
    /// Returns the smallest part of the earth that has all of these points, with some space around them.
    pub(super) fn of(points: &[Point]) -> Self {
        let projected = || points.iter().map(|point| point.projected());
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values
                .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
        };
        if points.is_empty() {
            let center = Point { latitude: 30.0, longitude: 0.0 };
            return Self { center, zoom: *ZOOMS.start() };
        }
        let (left, right) = ends(&mut projected().map(|(x, _)| x));
        let (top, bottom) = ends(&mut projected().map(|(_, y)| y));
        let center =
            Point::from_projected((f64::midpoint(left, right), f64::midpoint(top, bottom)));
        let fits = |zoom: &u8| {
            let scale = scale(*zoom);
            (right - left) * scale < WIDTH * 0.9 && (bottom - top) * scale < HEIGHT * 0.9
        };
        let zoom = ZOOMS.take_while(|zoom| *zoom <= ZOOM_OF_ONE).filter(fits).last();
        Self { center, zoom: zoom.unwrap_or(*ZOOMS.start()) }
    }

    /// Returns where a point is in the picture.
    pub(super) fn pixel(&self, point: Point) -> (f64, f64) {
        let ((x, y), (center_x, center_y)) = (point.projected(), self.center.projected());
        let scale = scale(self.zoom);
        ((x - center_x) * scale + WIDTH / 2.0, (y - center_y) * scale + HEIGHT / 2.0)
    }

    /// Returns the point at a place in the picture.
    pub(super) fn point(&self, (x, y): (f64, f64)) -> Point {
        let (center_x, center_y) = self.center.projected();
        let scale = scale(self.zoom);
        let (x, y) = ((x - WIDTH / 2.0) / scale, (y - HEIGHT / 2.0) / scale);
        Point::from_projected((center_x + x, center_y + y))
    }

    /// Returns where the upper left corner is in a picture of the whole earth, in pixels.
    pub(super) fn corner(&self) -> (i64, i64) {
        let ((x, y), scale) = (self.center.projected(), scale(self.zoom));
        ((x * scale - WIDTH / 2.0).round() as i64, (y * scale - HEIGHT / 2.0).round() as i64)
    }

    /// Returns the width of a pixel, in degrees of longitude.
    pub(super) fn degrees_of_a_pixel(&self) -> f64 {
        360.0 / scale(self.zoom)
    }

    /// Returns the radius in miles of a circle that has the whole picture in it.
    pub(super) fn radius(&self) -> f64 {
        let widest = self.center.latitude.abs() - self.degrees_of_a_pixel() * HEIGHT / 2.0;
        let equator = MILES_ROUND_THE_EARTH / scale(self.zoom);
        let pixel = equator * widest.max(0.0).to_radians().cos();
        (pixel * WIDTH.hypot(HEIGHT) / 2.0).min(MILES_ROUND_THE_EARTH / 2.0)
    }

    /// Returns the part of the earth beside it: so many widths to the right and heights down.
    pub(super) fn moved(&self, right: f64, down: f64) -> Self {
        let (x, y) = (WIDTH / 2.0 + WIDTH * right, HEIGHT / 2.0 + HEIGHT * down);
        Self { center: self.point((x, y)), ..*self }
    }

    /// Returns the same center, nearer (1) or further away (-1), if the map goes so far.
    pub(super) fn zoomed(&self, by: i8) -> Option<Self> {
        let zoom = self.zoom.checked_add_signed(by).filter(|zoom| ZOOMS.contains(zoom))?;
        Some(Self { zoom, ..*self })
    }

    /// Returns the address of the map of this part.
    pub(super) fn address(&self) -> String {
        let Point { latitude, longitude } = self.center;
        format!("/map?lat={latitude:.5}&lng={longitude:.5}&zoom={}", self.zoom)
    }
}

/// Returns the side of a picture of the whole earth.
fn scale(zoom: u8) -> f64 {
    TILE * f64::from(1_u32 << zoom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Point {
        Point { latitude, longitude }
    }

    #[test]
    fn points_are_where_web_maps_have_them() {
        let earth = MapView { center: at(0.0, 0.0), zoom: 1 };
        for (point, pixel) in [
            (at(0.0, 0.0), (480.0, 280.0)),
            (at(0.0, 180.0), (736.0, 280.0)),
            // 85.0511° is the upper end of the square.
            (at(66.513_26, -90.0), (352.0, 152.0)),
        ] {
            let (x, y) = earth.pixel(point);
            assert!((x - pixel.0).abs() < 0.01 && (y - pixel.1).abs() < 0.01, "{point:?}: {x} {y}");
            let back = earth.point((x, y));
            assert!((back.latitude - point.latitude).abs() < 1e-9, "{back:?}");
        }
    }

    #[test]
    fn a_map_has_all_of_its_points() {
        for points in [
            vec![at(37.7, -122.4)],
            vec![at(37.7, -122.4), at(37.9, -122.0), at(38.3, -121.8)],
            vec![at(-33.9, 151.2), at(51.5, -0.1), at(40.7, -74.0)],
            vec![at(89.0, -179.0), at(-89.0, 179.0)],
        ] {
            let view = MapView::of(&points);
            for point in &points {
                let (x, y) = view.pixel(*point);
                let is_inside = (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y);
                assert!(is_inside, "{view:?} {point:?} {x} {y}");
            }
        }
        assert_eq!(MapView::of(&[]).zoom, 1);
        assert_eq!(MapView::of(&[at(1.0, 1.0)]).zoom, ZOOM_OF_ONE);
    }

    #[test]
    fn the_circle_has_the_corners_in_it() {
        let view = MapView { center: at(37.8, -122.3), zoom: 9 };
        // A degree of latitude has 69 miles.
        let corner = view.point((0.0, 0.0));
        let (north, west) = (corner.latitude - 37.8, corner.longitude + 122.3);
        let miles = (north * 69.0).hypot(west * 69.0 * corner.latitude.to_radians().cos());
        assert!((miles..miles * 1.1).contains(&view.radius()), "{miles} {}", view.radius());
        assert!(MapView { center: at(0.0, 0.0), zoom: 1 }.radius() > 12_000.0);
    }

    #[test]
    fn maps_can_be_moved_up_to_their_ends() {
        let view = MapView { center: at(80.0, 170.0), zoom: 1 };
        let moved = view.moved(1.0, -1.0);
        assert_eq!((moved.center.latitude, moved.center.longitude), (MAX_LATITUDE, 180.0));
        assert_eq!(view.zoomed(-1), None);
        assert_eq!(view.zoomed(1).map(|view| view.zoom), Some(2));
        assert_eq!(
            MapView { center: at(1.0, 2.5), zoom: 3 }.address(),
            "/map?lat=1.00000&lng=2.50000&zoom=3"
        );
    }
}
