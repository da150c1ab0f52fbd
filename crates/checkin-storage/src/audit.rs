//! Verifying the figures.

use std::fmt;

use async_trait::async_trait;
use checkin_domain::{LocationId, UserId};

use crate::Result;

/// Verifies the stored figures.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Counts all check-ins again, from the log and the histories, and compares the result with the
    /// stored figures. Processors may run meanwhile.
    async fn audit(&self) -> Result<AuditReport>;
}

/// The result of [`Audit::audit`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Entries in the log.
    pub entries: u64,
    /// The number of these that are applied.
    pub counted: u64,
    /// The number of these that are not yet applied.
    pub waiting: u64,
    /// The number of these that are dead letters.
    pub dead: u64,
    /// Users and locations that were compared.
    pub compared: u64,
    /// The number of these that differ.
    pub different: u64,
    /// The first [`NAMED`](Self::NAMED) differences.
    pub differences: Vec<Difference>,
    /// The first [`NAMED`](Self::NAMED) of those that could not be compared, because what is stored
    /// of them cannot be read.
    pub unreadable: Vec<Audited>,
    /// What to do about the differences, if the store knows.
    pub advice: Option<String>,
}

impl AuditReport {
    /// The number of differences, and of unreadable records, that a report names one by one.
    pub const NAMED: usize = 100;

    /// Adds the differences of one user or location; `unequal` is empty if all its figures are right.
    pub fn add(&mut self, of: Audited, unequal: &[Unequal]) {
        self.different += u64::from(!unequal.is_empty());
        for Unequal { figure, stored, counted } in unequal.iter().copied() {
            if self.differences.len() < Self::NAMED {
                self.differences.push(Difference { of, figure, stored, counted });
            }
        }
    }

    /// Adds a user or location that cannot be read.
    pub fn add_unreadable(&mut self, of: Audited) {
        if self.unreadable.len() < Self::NAMED {
            self.unreadable.push(of);
        }
    }
}

/// A stored figure that differs from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The user or location.
    pub of: Audited,
    /// Which figure.
    pub figure: Figure,
    /// The stored value.
    pub stored: u64,
    /// The value that was counted.
    pub counted: u64,
}

/// A figure whose stored value differs from the counted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unequal {
    /// Which figure.
    pub figure: Figure,
    /// The stored value.
    pub stored: u64,
    /// The value that was counted.
    pub counted: u64,
}

impl Unequal {
    /// Compares a figure. Returns `None` if it is right.
    #[must_use]
    pub fn of(figure: Figure, stored: u64, counted: u64) -> Option<Self> {
        (stored != counted).then_some(Self { figure, stored, counted })
    }
}

/// A figure that an audit compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The number of check-ins.
    NumCheckins,
    /// The time of the last check-in, in milliseconds since 1970.
    LastCheckin,
    /// The sum of the stars.
    NumStars,
    /// The number of ratings.
    Ratings,
    /// The sum of the stars of the ratings.
    RatedStars,
    /// The number of check-ins in the history. If both numbers are equal, the histories differ in
    /// their check-ins.
    History,
}

/// Writes the name of the field that a stored record has for the figure.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NumCheckins => "numCheckins",
            Self::LastCheckin => "lastCheckin",
            Self::NumStars => "numStars",
            Self::Ratings => "ratings",
            Self::RatedStars => "ratedStars",
            Self::History => "history",
        })
    }
}

/// The user or location that an audit compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audited {
    /// A user.
    User(UserId),
    /// A location.
    Location(LocationId),
}
