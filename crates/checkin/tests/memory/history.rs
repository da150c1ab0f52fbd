//! Who was where.

use std::cmp::Reverse;

use async_trait::async_trait;
use checkin_domain::{Checkin, LocationId, UserId};
use checkin_storage::{History, HistoryPosition, Result};

use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl History for MemoryStorage {
    async fn of_user(
        &self,
        user: UserId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let contents = self.contents();
        let mut checkins = contents.latest(|checkin| checkin.user == user, after, limit);
        let private = contents.private.values().filter(|checkin| checkin.user == user);
        let is_behind =
            |it: &&Checkin| after.is_none_or(|after| HistoryPosition::from(*it) < after);
        checkins.extend(private.filter(is_behind).cloned());
        checkins.sort_by_key(|checkin| Reverse(HistoryPosition::from(checkin)));
        checkins.truncate(limit);
        Ok(checkins)
    }

    async fn of_location(
        &self,
        location: LocationId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        Ok(self.contents().latest(|checkin| checkin.location == location, after, limit))
    }
}

impl Contents {
    fn latest(
        &self,
        is_wanted: impl Fn(&Checkin) -> bool,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Vec<Checkin> {
        let behind = self.history.iter().rev();
        let behind = behind.filter(|(at, _)| after.is_none_or(|after| **at < after));
        let wanted = behind.map(|(_, checkin)| checkin.clone()).filter(is_wanted);
        wanted.take(limit).collect()
    }
}
