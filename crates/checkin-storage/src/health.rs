//! The state of the store.

use async_trait::async_trait;

use crate::{Fault, Result};
use checkin_domain::MAX_SAFE_INTEGER;

/// Checks whether the store is available and suitable.
#[async_trait]
pub trait Health: Send + Sync {
    /// Checks whether the store is available. Changes no data.
    ///
    /// # Errors
    ///
    /// Why the store is unavailable.
    async fn ping(&self) -> Result<(), Fault>;

    /// Checks whether the store can be used with these settings. Writes nothing.
    ///
    /// # Errors
    ///
    /// Why the store cannot be used, and what to do about it.
    async fn check(&self) -> Result<(), Fault>;

    /// Checks the store and writes the data that it must have before any other data.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    async fn prepare(&self) -> Result<(), Fault>;

    /// Checks that the login of this process to the store has the permissions of these services.
    ///
    /// # Errors
    ///
    /// What is missing, and how to repair it.
    async fn permitted(&self, services: &[ServiceKind]) -> Result<(), Fault>;

    /// Upgrades the data of older versions of this program, if there are any. Several processes may do
    /// so at the same time, even while processes of older versions run.
    ///
    /// # Errors
    ///
    /// Why the data cannot be upgraded.
    ///
    /// # Cancel safety
    ///
    /// The next call continues with the data that is not yet upgraded.
    async fn upgrade(&self) -> Result<(), Fault>;

    /// Adds the findings of `checkin doctor` about the store, which it also [checks](Self::check).
    ///
    /// # Errors
    ///
    /// Why it ended early. What was found before is among the findings.
    async fn diagnose(&self, findings: &mut Vec<Finding>) -> Result<()>;
}

/// A service that uses the store, perhaps with a login of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// The authentication service.
    Auth,
    /// The check-in receiver.
    Receiver,
    /// The processor.
    Processor,
    /// The read API.
    Api,
}

impl ServiceKind {
    /// All services.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Receiver, Self::Processor, Self::Api];

    /// Returns the name of the command that runs the service.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Api => "api",
        }
    }
}

/// One line of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether something has to be repaired.
    pub severity: Severity,
    /// The finding, in one sentence.
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
    /// Creates a finding that everything is as it should be.
    pub fn fine(what: impl Into<String>) -> Self {
        Self { severity: Severity::Fine, what: what.into(), advice: String::new() }
    }

    /// Creates a finding that states the numbers of users, locations and check-ins.
    pub fn content(users: u64, locations: u64, checkins: u64) -> Self {
        Self::fine(format!(
            "it holds {users} users, {locations} locations and {checkins} check-ins"
        ))
    }

    /// Creates a finding that something works, but not as safely as it could.
    pub fn warning(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), advice: advice.into() }
    }

    /// Creates a finding that something does not work, or will lose data.
    pub fn problem(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, what: what.into(), advice: advice.into() }
    }
}

/// Returns findings if the highest id of accounts or of locations is in use, because new records get the
/// next higher id.
pub fn used_up_ids(accounts: bool, places: bool) -> impl Iterator<Item = Finding> {
    let accounts = accounts.then(|| {
        Finding::warning(
            format!("the ids of accounts are used up: {MAX_SAFE_INTEGER} is in use"),
            "nothing is lost, a new account gets the highest free id; find the program that created an \
             account with that id",
        )
    });
    let places = places.then(|| {
        Finding::warning(
            format!("the ids of locations are used up: {MAX_SAFE_INTEGER} is in use"),
            "nothing is lost, but an import of a Swarm history creates no new locations: first load them with ids of \
             their own (`checkin load FILE.json`); find the program that created a location with that id",
        )
    });
    accounts.into_iter().chain(places)
}
