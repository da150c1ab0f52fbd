//! The search for locations near a point, as far as all stores share it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub use crate::cells::{Area, Cell, EDGE};
use crate::directory::{FoundLocations, Nearby, Page, Position, Ranked};
use checkin_domain::{EARTH_RADIUS_M, Location, MAX_SAFE_INTEGER};

/// The maximum number of locations that are read from a cell. A cell with more of them is divided.
pub const MOST_IN_CELL: i64 = 32;

/// The maximum number of cells that are looked at together. The nearest of them often fill a page.
const CELLS_TOGETHER: usize = 8;

/// The maximum number of steps that are taken together, so that a store is not busy with one request.
const STEPS_TOGETHER: usize = 128;

/// The level down to which cells are divided before any is looked at. Those cells are about a kilometre
/// wide.
const FIRST_LEVEL: u32 = 15;

/// The maximum number of cells before any is looked at: a path from the whole earth to a cell of the first
/// level, with the cells beside it.
const FIRST_CELLS: usize = 3 * FIRST_LEVEL as usize + 1;

/// The distance from a point to the far side of the earth; no location is further away.
pub const FAR_SIDE_M: f64 = std::f64::consts::PI * EARTH_RADIUS_M;

impl Nearby {
    /// Returns the distance of a location in whole millimetres if it matches the search.
    fn rank(&self, location: &Location) -> Option<u64> {
        let rank = (self.center.distance_m(location.coordinates) * 1000.0) as u64;
        let wanted = metres(rank) <= self.radius_m
            && self.category.is_none_or(|category| location.category == category);
        wanted.then_some(rank)
    }
}

/// The nearest locations found so far for a page. Keeps at most three times as many as the page has.
#[derive(Debug)]
pub struct Found {
    near: Nearby,
    page: Page,
    places: Vec<Ranked<Location>>,
}

impl Found {
    pub fn new(near: Nearby, page: Page) -> Self {
        Self { near, page, places: Vec::new() }
    }

    /// Adds a location if it matches the search and is after the beginning of the page.
    pub fn add(&mut self, location: Location) {
        let Some(rank) = self.near.rank(&location) else {
            return;
        };
        let behind = |after: Position| (rank, location.id.get()) > (after.rank, after.id);
        if self.page.after.is_none_or(behind) {
            self.places.push(Ranked { rank, item: location });
            if self.places.len() >= self.page.limit.saturating_mul(3) {
                self.keep_nearest();
            }
        }
    }

    fn keep_nearest(&mut self) {
        self.places.sort_unstable_by_key(|place| (place.rank, place.item.id));
        self.places.truncate(self.page.limit);
    }

    /// Returns whether the page is complete, given that all locations within `within_m` metres were added.
    pub fn is_full(&self, within_m: f64) -> bool {
        // The next location may have the same number of whole millimetres.
        let certain = self.places.iter().filter(|place| metres(place.rank + 1) < within_m);
        certain.count() >= self.page.limit
    }

    /// Returns the page, given that all locations were added that it may have.
    pub fn into_page(mut self) -> FoundLocations {
        self.keep_nearest();
        FoundLocations { locations: self.places, next: None }
    }

    /// Returns the page, given that only the locations that are nearer than this many millimetres were all
    /// added.
    pub fn into_part(mut self, end_mm: u64) -> FoundLocations {
        self.places.retain(|place| place.rank < end_mm);
        let next = Position { rank: end_mm.saturating_sub(1), id: MAX_SAFE_INTEGER };
        let limit = self.page.limit;
        let part = self.into_page();
        let next = Some(next).filter(|_| part.locations.len() < limit);
        FoundLocations { next, ..part }
    }
}

/// The cells and locations that a search still has to look at, the nearest first.
///
/// A search takes the nearest cells, and reads or divides each of them. Once the page
/// [is full](Found::is_full) up to the nearest cell that is left, no other one is looked at. So the time
/// for a page depends on the locations that are as near as the page, and not on those before and behind it.
///
/// `P` names a location whose cell is known and which still has to be read.
#[derive(Debug)]
pub struct Frontier<P> {
    near: Nearby,
    begin_mm: u64,
    /// By a distance in millimetres; nothing in the step is nearer.
    steps: BinaryHeap<Reverse<(u64, Step<P>)>>,
}

/// What a search looks at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step<P> {
    Place(P),
    Cell(Cell),
}

impl<P: Ord> Frontier<P> {
    pub fn new(near: Nearby, page: Page) -> Self {
        let begin_mm = page.after.map_or(0, |after| after.rank);
        let mut frontier = Self { near, begin_mm, steps: BinaryHeap::new() };
        frontier.add(Cell::EARTH, Step::Cell);
        // Most requests are about a few streets.
        while frontier.steps.len() < FIRST_CELLS {
            match frontier.pop() {
                Some((_, Step::Cell(cell))) if cell.level() < FIRST_LEVEL => frontier.divide(cell),
                Some((at_least_mm, step)) => {
                    frontier.steps.push(Reverse((at_least_mm, step)));
                    break;
                }
                None => break,
            }
        }
        frontier
    }

    /// Returns the minimum distance in metres of everything that is left.
    pub fn nearest_m(&self) -> Option<f64> {
        self.steps.peek().map(|Reverse((at_least_mm, _))| metres(*at_least_mm))
    }

    /// Removes the next step. Returns it with its minimum distance in millimetres.
    pub fn pop(&mut self) -> Option<(u64, Step<P>)> {
        self.steps.pop().map(|Reverse(next)| next)
    }

    /// Removes some of the next steps, with at most `most` locations.
    pub fn take(&mut self, most: usize) -> Vec<Step<P>> {
        let (mut taken, mut places, mut cells) = (Vec::new(), 0, 0);
        while let Some(Reverse((at_least_mm, step))) = self.steps.peek() {
            let is_enough = match step {
                Step::Place(_) => places >= most,
                // All cells across the beginning of the page are looked at anyway.
                Step::Cell(_) => cells >= CELLS_TOGETHER && *at_least_mm > self.begin_mm,
            };
            if is_enough || taken.len() >= STEPS_TOGETHER {
                break;
            }
            match step {
                Step::Place(_) => places += 1,
                Step::Cell(_) => cells += 1,
            }
            taken.extend(self.pop().map(|(_, step)| step));
        }
        taken
    }

    /// Adds the quarters of a cell.
    pub fn divide(&mut self, cell: Cell) {
        cell.quarters().into_iter().for_each(|quarter| self.add(quarter, Step::Cell));
    }

    /// Adds a location in this cell.
    pub fn add_place(&mut self, place: P, cell: Cell) {
        self.add(cell, |_| Step::Place(place));
    }

    /// Adds a step in a cell, unless all of it is before the page or outside the circle.
    fn add(&mut self, cell: Cell, step: impl FnOnce(Cell) -> Step<P>) {
        let (area, from) = (cell.area(), self.near.center);
        let at_least_m = area.at_least_m(from);
        let begin_m = metres(self.begin_mm);
        let is_inside = at_least_m.max(begin_m) <= self.near.radius_m;
        if is_inside && area.at_most_m(from) >= begin_m {
            self.steps.push(Reverse(((at_least_m * 1000.0) as u64, step(cell))));
        }
    }
}

/// Converts a rank to metres.
pub fn metres(rank: u64) -> f64 {
    rank as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkin_domain::{Category, Coordinates, LocationId};

    fn near(radius_m: f64) -> Nearby {
        let center = Coordinates::new(0.0, 0.0).unwrap();
        Nearby { center, radius_m, category: None }
    }

    /// Returns what a search takes until nothing is left, if all cells above this level are divided.
    fn taken(near: Nearby, page: Page, level: u32) -> Vec<Step<u64>> {
        let (mut frontier, mut all) = (Frontier::new(near, page), Vec::new());
        while frontier.nearest_m().is_some() {
            for step in frontier.take(5) {
                match step {
                    Step::Cell(cell) if cell.level() < level => frontier.divide(cell),
                    step => all.push(step),
                }
            }
        }
        all
    }

    #[test]
    fn a_search_stays_in_its_circle_and_behind_the_beginning_of_its_page() {
        let begin =
            |metres: u64| Page { after: Some(Position { rank: metres * 1000, id: 1 }), limit: 1 };
        // The four cells around the point, each about 600 by 300 metres.
        assert_eq!(taken(near(100.0), begin(0), 16).len(), 4);
        assert_eq!(taken(near(100.0), begin(100), 16).len(), 4);
        for (radius_m, behind) in [(100.0, 102), (100.0, u64::MAX / 1000), (-1.0, 0), (f64::NAN, 0)]
        {
            assert_eq!(taken(near(radius_m), begin(behind), 16), [], "{radius_m} {behind}");
        }
        let circle = taken(near(10_000.0), begin(0), 16).len();
        let ring = taken(near(10_000.0), begin(9_900), 16).len();
        assert!(circle > 1500 && ring < 300, "{circle} {ring}");
        let center = Coordinates::new(10.0, 50.0).unwrap();
        let streets = Nearby { center, ..near(f64::INFINITY) };
        let step = Frontier::<u64>::new(streets, begin(0)).pop();
        let Some((0, Step::Cell(cell))) = step else { panic!("{step:?}") };
        assert_eq!(cell.level(), FIRST_LEVEL);
    }

    #[test]
    fn what_is_nearer_is_taken_first_and_locations_only_as_far_as_they_are_needed() {
        let mut frontier = Frontier::new(near(1000.0), Page { after: None, limit: 1 });
        while frontier.pop().is_some() {}
        // Scores of Redis around a point of 0 degrees north and east.
        let cells = [0_u64, 40, 2, 3].map(|score| Cell::of_score((3 << 50) + score));
        for (place, cell) in cells.into_iter().enumerate() {
            frontier.add_place(place, cell);
        }
        assert_eq!(frontier.take(3), [Step::Place(0), Step::Place(2), Step::Place(3)]);
        assert_eq!(frontier.take(3), [Step::Place(1)]);
        assert_eq!(frontier.take(3), []);
    }

    #[test]
    fn very_many_locations_take_the_room_of_a_few_pages() {
        let page = Page { after: None, limit: 10 };
        let mut found = Found::new(near(FAR_SIDE_M), page);
        // In an order in which near and far ones alternate.
        for id in (1..=1000).map(|step| step * 7919 % 1009 + 1) {
            let coordinates = Coordinates::new(id as f64 / 10.0, 0.0).unwrap();
            let (name, category) = (String::new(), Category::Bar);
            let id = LocationId::try_from(id).unwrap();
            found.add(Location { id, name, category, coordinates, num_checkins: 0, num_stars: 0 });
            assert!(found.places.len() <= 30);
        }
        let ids: Vec<u64> =
            found.into_page().locations.iter().map(|place| place.item.id.get()).collect();
        let mut nearest: Vec<u64> = (1..=1000).map(|step| step * 7919 % 1009 + 1).collect();
        nearest.sort_unstable();
        assert_eq!(ids, nearest[..10]);
    }
}
