//! Who was where, by user and by place.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Checkin, CheckinId, LocationId, UserId};

/// The check-ins of each user and of each place, as far as they are counted. They stay when the log
/// is trimmed.
#[async_trait]
pub trait History: Send + Sync {
    /// A user's check-ins, the latest first, from behind `after`, at most `limit`.
    async fn of_user(
        &self,
        user: UserId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>>;

    /// A place's check-ins, the latest first, from behind `after`, at most `limit`.
    async fn of_location(
        &self,
        location: LocationId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>>;
}

/// A place in a history: that of the check-in with this time and id. Later ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPosition {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Of those of one time.
    pub id: CheckinId,
}

impl From<&Checkin> for HistoryPosition {
    fn from(checkin: &Checkin) -> Self {
        Self { time_ms: checkin.time_ms, id: checkin.id }
    }
}
