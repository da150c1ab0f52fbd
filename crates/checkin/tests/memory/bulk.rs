//! Data in bulk.

use async_trait::async_trait;
use checkin_domain::{
    CLOCK_TOLERANCE_MS, Checkin, CheckinId, Location, LocationDetails, User, UserId,
};
use checkin_storage::{BulkLoad, Loaded, Result, Status, details};

use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl BulkLoad for MemoryStorage {
    async fn is_empty(&self) -> Result<bool> {
        let contents = self.contents();
        Ok(contents.users.is_empty() && contents.places.is_empty())
    }

    async fn load_users(&self, users: &[User]) -> Result<Vec<Loaded>> {
        let mut contents = self.contents();
        Ok(users.iter().map(|user| contents.load_user(user)).collect())
    }

    async fn load_locations(&self, locations: &[Location]) -> Result<Vec<Loaded>> {
        let mut contents = self.contents();
        Ok(locations.iter().map(|place| loaded(contents.insert_location(place))).collect())
    }

    async fn load_details(&self, details: &[LocationDetails]) -> Result<Vec<Loaded>> {
        let mut contents = self.contents();
        Ok(details.iter().map(|details| contents.load_details(details)).collect())
    }

    async fn load_checkins(&self, checkins: &[Checkin]) -> Result<Vec<Loaded>> {
        let mut contents = self.contents();
        let load = |checkin| match contents.other_form(checkin) {
            Some(other) => Ok(other),
            None => contents.load_checkin(checkin),
        };
        checkins.iter().map(load).collect()
    }
}

fn loaded(is_new: bool) -> Loaded {
    if is_new { Loaded::Stored } else { Loaded::Unchanged }
}

impl Contents {
    fn load_user(&mut self, user: &User) -> Loaded {
        if self.users.contains_key(&user.id) {
            return Loaded::Unchanged;
        }
        if let Some(owner) = self.user_of(&user.email) {
            return Loaded::EmailTaken(owner.user.id);
        }
        self.insert_user(user);
        Loaded::Stored
    }

    fn load_details(&mut self, new: &LocationDetails) -> Loaded {
        let Some(stored) = self.places.get_mut(&new.id) else {
            return Loaded::Dangling;
        };
        let is_new = stored.details.is_none();
        stored.details.get_or_insert_with(|| details::to_json(new));
        loaded(is_new)
    }

    pub(crate) fn load_checkin(&mut self, checkin: &Checkin) -> Result<Loaded> {
        let user = self.users.get(&checkin.user);
        let has_user = user.is_some_and(|user| user.standing.status != Status::Deleted);
        if !has_user || !self.places.contains_key(&checkin.location) {
            return Ok(Loaded::Dangling);
        }
        if checkin.is_private {
            return Ok(self.load_private(checkin));
        }
        if self.known().any(|known| is_same(known, checkin)) || self.was_retracted(checkin) {
            return Ok(Loaded::Unchanged);
        }
        if checkin.time_ms < self.horizon_ms {
            return Ok(Loaded::TooOld);
        }
        let id = match checkin.id > self.last_id && checkin.time_ms == checkin.id.ms {
            true => checkin.id,
            // Nothing is appended before it was made.
            false => self.next_id(self.now_ms.max(checkin.time_ms))?,
        };
        // An id that is ahead of the clock does not say when the check-in was made.
        let is_ahead = checkin.time_ms > self.now_ms + CLOCK_TOLERANCE_MS;
        let time_ms = if is_ahead { self.now_ms } else { checkin.time_ms };
        self.insert_entry(Checkin { id, time_ms, ..checkin.clone() });
        Ok(Loaded::Stored)
    }

    /// Whether the same check-in was there, or one of its user at its time that was stored behind later ones.
    pub(crate) fn was_retracted(&self, checkin: &Checkin) -> bool {
        let is_same = |(id, (user, time_ms)): (&CheckinId, &(UserId, u64))| {
            *time_ms < id.ms && (*user, *time_ms) == (checkin.user, checkin.time_ms)
        };
        self.retracted.contains_key(&checkin.id) || self.retracted.iter().any(is_same)
    }

    /// The answer for a check-in that is there, or was, as a private one if it is public, or the reverse.
    fn other_form(&self, checkin: &Checkin) -> Option<Loaded> {
        let content = |of: &Checkin| (of.user, of.time_ms, of.location);
        let is_same = |known: &Checkin| content(known) == content(checkin);
        let was_public = self.was_retracted(checkin);
        let was_private = self.private_retracted.contains(&(checkin.user, checkin.id));
        let (is_public, is_private) =
            (self.known().any(is_same), self.private.values().any(is_same));
        let (own, was_other, is_other, answer) = match checkin.is_private {
            true => (is_private || was_private, was_public, is_public, Loaded::IsPublic),
            false => (is_public || was_public, was_private, is_private, Loaded::IsPrivate),
        };
        match (own, was_other) {
            (true, _) => None,
            (false, true) => Some(Loaded::Unchanged),
            (false, false) => is_other.then_some(answer),
        }
    }

    fn load_private(&mut self, checkin: &Checkin) -> Loaded {
        let content = |of: &Checkin| (of.user, of.time_ms, of.location, of.stars);
        let is_same = |known: &Checkin| {
            known.user == checkin.user
                && (known.id == checkin.id || content(known) == content(checkin))
        };
        let was_retracted = self.private_retracted.contains(&(checkin.user, checkin.id));
        if self.private.values().any(is_same) || was_retracted {
            return Loaded::Unchanged;
        }
        if checkin.time_ms < self.horizon_ms {
            return Loaded::TooOld;
        }
        self.private.insert((checkin.user, checkin.into()), checkin.clone());
        Loaded::Stored
    }

    /// All check-ins, also those that left the log.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Checkin> {
        self.entries().chain(self.history.values())
    }
}

/// Whether a check-in has the id of a known one, or the user, location, rating and time of one that was
/// stored behind later ones.
fn is_same(known: &Checkin, checkin: &Checkin) -> bool {
    let content = |of: &Checkin| (of.user, of.location, of.stars, of.time_ms);
    let is_behind = known.time_ms < known.id.ms;
    known.id == checkin.id || (is_behind && content(known) == content(checkin))
}
