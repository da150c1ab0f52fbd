//! Bounding the histories by age.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::Checkin;
use checkin_storage::{Folded, HistoryPosition, Result, Retention};

use crate::log::part_of;
use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl Retention for MemoryStorage {
    async fn fold(&self, keep: Duration, _: Option<String>, _: usize) -> Result<Folded> {
        let mut contents = self.contents();
        let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        contents.horizon_ms = contents.horizon_ms.max(contents.now_ms.saturating_sub(keep_ms));
        let horizon_ms = contents.horizon_ms;
        contents.private.retain(|_, checkin| checkin.time_ms >= horizon_ms);
        let old: Vec<Checkin> =
            contents.history.values().filter(|checkin| contents.may_go(checkin)).cloned().collect();
        for checkin in &old {
            contents.remove(checkin);
        }
        let horizon_ms = contents.horizon_ms;
        contents.retracted.retain(|id, _| id.ms >= horizon_ms);
        Ok(Folded { removed: old.len() as u64, next: None })
    }
}

impl Contents {
    fn may_go(&self, checkin: &Checkin) -> bool {
        let Checkin { id, time_ms, user, location, .. } = checkin;
        let part = &self.parts[part_of(*user)];
        let position = HistoryPosition::from(checkin);
        let has_newer = |same: &dyn Fn(&Checkin) -> bool| {
            let mut later = self.history.range(position..).skip(1);
            later.any(|(_, later)| same(later))
        };
        id.ms.max(*time_ms) < self.horizon_ms
            && *id <= part.checkpoint
            && !part.entries.contains_key(id)
            && !self.is_dead(checkin)
            && has_newer(&|later| later.user == *user)
            && has_newer(&|later| later.location == *location)
    }

    fn remove(&mut self, checkin: &Checkin) {
        self.history.remove(&HistoryPosition::from(checkin));
        if let Some(user) = self.users.get_mut(&checkin.user) {
            user.first.num_checkins += 1;
            if user.first.last_checkin <= Some(checkin.time_ms) {
                user.first.last_checkin = Some(checkin.time_ms);
                user.first.last_seen_at = Some(checkin.location);
            }
        }
        if let Some(place) = self.places.get_mut(&checkin.location) {
            place.first.num_checkins += 1;
            place.first.num_stars += u64::from(checkin.stars.get());
            place.folded[usize::from(checkin.stars.get())] += 1;
        }
    }
}
