//! Histories of Swarm.

use async_trait::async_trait;
use checkin_domain::{Checkin, Location, LocationId, MAX_SAFE_INTEGER, Visit};
use checkin_storage::swarm::VISITS_A_SECOND;
use checkin_storage::{Loaded, Result, StorageError, SwarmLoad, UsedUp, VenueLocation};

use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl SwarmLoad for MemoryStorage {
    async fn locations_of(&self, venues: &[String]) -> Result<Vec<Option<LocationId>>> {
        let contents = self.contents();
        Ok(venues.iter().map(|venue| contents.venues.get(venue).copied()).collect())
    }

    async fn remember_venues(&self, venues: &[(String, LocationId)]) -> Result<()> {
        self.contents().venues.extend(venues.iter().cloned());
        Ok(())
    }

    async fn make_locations(&self, venues: &[(String, Location)]) -> Result<Vec<VenueLocation>> {
        let mut contents = self.contents();
        venues.iter().map(|(venue, place)| contents.make_location(venue, place)).collect()
    }

    async fn load_visits(&self, visits: &[Visit]) -> Result<Vec<Loaded>> {
        let mut contents = self.contents();
        visits.iter().map(|visit| contents.load_visit(visit)).collect()
    }
}

impl Contents {
    fn make_location(&mut self, venue: &str, place: &Location) -> Result<VenueLocation> {
        let id = match self.venues.get(venue) {
            Some(id) => *id,
            None => self.free_location(place.id)?,
        };
        let made = self.insert_location(&Location { id, ..place.clone() });
        self.venues.insert(venue.to_owned(), id);
        Ok(VenueLocation { id, made })
    }

    fn free_location(&self, lowest: LocationId) -> Result<LocationId> {
        let ids = (lowest.get()..=MAX_SAFE_INTEGER).map_while(|id| LocationId::try_from(id).ok());
        let free = ids.into_iter().find(|id| !self.places.contains_key(id));
        free.ok_or_else(|| StorageError::new(UsedUp("locations")))
    }

    fn load_visit(&mut self, visit: &Visit) -> Result<Loaded> {
        let key = visit.swarm_id.clone().map(|id| (visit.checkin.user, id));
        let checkin = match &key {
            None => Some(visit.checkin.clone()),
            Some(key) if self.visits.contains_key(key) => None,
            Some(key) if self.private_visits.contains(key) => None,
            Some(_) if visit.checkin.is_private => Some(visit.checkin.clone()),
            Some(_) => self.first_unknown(visit),
        };
        let Some(checkin) = checkin else {
            return Ok(Loaded::Unchanged);
        };
        let loaded = match !checkin.is_private && self.is_visited(&checkin) {
            true => Loaded::Unchanged,
            false => self.load_checkin(&checkin)?,
        };
        if let Some(key) = key.filter(|_| matches!(loaded, Loaded::Stored | Loaded::Unchanged)) {
            match checkin.is_private {
                true => drop(self.private_visits.insert(key)),
                false => drop(self.visits.insert(key, (checkin.time_ms, checkin.location))),
            }
        }
        Ok(loaded)
    }

    /// The check-in, at the first millisecond at which no visit of its user at its location is known.
    fn first_unknown(&self, visit: &Visit) -> Option<Checkin> {
        let is_known = |later: &Checkin| {
            let mut of_user = self.visits.iter().filter(|((user, _), _)| *user == later.user);
            of_user.any(|(_, known)| *known == (later.time_ms, later.location))
        };
        (0..VISITS_A_SECOND).map(|ms| visit.later(ms)).find(|later| !is_known(later))
    }

    /// Whether there is a check-in of this user at this location and time, of any rating.
    fn is_visited(&self, checkin: &Checkin) -> bool {
        let of = |checkin: &Checkin| (checkin.user, checkin.time_ms, checkin.location);
        self.known().any(|known| of(known) == of(checkin))
    }
}
