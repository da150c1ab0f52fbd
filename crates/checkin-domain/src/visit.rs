//! A check-in that was made at Swarm.

use crate::checkin::{Checkin, CheckinId};

/// A check-in of Swarm, in the form in which it is imported.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Visit {
    /// The check-in, with the id that it gets if the log has no later entry.
    pub checkin: Checkin,
    /// Its id at Swarm; old exports have none.
    pub swarm_id: Option<String>,
}

impl Visit {
    /// Returns the check-in with a time that is this number of milliseconds later.
    pub fn later(&self, ms: u64) -> Checkin {
        let Checkin { id, time_ms, .. } = self.checkin;
        let id = CheckinId { ms: id.ms.saturating_add(ms), ..id };
        Checkin { id, time_ms: time_ms.saturating_add(ms), ..self.checkin.clone() }
    }
}
