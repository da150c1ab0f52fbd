//! A user: who they are, and what their check-ins come to.

use crate::email::Email;
use crate::id::{LocationId, UserId};
use crate::password::PasswordHash;

/// An account with its figures, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub first_name: String,
    /// May be empty: not everybody has one.
    pub last_name: String,
    pub email: Email,
    pub password: PasswordHash,
    pub num_checkins: u64,
    /// When they last checked in, in milliseconds since 1970; `None` before the first time.
    pub last_checkin: Option<u64>,
    /// Where that was.
    pub last_seen_at: Option<LocationId>,
}

/// What somebody is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub first: String,
    /// May be empty.
    pub last: String,
}

impl Name {
    /// First and last name, as they are shown together.
    pub fn full(&self) -> String {
        format!("{} {}", self.first, self.last).trim_end().to_owned()
    }
}
