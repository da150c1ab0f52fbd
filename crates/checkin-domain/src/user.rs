//! A user, with name, address and figures.

use crate::email::Email;
use crate::id::{LocationId, UserId};
use crate::password::PasswordHash;

/// An account with its figures, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub first_name: String,
    /// The last name; may be empty, because some people have none.
    pub last_name: String,
    pub email: Email,
    pub password: PasswordHash,
    pub num_checkins: u64,
    /// The time of the last check-in, in milliseconds since 1970; `None` before the first one.
    pub last_checkin: Option<u64>,
    /// The location of the last check-in.
    pub last_seen_at: Option<LocationId>,
}

/// The name of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub first: String,
    /// May be empty.
    pub last: String,
}

impl Name {
    /// Returns the first and last name, as they are displayed together.
    pub fn full(&self) -> String {
        format!("{} {}", self.first, self.last).trim_end().to_owned()
    }
}
