//! Who was where.

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
        Ok(self.contents().latest(|checkin| checkin.user == user, after, limit))
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
