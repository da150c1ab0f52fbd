//! The cells into which the search near a point divides the earth: those of the geographic sets of Redis.

use std::ops::Range;

use crate::nearby::FAR_SIDE_M;
use checkin_domain::Coordinates;

/// The latitude at which the map of Redis ends.
const MAP_EDGE: f64 = 85.051_128_78;

/// The latitude at which Redis stores the locations beyond it, on their own meridian.
pub const EDGE: f64 = 85.05;

/// The number of bits of each coordinate in a score of Redis.
const BITS: u32 = 26;

/// The level of the cells that are not divided. They are about ten metres wide.
const LAST_LEVEL: u32 = 22;

/// More than the rounding error of a latitude.
const ROUNDING: f64 = 1e-9;

/// The margin of a distance in metres. It is larger than all rounding errors.
const MARGIN_M: f64 = 1.0;

/// One of the `4^level` cells of a level. Each cell is divided into four of the next level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    level: u32,
    /// The bits of the column and of the row, alternating, as in a score of Redis.
    number: u64,
}

impl Cell {
    /// The whole earth.
    pub const EARTH: Self = Self { level: 0, number: 0 };

    /// Returns the smallest cell with a location of this score. It is smaller than a metre.
    pub fn of_score(score: u64) -> Self {
        Self { level: BITS, number: score }
    }

    /// Returns the scores of the locations in the cell.
    pub fn scores(self) -> Range<u64> {
        let bits = 2 * (BITS - self.level);
        self.number << bits..(self.number + 1) << bits
    }

    /// Returns whether the cell is so small that it is not divided.
    pub fn is_smallest(self) -> bool {
        self.level >= LAST_LEVEL
    }

    pub(crate) fn level(self) -> u32 {
        self.level
    }

    pub(crate) fn quarters(self) -> [Self; 4] {
        [0, 1, 2, 3]
            .map(|quarter| Self { level: self.level + 1, number: self.number * 4 + quarter })
    }

    /// Returns the area of all locations in the cell. Those beyond the edge are in the cells at the edge.
    pub fn area(self) -> Area {
        let cells = f64::from(1_u32 << self.level);
        // The same number for all cells that meet there, because the division is exact.
        let degrees = |index: u64, end: f64| index as f64 / cells * 2.0 * end - end;
        let (column, row) = (even_bits(self.number >> 1), even_bits(self.number));
        let (south, north) = (degrees(row, MAP_EDGE), degrees(row + 1, MAP_EDGE));
        let is_edge = |latitude: f64| latitude >= EDGE - ROUNDING;
        Area {
            west: degrees(column, 180.0),
            east: degrees(column + 1, 180.0),
            south: if is_edge(-south) { -90.0 } else { south },
            north: if is_edge(north) { 90.0 } else { north },
        }
    }
}

fn even_bits(number: u64) -> u64 {
    (0..BITS).map(|bit| (number >> (2 * bit) & 1) << bit).sum()
}

/// An area between two meridians and two parallels, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub west: f64,
    pub east: f64,
    pub south: f64,
    pub north: f64,
}

impl Area {
    /// Returns a distance in metres; no location in the area is nearer.
    pub(crate) fn at_least_m(self, from: Coordinates) -> f64 {
        (self.nearest_m(from) - MARGIN_M).max(0.0)
    }

    /// Returns a distance in metres; no location in the area is further away.
    pub(crate) fn at_most_m(self, from: Coordinates) -> f64 {
        let longitude = from.longitude() - if from.longitude() > 0.0 { 180.0 } else { -180.0 };
        // The location that is furthest away is the nearest to the other side of the earth.
        let opposite = Coordinates::new(longitude, -from.latitude());
        opposite.map_or(FAR_SIDE_M, |opposite| FAR_SIDE_M - self.nearest_m(opposite)) + MARGIN_M
    }

    fn nearest_m(self, from: Coordinates) -> f64 {
        if (self.west..=self.east).contains(&from.longitude()) {
            return self.along_m(from, from.longitude(), from.latitude());
        }
        let meridian = |longitude: f64| {
            // The point of the complete circle through the poles that is nearest.
            let (angle, latitude) =
                ((longitude - from.longitude()).to_radians(), from.latitude().to_radians());
            let nearest = latitude.sin().atan2(latitude.cos() * angle.cos()).to_degrees();
            let distances = [nearest, self.south, self.north]
                .map(|latitude| self.along_m(from, longitude, latitude));
            distances.into_iter().fold(f64::INFINITY, f64::min)
        };
        meridian(self.west).min(meridian(self.east))
    }

    /// Returns the distance to the point of the area on a meridian that is closest to a parallel.
    fn along_m(self, from: Coordinates, longitude: f64, latitude: f64) -> f64 {
        let point = Coordinates::new(longitude, latitude.clamp(self.south, self.north));
        point.map_or(0.0, |point| from.distance_m(point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the same numbers from 0 to 1 each time (xorshift).
    fn fractions() -> impl FnMut() -> f64 {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn quarters_fill_a_cell() {
        let Area { west, east, south, north } = Cell::EARTH.area();
        assert_eq!((west, east, south, north), (-180.0, 180.0, -90.0, 90.0));
        assert_eq!(Cell::EARTH.scores(), 0..1 << 52);
        let mut fraction = fractions();
        let mut cell = Cell::EARTH;
        while !cell.is_smallest() {
            let (area, quarters) = (cell.area(), cell.quarters());
            let [south_west, north_west, south_east, north_east] = quarters.map(Cell::area);
            assert_eq!((south_west.west, south_west.south), (area.west, area.south));
            assert_eq!((north_east.east, north_east.north), (area.east, area.north));
            assert_eq!(south_west.east, south_east.west);
            assert_eq!((south_west.north, south_east.north), (north_west.south, north_east.south));
            let scores = quarters.map(Cell::scores);
            assert!(scores.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!(scores[0].start..scores[3].end, cell.scores());
            cell = quarters[(fraction() * 4.0) as usize];
            if cell.area().south < -80.0 || cell.area().north > 80.0 {
                // Cells at the edge are larger.
                cell = quarters[if area.south < 0.0 { 1 } else { 0 }];
            }
        }
    }

    #[test]
    fn locations_beyond_the_edge_are_in_the_cells_at_the_edge() {
        // The scores of Redis for 85.05 and -85.05 degrees, on the meridian of 10 degrees.
        for (latitude, pole) in [(EDGE, 90.0), (-EDGE, -90.0)] {
            let steps = f64::from(1_u32 << BITS);
            let row = ((latitude + MAP_EDGE) / (2.0 * MAP_EDGE) * steps) as u64;
            let column = (190.0 / 360.0 * steps) as u64;
            let spread = |index: u64| (0..BITS).map(|bit| (index >> bit & 1) << (2 * bit)).sum();
            let [row, column]: [u64; 2] = [row, column].map(spread);
            let area = Cell::of_score(row + 2 * column).area();
            assert!((area.west..=area.east).contains(&10.0), "{area:?}");
            assert!((area.south..=area.north).contains(&pole), "{area:?}");
            assert!((area.south..=area.north).contains(&latitude), "{area:?}");
        }
    }

    #[test]
    fn distances_to_an_area_hold_for_all_its_points() {
        let mut fraction = fractions();
        for number in 0..2000 {
            let level = number % 12;
            let cell =
                Cell { level, number: (fraction() * f64::from(1_u32 << (2 * level))) as u64 };
            let area = cell.area();
            let from = [
                Coordinates::new(fraction() * 360.0 - 180.0, fraction() * 180.0 - 90.0),
                Coordinates::new(180.0, fraction() * 180.0 - 90.0),
                Coordinates::new(-180.0, 90.0),
            ];
            let from = from[usize::try_from(number % 3).unwrap()].unwrap();
            let (mut nearest, mut furthest) = (f64::INFINITY, 0.0_f64);
            for step in 0..400 {
                // Also the corners.
                let [x, y] = [step % 20, step / 20].map(|step| f64::from(step) / 19.0);
                let longitude = area.west + (area.east - area.west) * x;
                let latitude = area.south + (area.north - area.south) * y;
                let point = Coordinates::new(longitude.min(180.0), latitude.min(90.0)).unwrap();
                let distance = from.distance_m(point);
                (nearest, furthest) = (nearest.min(distance), furthest.max(distance));
            }
            let (least, most) = (area.at_least_m(from), area.at_most_m(from));
            assert!(least <= nearest && furthest <= most, "{area:?} from {from}");
            let diagonal = Coordinates::new(area.west, area.south)
                .unwrap()
                .distance_m(Coordinates::new(area.east, area.north).unwrap());
            let width = (area.east - area.west).to_radians() * 6.4e6 / 10.0 + diagonal / 5.0 + 3.0;
            assert!(nearest - least <= width && most - furthest <= width, "{area:?} from {from}");
        }
    }
}
