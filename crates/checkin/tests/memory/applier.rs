//! From the log to the figures.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId, monday_ms};
use checkin_storage::weeks::is_kept;
use checkin_storage::{
    Applied, Applier, Batch, Dangling, DeadLetter, HistoryPosition, Lease, LogEntry, PartState,
    Result, StorageError,
};

use crate::dead_letters::Dead;
use crate::log::Part;
use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl Applier for MemoryStorage {
    async fn read(&self, lease: &Lease, after: CheckinId, limit: usize) -> Result<Batch> {
        let checkins = self.contents().parts[lease.part].after(after, limit);
        let entries = checkins.into_iter().map(LogEntry::Checkin).collect();
        Ok(Batch { part: lease.part, after, entries })
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied> {
        let mut contents = self.contents();
        let Some(last) = batch.entries.last() else {
            return Ok(Applied::default());
        };
        if contents.failing_part == Some(batch.part) {
            return Err(StorageError::new("this part fails"));
        }
        if contents.parts[batch.part].checkpoint != batch.after {
            return Ok(Applied::default());
        }
        let mut applied = Applied::default();
        // Nothing else comes into this log.
        let mut checkins = batch.checkins();
        checkins.retain(|checkin| !contents.retracted.contains_key(&checkin.id));
        for checkin in checkins {
            match contents.count(&checkin) {
                None => applied.new += 1,
                Some(reason) => {
                    let letter = DeadLetter::of(batch.part, &checkin, reason);
                    contents.dead.insert(letter.id, Dead { letter, checkin });
                    applied.dead += 1;
                }
            }
        }
        contents.parts[batch.part].checkpoint = last.id();
        Ok(applied)
    }

    async fn backlog(&self) -> Result<u64> {
        Ok(self.contents().parts.iter().map(Part::waiting).sum())
    }

    async fn part_states(&self) -> Result<Vec<PartState>> {
        let contents = self.contents();
        let state = |(number, part): (usize, &Part)| {
            let oldest = part.after(part.checkpoint, 1).pop();
            let age_ms = oldest.map_or(0, |oldest| contents.now_ms.saturating_sub(oldest.id.ms));
            let dead = contents.dead.keys().filter(|id| id.part == number);
            PartState {
                length: part.entries.len() as u64,
                waiting: part.waiting(),
                oldest_waiting: Duration::from_millis(age_ms),
                dead_letters: dead.count() as u64,
                counted: part.entries.len() as u64 - part.waiting(),
                lost: 0,
            }
        };
        Ok(contents.parts.iter().enumerate().map(state).collect())
    }
}

impl Contents {
    /// Adds a check-in to the figures, the lists and the histories, or returns what it lacks.
    pub(crate) fn count(&mut self, checkin: &Checkin) -> Option<Dangling> {
        let Checkin { time_ms, user, location, stars, .. } = *checkin;
        let (user, place) = match (self.users.get_mut(&user), self.places.get_mut(&location)) {
            (Some(user), Some(place)) => (&mut user.user, place),
            (user, place) => return Dangling::of(place.is_some(), user.is_some()),
        };
        user.num_checkins += 1;
        if user.last_checkin <= Some(time_ms) {
            user.last_checkin = Some(time_ms);
            user.last_seen_at = Some(location);
        }
        place.place.num_checkins += 1;
        place.place.num_stars += u64::from(stars.get());
        place.ratings[usize::from(stars.get())] += 1;
        self.history.insert(HistoryPosition::from(checkin), checkin.clone());
        self.count_week(checkin);
        None
    }

    fn count_week(&mut self, checkin: &Checkin) {
        let (monday, now_ms) = (monday_ms(checkin.time_ms), self.now_ms);
        *self.user_weeks.entry((monday, checkin.user)).or_default() += 1;
        *self.place_weeks.entry((monday, checkin.location)).or_default() += 1;
        self.user_weeks.retain(|(monday, _), _| is_kept(*monday, now_ms));
        self.place_weeks.retain(|(monday, _), _| is_kept(*monday, now_ms));
    }
}
