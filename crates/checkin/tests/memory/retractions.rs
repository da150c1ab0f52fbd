//! Retracted check-ins.

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId, UserId, monday_ms};
use checkin_storage::{HistoryPosition, Result, Retracted, Retractions};

use crate::log::part_of;
use crate::store::{Contents, MemoryStorage, StoredUser};

#[async_trait]
impl Retractions for MemoryStorage {
    async fn retract(&self, user: UserId, id: CheckinId) -> Result<Retracted> {
        Ok(self.contents().retract(user, id))
    }

    async fn retract_all(
        &self,
        user: UserId,
        _: Option<String>,
        _: usize,
    ) -> Result<Option<String>> {
        let mut contents = self.contents();
        let dead = contents.dead.values().map(|dead| &dead.checkin);
        let own = contents.known().chain(dead).filter(|checkin| checkin.user == user);
        let own: Vec<CheckinId> = own.map(|checkin| checkin.id).collect();
        for id in own {
            contents.retract(user, id);
        }
        contents.user_weeks.retain(|(_, of), _| *of != user);
        contents.visits.retain(|(of, _), _| *of != user);
        contents.idempotency_keys.retain(|(of, _), _| *of != user);
        if let Some(StoredUser { user, first, .. }) = contents.users.get_mut(&user) {
            for of in [user, first] {
                (of.num_checkins, of.last_checkin, of.last_seen_at) = (0, None, None);
            }
        }
        Ok(None)
    }

    async fn apply_retractions(&self, _: usize, _: usize) -> Result<usize> {
        Ok(0)
    }
}

impl Contents {
    fn retract(&mut self, user: UserId, id: CheckinId) -> Retracted {
        let private = self.private.iter().find(|((of, _), known)| *of == user && known.id == id);
        if let Some((key, checkin)) = private.map(|(key, known)| (*key, known.clone())) {
            self.private.remove(&key);
            self.private_retracted.insert((user, id));
            self.appended_ms.remove(&(user, checkin.location, checkin.stars, true));
            return Retracted::Done;
        }
        let known = self.known().chain(self.dead.values().map(|dead| &dead.checkin));
        let mut known = known.cloned();
        let found = known.find(|known| known.id == id && known.user == user);
        drop(known);
        let Some(checkin) = found else {
            return match id.ms < self.horizon_ms {
                _ if self.retracted.get(&id).is_some_and(|(of, _)| *of == user) => Retracted::Done,
                _ if self.private_retracted.contains(&(user, id)) => Retracted::Done,
                true => Retracted::TooOld,
                false => Retracted::Unknown,
            };
        };
        self.parts[part_of(user)].entries.remove(&id);
        self.dead.retain(|_, dead| dead.checkin.id != id);
        self.retracted.insert(id, (user, checkin.time_ms));
        let content = (user, checkin.location, checkin.stars, false);
        if self.appended_ms.get(&content) == Some(&checkin.time_ms) {
            self.appended_ms.remove(&content);
        }
        if self.history.remove(&HistoryPosition::from(&checkin)).is_some() {
            self.take_back(&checkin);
        }
        Retracted::Done
    }

    fn take_back(&mut self, checkin: &Checkin) {
        let Checkin { time_ms, user, location, stars, .. } = *checkin;
        let latest = self.history.values().rfind(|other| other.user == user);
        let latest = latest.map(|latest| (latest.time_ms, latest.location));
        if let Some(stored) = self.users.get_mut(&user) {
            let base = stored.first.last_checkin.zip(stored.first.last_seen_at);
            let last = latest.filter(|(ms, _)| stored.first.last_checkin <= Some(*ms)).or(base);
            stored.user.num_checkins -= 1;
            (stored.user.last_checkin, stored.user.last_seen_at) = last.unzip();
        }
        if let Some(stored) = self.places.get_mut(&location) {
            stored.place.num_checkins -= 1;
            stored.place.num_stars -= u64::from(stars.get());
            stored.ratings[usize::from(stars.get())] -= 1;
        }
        let monday = monday_ms(time_ms);
        self.user_weeks.entry((monday, user)).and_modify(|count| *count -= 1);
        self.place_weeks.entry((monday, location)).and_modify(|count| *count -= 1);
    }
}
