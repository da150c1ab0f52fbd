//! Which check-ins the log accepts: one decision for all stores.

use std::time::Duration;

use checkin_domain::{CheckinId, NewCheckin};

use crate::Accepted;

/// The limits by which the log accepts check-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Identical check-ins within this time are refused; zero refuses none.
    pub duplicate_window: Duration,
    /// Maximum number of entries of one part of the log that are not yet applied.
    pub max_backlog: u64,
    /// Maximum number of entries in one part of the log. When it is full, the oldest applied entry
    /// is removed (it stays in the histories). If no entry is applied yet, check-ins are refused.
    pub max_length: u64,
}

impl Admission {
    /// Accepts every check-in.
    pub const ALL: Self =
        Self { duplicate_window: Duration::ZERO, max_backlog: u64::MAX, max_length: u64::MAX };
}

/// The facts that a store reads in one step before it appends a check-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionFacts {
    /// The check-in that came first with this user's idempotency key, and the id of its entry.
    pub remembered: Option<(NewCheckin, CheckinId)>,
    /// The time of the last identical check-in, in milliseconds since 1970.
    pub last_identical_ms: Option<u64>,
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
    /// The number of entries in this part of the log.
    pub length: u64,
    /// The number of these that are applied.
    pub counted: u64,
}

/// The decision about a check-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Remove this number of the oldest entries and append it.
    Append {
        /// Entries that leave the log; all of them are applied.
        trim: u64,
    },
    /// Append nothing and return this.
    Answer(Accepted),
}

impl Admission {
    /// Decides about a check-in. The idempotency key is checked first, then the duplicate window,
    /// then the limits of the log.
    #[must_use]
    pub fn decide(&self, checkin: &NewCheckin, facts: &AdmissionFacts) -> Decision {
        if let Some((first, id)) = &facts.remembered {
            let same = first == checkin;
            return Decision::Answer(if same {
                Accepted::Replayed(*id)
            } else {
                Accepted::KeyReused
            });
        }
        // If the clock was set back, the last check-in may be in the future.
        let is_recent = |last_ms: u64| {
            u128::from(facts.now_ms.saturating_sub(last_ms)) < self.duplicate_window.as_millis()
        };
        if facts.last_identical_ms.is_some_and(is_recent) {
            return Decision::Answer(Accepted::Duplicate);
        }
        let behind = Decision::Answer(Accepted::Behind);
        if facts.length.saturating_sub(facts.counted) >= self.max_backlog {
            return behind;
        }
        if facts.length < self.max_length {
            return Decision::Append { trim: 0 };
        }
        let trim = facts.counted.min(facts.length - self.max_length + 1);
        if trim == 0 || facts.length - trim >= self.max_length {
            return behind;
        }
        Decision::Append { trim }
    }
}
