//! A check-in that was made at Swarm.

use crate::checkin::{Checkin, CheckinId};

/// A check-in of Swarm, as it is imported here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Visit {
    /// Under the id that it gets if the log is not past it.
    pub checkin: Checkin,
    /// Swarm's id of it; old exports have none.
    pub swarm_id: Option<String>,
}

impl Visit {
    /// The check-in, so many milliseconds later.
    pub fn later(&self, ms: u64) -> Checkin {
        let Checkin { id, time_ms, .. } = self.checkin;
        let id = CheckinId { ms: id.ms.saturating_add(ms), ..id };
        Checkin { id, time_ms: time_ms.saturating_add(ms), ..self.checkin }
    }
}
