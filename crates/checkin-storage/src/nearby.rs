//! The search for locations near a point, as far as all stores share it.

use std::iter;

use crate::directory::{Nearby, Page, Position, Ranked};
use checkin_domain::{EARTH_RADIUS_M, Location};

/// The radius of the first circle. In a town it contains a page of locations.
const FIRST_CIRCLE_M: f64 = 250.0;

/// The factor between the radii of two circles: the area about doubles.
const GROWTH: f64 = 1.5;

/// The distance from a point to the far side of the earth; no location is further away.
pub const FAR_SIDE_M: f64 = std::f64::consts::PI * EARTH_RADIUS_M;

impl Nearby {
    /// Returns the radii in metres to search, one after the other until a page is full. The last is
    /// the complete circle.
    pub fn circles(&self, page: Page) -> impl Iterator<Item = f64> + use<> {
        let whole = self.radius_m.clamp(0.0, FAR_SIDE_M);
        let behind = page.after.map_or(0.0, |after| metres(after.rank));
        let wider = move |circle: &f64| (*circle < whole).then(|| (circle * GROWTH).min(whole));
        let circles = iter::successors(Some(FIRST_CIRCLE_M.min(whole)), wider);
        circles.skip_while(move |circle| *circle < behind)
    }

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

    pub fn into_page(mut self) -> Vec<Ranked<Location>> {
        self.keep_nearest();
        self.places
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

    fn circles(radius_m: f64, behind_m: u64) -> Vec<f64> {
        let after = Some(Position { rank: behind_m * 1000, id: 1 });
        near(radius_m).circles(Page { after, limit: 1 }).collect()
    }

    #[test]
    fn circles_grow_from_the_beginning_of_the_page_to_the_whole() {
        assert_eq!(circles(100.0, 0), [100.0]);
        assert_eq!(circles(500.0, 0), [250.0, 375.0, 500.0]);
        assert_eq!(circles(500.0, 300), [375.0, 500.0]);
        assert_eq!(circles(500.0, 500), [500.0]);
        assert_eq!(circles(500.0, 501), [0.0; 0]);
        assert_eq!(circles(0.0, 0), [0.0]);
        assert_eq!(circles(f64::INFINITY, 0).last(), Some(&FAR_SIDE_M));
        assert_eq!(circles(f64::INFINITY, u64::MAX / 1000), [0.0; 0]);
        for none in [f64::NAN, -1.0] {
            assert!(circles(none, 0).len() <= 1);
        }
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
        let ids: Vec<u64> = found.into_page().iter().map(|place| place.item.id.get()).collect();
        let mut nearest: Vec<u64> = (1..=1000).map(|step| step * 7919 % 1009 + 1).collect();
        nearest.sort_unstable();
        assert_eq!(ids, nearest[..10]);
    }
}
