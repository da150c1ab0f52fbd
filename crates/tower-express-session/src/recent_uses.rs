//! Remembers when the uses of sessions were indexed, for sessions whose time to live does not show it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::id::SessionId;

/// The maximum number of remembered sessions. Then all are forgotten, and are indexed once more.
const MAX_SESSIONS: usize = 10_000;

/// When this process last indexed a use of each session.
#[derive(Debug, Default)]
pub(crate) struct RecentUses(
    // Locked for a few instructions, never across an await.
    Mutex<HashMap<SessionId, Instant>>,
);

impl RecentUses {
    /// Returns whether no use of the session was indexed for the quiet time, and counts this one as
    /// indexed.
    pub(crate) fn is_due(&self, id: &SessionId, quiet: Duration, now: Instant) -> bool {
        // No code under the lock panics half-way.
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.get(id).is_some_and(|last| now.saturating_duration_since(*last) < quiet) {
            return false;
        }
        if uses.len() >= MAX_SESSIONS {
            uses.clear();
        }
        uses.insert(id.clone(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_due_after_the_quiet_time_and_the_number_of_sessions_is_limited() {
        let uses = RecentUses::default();
        let (id, start) = (SessionId::from("a"), Instant::now());
        let due = |seconds| {
            uses.is_due(&id, Duration::from_secs(10), start + Duration::from_secs(seconds))
        };
        assert_eq!([0, 9, 10, 19, 21].map(due), [true, false, true, false, true]);
        for number in 0..2 * MAX_SESSIONS {
            let other = SessionId::from(&*number.to_string());
            assert!(uses.is_due(&other, Duration::MAX, start));
        }
        assert!(uses.0.lock().unwrap().len() <= MAX_SESSIONS);
    }
}
