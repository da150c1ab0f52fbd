//! Who may see where people check in, and which accounts are new.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use checkin_domain::UserId;

/// What accounts choose about their privacy, and which accounts are new.
///
/// # Contract
///
/// - A read sees every write that was completed before it.
#[async_trait]
pub trait Privacy: Send + Sync {
    /// Returns who may see where a user checks in. Without a choice, it is the default.
    async fn audience(&self, user: UserId) -> Result<Audience>;

    /// Stores who may see where a user checks in.
    async fn set_audience(&self, user: UserId, audience: Audience) -> Result<()>;

    /// Returns those of `users` whose audience is [`Audience::Nobody`]. The users may repeat.
    async fn hidden_among(&self, users: &[UserId]) -> Result<HashSet<UserId>>;

    /// Makes an account a new one for the time `life`.
    async fn mark_new(&self, user: UserId, life: Duration) -> Result<()>;

    /// Returns whether an account is new.
    async fn is_new(&self, user: UserId) -> Result<bool>;
}

/// Those who may see where a user checks in, beside the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// All users who are logged in.
    #[default]
    Users,
    /// Nobody.
    Nobody,
}

impl Audience {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Users, Self::Nobody];

    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Nobody => "nobody",
        }
    }

    /// Reads a stored name. A name that a later version has stored is read as the smallest audience.
    #[must_use]
    pub fn stored(name: Option<&str>) -> Self {
        name.map_or(Self::default(), |name| name.parse().unwrap_or(Self::Nobody))
    }
}

impl FromStr for Audience {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|audience| audience.as_str() == text);
        found.ok_or("must be users or nobody")
    }
}
