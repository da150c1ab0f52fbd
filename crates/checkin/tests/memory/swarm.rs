//! Histories of Swarm.

use async_trait::async_trait;
use checkin_domain::{Checkin, Location, LocationId, MAX_SAFE_INTEGER, UserId, Visit};
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
        let is_known = |key| self.visits.contains_key(key) || self.private_visits.contains(key);
        if key.as_ref().is_some_and(is_known) {
            return Ok(Loaded::Unchanged);
        }
        let is_turned = self.is_in_other_form(visit);
        let is_private = visit.checkin.is_private != is_turned;
        let checkin = match &key {
            Some(_) if !is_private && !is_turned => self.first_unknown(visit),
            _ => Some(Checkin { is_private, ..visit.checkin.clone() }),
        };
        let Some(checkin) = checkin else {
            return Ok(Loaded::Unchanged);
        };
        let loaded = match is_turned || !is_private && self.is_visited(&checkin) {
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

    /// Whether a private visit is there, or was, as a public one that belongs to no other visit, or the other way
    /// round.
    fn is_in_other_form(&self, Visit { checkin, swarm_id }: &Visit) -> bool {
        if checkin.is_private {
            let belongs = swarm_id.is_some() && self.is_known(checkin);
            return !belongs && (self.is_visited(checkin) || self.was_retracted(checkin));
        }
        let is_same = |known: &Checkin| of(known) == of(checkin);
        self.private.values().any(is_same)
            || self.private_retracted.contains(&(checkin.user, checkin.id))
    }

    /// Whether a visit of this user at this location and time has a Swarm id.
    fn is_known(&self, checkin: &Checkin) -> bool {
        let mut of_user = self.visits.iter().filter(|((user, _), _)| *user == checkin.user);
        of_user.any(|(_, known)| *known == (checkin.time_ms, checkin.location))
    }

    /// The check-in, at the first millisecond at which no visit of its user at its location is known.
    fn first_unknown(&self, visit: &Visit) -> Option<Checkin> {
        (0..VISITS_A_SECOND).map(|ms| visit.later(ms)).find(|later| !self.is_known(later))
    }

    /// Whether there is a check-in of this user at this location and time, of any rating.
    fn is_visited(&self, checkin: &Checkin) -> bool {
        self.known().any(|known| of(known) == of(checkin))
    }
}

fn of(checkin: &Checkin) -> (UserId, u64, LocationId) {
    (checkin.user, checkin.time_ms, checkin.location)
}
