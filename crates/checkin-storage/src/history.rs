//! The check-ins of each user and of each location.

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Checkin, CheckinId, LocationId, UserId};

/// The histories: the applied check-ins of each user and of each location. They are kept when the log is
/// trimmed, with the comments. Check-ins of the same millisecond have an order that does not change, and that is not the
/// same on every store.
#[async_trait]
pub trait History: Send + Sync {
    /// Returns a user's check-ins after `after`, latest first, at most `limit`. This is for the eyes of the
    /// user alone: private check-ins are among them.
    async fn of_user(
        &self,
        user: UserId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>>;

    /// Returns a location's check-ins that are not private after `after`, latest first, at most `limit`.
    async fn of_location(
        &self,
        location: LocationId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>>;
}

/// A position in a history: that of the check-in with this time and id. Later check-ins come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPosition {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Distinguishes check-ins of the same time.
    pub id: CheckinId,
}

impl From<&Checkin> for HistoryPosition {
    fn from(checkin: &Checkin) -> Self {
        Self { time_ms: checkin.time_ms, id: checkin.id }
    }
}
