//! How the store is.

use async_trait::async_trait;

use crate::{Fault, Result};
use checkin_domain::MAX_SAFE_INTEGER;

/// Whether the store can be reached and is fit for its work.
#[async_trait]
pub trait Health: Send + Sync {
    /// Asks the store for a sign of life, writing nothing.
    ///
    /// # Errors
    ///
    /// Why there is none.
    async fn ping(&self) -> Result<(), Fault>;

    /// Looks whether the store can be used with these settings, writing nothing.
    ///
    /// # Errors
    ///
    /// What is in the way, and what to do about it.
    async fn check(&self) -> Result<(), Fault>;

    /// Checks the store and writes what must be in it before anything else is.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    async fn prepare(&self) -> Result<(), Fault>;

    /// Brings what an older version of this program stored into the form of this one; nothing if
    /// there is nothing to do. Several processes may do so at once, also beside older ones.
    ///
    /// # Errors
    ///
    /// What is in the way.
    ///
    /// # Cancel safety
    ///
    /// The next call goes on with what is left.
    async fn upgrade(&self) -> Result<(), Fault>;

    /// What `checkin doctor` has to say about the store.
    async fn diagnose(&self) -> Result<Vec<Finding>>;
}

/// One line of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether something has to be repaired.
    pub severity: Severity,
    /// What is the matter, in one sentence.
    pub what: String,
    /// What to do about it; empty if there is nothing to do.
    pub advice: String,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// It works, but not as safely as it could.
    Warning,
    /// It does not work, or data will be lost.
    Problem,
}

impl Finding {
    /// Something that is as it should be.
    pub fn fine(what: impl Into<String>) -> Self {
        Self { severity: Severity::Fine, what: what.into(), advice: String::new() }
    }

    /// What the store holds.
    pub fn content(users: u64, locations: u64, checkins: u64) -> Self {
        Self::fine(format!(
            "it holds {users} users, {locations} locations and {checkins} check-ins"
        ))
    }

    /// Something that works, but not as safely as it could.
    pub fn warning(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), advice: advice.into() }
    }

    /// Something that does not work, or will lose data.
    pub fn problem(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, what: what.into(), advice: advice.into() }
    }
}

/// What to say if the highest id of accounts or of places is in use: the next one is the id behind it.
pub fn used_up_ids(accounts: bool, places: bool) -> impl Iterator<Item = Finding> {
    let accounts = accounts.then(|| {
        Finding::warning(
            format!("the ids of accounts are used up: {MAX_SAFE_INTEGER} is in use"),
            "nothing is lost, a new account gets the highest id that is free; find the program that \
             opened an account under that id",
        )
    });
    let places = places.then(|| {
        Finding::warning(
            format!("the ids of places are used up: {MAX_SAFE_INTEGER} is in use"),
            "nothing is lost, but an import of a Swarm history makes no new places: load those with ids of \
             their own (`checkin load FILE.json`) first; find the program that made a place under that id",
        )
    });
    accounts.into_iter().chain(places)
}
