//! Which of our places a venue of another service is.

use std::collections::HashMap;

use super::error::{RecordPlace, Rule};
use super::importer::Importer;
use super::swarm::{SwarmVisit, Venue};
use crate::domain::text::{MAX_NAME_CHARS, check_line};
use crate::domain::{Category, Coordinates, Location, LocationId, NewCheckin, StarRating, UserId};

/// How far two services may differ on where a place is: a large building, and a telephone's error.
const NEAR_M: f64 = 250.0;

/// The mean radius of the earth.
const EARTH_M: f64 = 6_371_008.8;

/// What an export does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsaid {
    /// Whose check-ins they are.
    pub user: UserId,
    /// How many stars each of them gives.
    pub stars: StarRating,
    /// What places become that we do not have; with none, they are left out.
    pub new_places: Option<Category>,
}

/// Adds the visits to the import as check-ins at the places that we have. Gives the places that are
/// to be made before.
pub fn add_visits(
    importer: &mut Importer,
    visits: Vec<SwarmVisit>,
    places: &mut Places,
    unsaid: Unsaid,
) -> Vec<Location> {
    let Unsaid { user, stars, new_places } = unsaid;
    let mut made = Vec::new();
    for SwarmVisit { place, time_ms, venue, .. } in visits {
        match places.find_or_make(&venue, new_places, &mut made) {
            Ok(location) => {
                importer.add_visit(place, time_ms, NewCheckin { user, location, stars });
            }
            Err(rule) => report(importer, &place, &rule),
        }
    }
    made
}

fn report(importer: &mut Importer, place: &RecordPlace, rule: &str) {
    importer.report(place, Some("venue"), Rule::Value(rule.to_owned()));
}

/// The places that there are, by name.
#[derive(Debug, Default)]
pub struct Places {
    /// Names in lower case.
    by_name: HashMap<String, Vec<(LocationId, Coordinates)>>,
    /// What venues of the other service were found to be.
    of_venues: HashMap<String, LocationId>,
    last_id: u64,
}

impl Places {
    /// One more place.
    pub fn add(&mut self, location: &Location) {
        let same_name = self.by_name.entry(location.name.to_lowercase()).or_default();
        same_name.push((location.id, location.coordinates));
        self.last_id = self.last_id.max(location.id.get());
    }

    fn find_or_make(
        &mut self,
        venue: &Venue,
        new_places: Option<Category>,
        made: &mut Vec<Location>,
    ) -> Result<LocationId, String> {
        let known = venue.id.as_ref().and_then(|id| self.of_venues.get(id)).copied();
        let location = match known.or_else(|| self.find(venue)) {
            Some(location) => location,
            None => {
                let category = new_places.ok_or_else(|| {
                    format!("no place named {:?} is within {NEAR_M} m", venue.name)
                })?;
                let location = self.make(venue, category)?;
                let id = location.id;
                made.push(location);
                id
            }
        };
        if let Some(id) = &venue.id {
            self.of_venues.insert(id.clone(), location);
        }
        Ok(location)
    }

    /// The nearest one of the same name.
    fn find(&self, venue: &Venue) -> Option<LocationId> {
        let same_name = self.by_name.get(&venue.name.to_lowercase())?.iter();
        let distances = same_name.map(|(id, there)| (*id, metres(venue.coordinates, *there)));
        let near = distances.filter(|(_, metres)| *metres <= NEAR_M);
        near.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(id, _)| id)
    }

    fn make(&mut self, venue: &Venue, category: Category) -> Result<Location, String> {
        check_line(&venue.name, MAX_NAME_CHARS).map_err(|rule| format!("its name {rule}"))?;
        let id = LocationId::try_from(self.last_id + 1).map_err(|rule| rule.to_string())?;
        let location = Location {
            id,
            name: venue.name.clone(),
            category,
            coordinates: venue.coordinates,
            num_checkins: 0,
            num_stars: 0,
        };
        self.add(&location);
        Ok(location)
    }
}

/// Along a great circle (haversine).
fn metres(one: Coordinates, other: Coordinates) -> f64 {
    let [lat1, lat2] = [one, other].map(|point| point.latitude().to_radians());
    let [lng1, lng2] = [one, other].map(|point| point.longitude().to_radians());
    let (lat, lng) = ((lat2 - lat1) / 2.0, (lng2 - lng1) / 2.0);
    let half = lat.sin().powi(2) + lat1.cos() * lat2.cos() * lng.sin().powi(2);
    2.0 * EARTH_M * half.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(longitude: f64, latitude: f64) -> Coordinates {
        Coordinates::new(longitude, latitude).unwrap()
    }

    fn venue(id: &str, name: &str, latitude: f64) -> Venue {
        let coordinates = point(-122.27, latitude);
        Venue { id: Some(id.to_owned()), name: name.to_owned(), coordinates }
    }

    fn places() -> Places {
        let mut places = Places::default();
        for (id, latitude) in [(2, 37.8), (7, 37.801)] {
            places.add(&Location {
                id: LocationId::try_from(id).unwrap(),
                name: "Quillback Coffee".to_owned(),
                category: Category::Cafe,
                coordinates: point(-122.27, latitude),
                num_checkins: 0,
                num_stars: 0,
            });
        }
        places
    }

    #[test]
    fn distances_are_those_on_the_earth() {
        assert!((metres(point(0.0, 0.0), point(0.0, 1.0)) - 111_195.0).abs() < 1.0);
        assert!((metres(point(179.9995, 0.0), point(-179.9995, 0.0)) - 111.2).abs() < 0.1);
    }

    #[test]
    fn the_nearest_place_of_the_name_is_found_within_250_metres() {
        let places = places();
        let found = |name, latitude| places.find(&venue("v", name, latitude)).map(LocationId::get);
        assert_eq!(found("QUILLBACK coffee", 37.8004), Some(2));
        assert_eq!(found("Quillback Coffee", 37.8006), Some(7));
        assert_eq!(found("Quillback Coffee", 37.7978), Some(2)); // 245 m
        assert_eq!(found("Quillback Coffee", 37.7977), None); // 256 m
        assert_eq!(found("Quillback", 37.8), None);
    }

    #[test]
    fn a_new_place_is_made_once_under_the_next_free_id() {
        let (mut places, mut made) = (places(), Vec::new());
        let mut find = |venue: &Venue, category| places.find_or_make(venue, category, &mut made);
        let gym = Some(Category::Gym);
        assert!(find(&venue("a", "Iron", 37.0), None).unwrap_err().contains("\"Iron\""));
        assert_eq!(find(&venue("a", "Iron", 37.0), gym).unwrap().get(), 8);
        // The same venue, seen from further away; and one that has the same name nearby.
        assert_eq!(find(&venue("a", "Iron", 37.1), gym).unwrap().get(), 8);
        assert_eq!(find(&venue("b", "iron", 37.0), None).unwrap().get(), 8);
        assert_eq!(find(&venue("c", "Iron", 37.5), gym).unwrap().get(), 9);
        assert!(find(&venue("d", "a\u{7}", 37.0), gym).unwrap_err().contains("control"));
        assert_eq!(made.len(), 2);
        assert_eq!((made[0].name.as_str(), made[0].category), ("Iron", Category::Gym));
    }
}
