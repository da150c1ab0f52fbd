//! Finds the locations that venues of another service correspond to.

use std::collections::{HashMap, HashSet};

use super::error::Rule;
use super::importer::Importer;
use super::swarm::{SwarmVisit, Venue, Visibility, name_key};
use crate::domain::text::{MAX_NAME_CHARS, check_line};
use crate::domain::{Category, Coordinates, Location, LocationId, NewCheckin, StarRating, UserId};

/// The maximum distance between the positions of one location in two services: the size of a large
/// building, and the error of a telephone's position.
const NEAR_M: f64 = 250.0;

/// Adds the visits to the import as check-ins of this user with this rating, at the locations of
/// their venues.
pub fn add_visits(
    importer: &mut Importer,
    visits: Vec<SwarmVisit>,
    venues: &Venues,
    user: UserId,
    stars: StarRating,
) {
    for SwarmVisit { place, id, time_ms, venue, comment, visibility } in visits {
        let is_private = visibility == Visibility::Private;
        match venues.location_of(&venue) {
            Ok(location) => {
                let checkin = NewCheckin { user, location, stars, comment, is_private };
                importer.add_swarm_visit(place, id, time_ms, checkin);
            }
            // What is wrong with it would tell about it.
            Err(_) if is_private => importer.leave_out_private_visit(),
            Err(Wrong::Unknown(rule)) => {
                importer.leave_out_visit(place, "venue", Rule::Value(rule));
            }
            Err(Wrong::Field(field, rule)) => {
                importer.report(&place, Some(field), Rule::Value(rule));
            }
        }
    }
}

/// The locations of the venues of an import.
#[derive(Debug, Default)]
pub struct Venues {
    places: HashMap<String, Result<LocationId, Wrong>>,
    /// Venues with their locations, to be stored. The locations may not exist yet.
    pub found: Vec<(String, LocationId)>,
    /// Venues with the locations to create for them. The id of each location is provisional and may
    /// change when it is created.
    pub missing: Vec<(String, Location)>,
}

/// The reason why a venue has no location.
#[derive(Debug, Clone, PartialEq)]
enum Wrong {
    /// No location matches it.
    Unknown(String),
    /// A field of a check-in, and the rule that it breaks.
    Field(&'static str, String),
}

impl Venues {
    /// Finds the locations of the visits' venues: the `known` location of the venue, or else the
    /// nearest location of the same name, or else a new location of the category, if one is given.
    ///
    /// A venue is compared with the names and coordinates of all its visits, so that the order of
    /// the visits does not matter. A new location has those of the last visit. Private visits make and change
    /// no location: it could be somebody's home.
    pub fn of(
        visits: &[SwarmVisit],
        known: &HashMap<String, LocationId>,
        mut places: Places,
        new_places: Option<Category>,
    ) -> Self {
        let mut venues = Self::default();
        let is_private = |visit: &SwarmVisit| visit.visibility == Visibility::Private;
        let public = visits.iter().filter(|visit| !is_private(visit));
        let public: HashSet<String> = public.map(|visit| visit.venue.key()).collect();
        let counts =
            |visit: &&SwarmVisit| !is_private(visit) || !public.contains(&visit.venue.key());
        for (key, seen) in by_venue(visits.iter().filter(counts).collect()) {
            let known = known.get(&key).copied().filter(|id| places.ids.contains(id));
            let place = match known {
                Some(id) => Ok(id),
                None if !public.contains(&key) => {
                    places.find(&seen).ok_or_else(|| unknown(seen.last()))
                }
                None => venues.find_or_make(&key, &seen, &mut places, new_places),
            };
            venues.places.insert(key, place);
        }
        venues
    }

    fn find_or_make(
        &mut self,
        key: &str,
        seen: &[&Venue],
        places: &mut Places,
        new_places: Option<Category>,
    ) -> Result<LocationId, Wrong> {
        if let Some(id) = places.find(seen) {
            self.found.push((key.to_owned(), id));
            return Ok(id);
        }
        let Some(last) = seen.last() else {
            return Err(Wrong::Field("venue", "must have a name".to_owned()));
        };
        let category = new_places.ok_or_else(|| unknown(Some(last)))?;
        let location = places.make(last, category)?;
        let id = location.id;
        self.missing.push((key.to_owned(), location));
        Ok(id)
    }

    /// Replaces the provisional ids of the missing locations with the ids under which they were
    /// created, in the same order.
    pub fn settle(&mut self, made: &[LocationId]) {
        let planned = self.missing.iter().map(|(_, location)| location.id);
        let ids: HashMap<LocationId, LocationId> = planned.zip(made.iter().copied()).collect();
        let found = self.found.iter_mut().map(|(_, id)| id);
        for id in self.places.values_mut().flatten().chain(found) {
            *id = ids.get(id).copied().unwrap_or(*id);
        }
    }

    fn location_of(&self, venue: &Venue) -> Result<LocationId, Wrong> {
        let unknown = || Err(Wrong::Field("venue", "must be one of the import".to_owned()));
        self.places.get(&venue.key()).cloned().unwrap_or_else(unknown)
    }
}

fn unknown(last: Option<&&Venue>) -> Wrong {
    let name = last.map_or("", |venue| &venue.name);
    Wrong::Unknown(format!("must be a location within {NEAR_M} m; none is named {name:?}"))
}

/// Groups the visits by venue, in the order of the first visits.
fn by_venue(mut visits: Vec<&SwarmVisit>) -> Vec<(String, Vec<&Venue>)> {
    visits.sort_by_key(|visit| visit.time_ms);
    let (mut venues, mut positions) = (Vec::<(String, Vec<&Venue>)>::new(), HashMap::new());
    for SwarmVisit { venue, .. } in visits {
        let key = venue.key();
        let position = *positions.entry(key.clone()).or_insert(venues.len());
        if position == venues.len() {
            venues.push((key, Vec::new()));
        }
        let seen = &mut venues[position].1;
        if seen.last() != Some(&venue) {
            seen.push(venue);
        }
    }
    venues
}

/// The existing locations, by name.
#[derive(Debug, Default)]
pub struct Places {
    /// The keys are folded names.
    by_name: HashMap<String, Vec<(LocationId, Coordinates)>>,
    ids: HashSet<LocationId>,
    last_id: u64,
}

impl Places {
    /// Adds a location. If several have one id, the first one counts.
    pub fn add(&mut self, location: &Location) {
        if self.ids.insert(location.id) {
            let same_name = self.by_name.entry(name_key(&location.name)).or_default();
            same_name.push((location.id, location.coordinates));
            self.last_id = self.last_id.max(location.id.get());
        }
    }

    /// Returns the nearest location that has one of the names.
    fn find(&self, seen: &[&Venue]) -> Option<LocationId> {
        let candidates = seen.iter().flat_map(|venue| {
            let same_name = self.by_name.get(&name_key(&venue.name)).into_iter().flatten();
            same_name.map(|(id, there)| (venue.coordinates.distance_m(*there), *id))
        });
        let near = candidates.filter(|(metres, _)| *metres <= NEAR_M);
        near.min_by(|(a, id_a), (b, id_b)| a.total_cmp(b).then(id_a.cmp(id_b))).map(|(_, id)| id)
    }

    fn make(&mut self, venue: &Venue, category: Category) -> Result<Location, Wrong> {
        check_line(&venue.name, MAX_NAME_CHARS)
            .map_err(|rule| Wrong::Field("venue.name", rule.to_string()))?;
        let id = LocationId::try_from(self.last_id + 1)
            .map_err(|_| Wrong::Field("venue", NO_ID_LEFT.to_owned()))?;
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

const NO_ID_LEFT: &str =
    "must be a location that exists: the ids of locations are used up; see `checkin doctor`";

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::import::error::{Position, RecordPlace};
    use crate::import::swarm::Visibility;

    fn point(longitude: f64, latitude: f64) -> Coordinates {
        Coordinates::new(longitude, latitude).unwrap()
    }

    fn venue(id: &str, name: &str, latitude: f64) -> Venue {
        let id = Some(id.to_owned()).filter(|id| !id.is_empty());
        Venue { id, name: name.to_owned(), coordinates: point(-122.27, latitude) }
    }

    fn visits(venues: &[Venue]) -> Vec<SwarmVisit> {
        let visit = |(time_ms, venue): (u64, &Venue)| SwarmVisit {
            place: RecordPlace { file: "a.json".into(), position: Position::Item(0) },
            id: None,
            time_ms,
            venue: venue.clone(),
            comment: None,
            visibility: Visibility::Public,
        };
        (0..).zip(venues).map(visit).collect()
    }

    fn id(id: u64) -> LocationId {
        LocationId::try_from(id).unwrap()
    }

    fn places() -> Places {
        let mut places = Places::default();
        for (number, latitude) in [(2, 37.8), (7, 37.801)] {
            places.add(&Location {
                id: id(number),
                name: "Quillback Café".to_owned(),
                category: Category::Cafe,
                coordinates: point(-122.27, latitude),
                num_checkins: 0,
                num_stars: 0,
            });
        }
        places
    }

    #[test]
    fn the_nearest_location_of_the_name_is_found_within_250_metres() {
        let places = places();
        let found =
            |name, latitude| places.find(&[&venue("v", name, latitude)]).map(LocationId::get);
        assert_eq!(found("Quillback Café", 37.8006), Some(7));
        assert_eq!(found("Quillback Café", 37.7978), Some(2)); // 245 m
        assert_eq!(found("Quillback Café", 37.7977), None); // 256 m
        assert_eq!(found("Quillback", 37.8), None);
    }

    #[test]
    fn names_are_the_same_in_any_case_and_normal_form() {
        let places = places();
        for name in
            ["QUILLBACK café", "Quillback Cafe\u{301}", "Ｑuillback  Café", "QUILLBACK CAFE\u{301}"]
        {
            let found = places.find(&[&venue("v", name, 37.8004)]);
            assert_eq!(found, Some(id(2)), "{name:?}");
        }
    }

    /// Returns the location of each visit in order, and the names of the new locations.
    fn resolve(
        venues: &[Venue],
        known: &[(&str, u64)],
        new_places: Option<Category>,
    ) -> (Vec<Result<u64, Wrong>>, Vec<String>) {
        let known = known.iter().map(|(venue, place)| ((*venue).to_owned(), id(*place))).collect();
        let visits = visits(venues);
        let found = Venues::of(&visits, &known, places(), new_places);
        let of = |venue| found.location_of(venue).map(LocationId::get);
        let made = found.missing.iter().map(|(_, location)| location.name.clone());
        (venues.iter().map(of).collect(), made.collect())
    }

    #[test]
    fn a_venue_is_one_location_wherever_its_visits_were() {
        let gym = Some(Category::Gym);
        let (here, far) = (venue("a", "Iron", 37.0), venue("a", "Iron Gym", 37.1));
        for order in [[&here, &far], [&far, &here]] {
            let (found, made) = resolve(&order.map(Clone::clone), &[], gym);
            assert_eq!(found, [Ok(8), Ok(8)]);
            assert_eq!(made, [order[1].name.clone()]);
        }
        // One visit was near an existing location.
        let (near, away) = (venue("a", "Quillback Café", 37.8), venue("a", "Moved", 38.0));
        for order in [[&near, &away], [&away, &near]] {
            let (found, made) = resolve(&order.map(Clone::clone), &[], gym);
            assert_eq!((found, made.len()), (vec![Ok(2), Ok(2)], 0));
        }
    }

    #[test]
    fn a_new_location_is_created_once_under_the_next_free_id() {
        let gym = Some(Category::Gym);
        let (found, made) = resolve(
            &[
                venue("a", "Iron", 37.0),
                // Another venue of this name nearby; one without an id; one at a distance.
                venue("b", "iron", 37.0),
                venue("", "IRON", 37.001),
                venue("c", "Iron", 37.5),
            ],
            &[],
            gym,
        );
        assert_eq!(found, [Ok(8), Ok(8), Ok(8), Ok(9)]);
        assert_eq!(made, ["Iron", "Iron"]);
        let (found, _) = resolve(&[venue("a", "a\u{7}", 37.0)], &[], gym);
        assert_eq!(
            found,
            [Err(Wrong::Field("venue.name", "must not contain control characters".to_owned()))]
        );
        let (found, _) = resolve(&[venue("a", "Iron", 37.0)], &[], None);
        let rule = "must be a location within 250 m; none is named \"Iron\"";
        assert_eq!(found, [Err(Wrong::Unknown(rule.to_owned()))]);
    }

    #[test]
    fn a_known_venue_keeps_its_location() {
        let there = venue("a", "Quillback Café", 37.8);
        assert_eq!(resolve(from_ref(&there), &[("a", 7)], None).0, [Ok(7)]);
        // The known location no longer exists.
        assert_eq!(resolve(&[there], &[("a", 5)], None).0, [Ok(2)]);
    }

    #[test]
    fn a_location_may_be_created_under_another_id_than_planned() {
        let visits = visits(&[venue("a", "Iron", 37.0), venue("b", "Iron", 37.0)]);
        let mut venues = Venues::of(&visits, &HashMap::new(), places(), Some(Category::Gym));
        venues.settle(&[id(50)]);
        assert!(visits.iter().all(|visit| venues.location_of(&visit.venue) == Ok(id(50))));
        assert_eq!(venues.found, [("b".to_owned(), id(50))]);
    }
}
