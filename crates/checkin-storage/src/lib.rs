//! The storage of the services, as traits. Each trait has a contract. The implementations for SQLite
//! and for Redis pass the same conformance suite.

mod admission;
mod applier;
mod attempts;
mod audit;
mod bulk;
mod cells;
#[cfg(feature = "conformance")]
#[expect(clippy::unwrap_used, reason = "a check that cannot continue fails")]
pub mod conformance;
mod dead_letters;
pub mod details;
mod directory;
mod error;
mod fault;
pub mod health;
mod history;
mod locations;
mod log;
mod membership;
pub mod nearby;
mod privacy;
mod retention;
mod retractions;
mod searches;
mod second_factors;
mod security_events;
mod standing;
pub mod swarm;
mod unreadable;
mod users;
mod weather;
pub mod weeks;

pub use admission::{Admission, AdmissionFacts, Decision};
pub use applier::{Applied, Applier, Batch, LogEntry, PartState};
pub use attempts::{
    Allowance, Attempt, Attempts, Budget, Counted, FIRST_WAIT, Forgotten, LONGEST_WAIT, Taken,
};
pub use audit::{Audit, AuditReport, Audited, Difference, Figure, Unequal};
pub use bulk::{BulkLoad, Loaded};
pub use dead_letters::{Dangling, DeadLetter, DeadLetterId, DeadLetters, Replay};
pub use directory::{
    Directory, FoundLocations, MAX_CANDIDATES, MAX_SEARCH_WORDS, Nearby, Page, Period, Position,
    Ranked,
};
pub use error::{Result, StorageError, UsedUp};
pub use fault::Fault;
pub use health::{Finding, Health, ServiceKind, Severity};
pub use history::{History, HistoryPosition};
pub use locations::Locations;
pub use log::{Accepted, IDEMPOTENCY_TTL, Log, LogPosition, private_id};
pub use membership::{Lease, LiveProcessor, MAX_LISTED, Membership, Rank};
pub use privacy::{Audience, Privacy};
pub use retention::{Folded, Retention};
pub use retractions::{Retracted, Retractions};
pub use searches::{NewEpoch, Search, Searches};
pub use second_factors::{PendingName, PendingSteps, SecondFactors};
pub use security_events::{
    EventKind, EventList, EventPosition, RecordedEvent, SecurityEvent, SecurityEvents, UnknownKind,
};
pub use standing::{AccountChange, Admitted, Role, Standing, Status};
pub use swarm::{SwarmLoad, VenueLocation};
pub use unreadable::{Reports, is_there, readable};
pub use users::{Credentials, NewUser, Registered, Users};
pub use weather::WeatherCache;

/// All storage operations of the services. Each supertrait has its own contract.
pub trait Storage:
    Users
    + Searches
    + Attempts
    + SecondFactors
    + PendingSteps
    + Locations
    + Log
    + Membership
    + Applier
    + DeadLetters
    + Audit
    + Retention
    + Retractions
    + Directory
    + History
    + Privacy
    + WeatherCache
    + BulkLoad
    + SwarmLoad
    + SecurityEvents
    + Health
{
}

impl<T> Storage for T where
    T: Users
        + Searches
        + Attempts
        + SecondFactors
        + PendingSteps
        + Locations
        + Log
        + Membership
        + Applier
        + DeadLetters
        + Audit
        + Retention
        + Retractions
        + Directory
        + History
        + Privacy
        + WeatherCache
        + BulkLoad
        + SwarmLoad
        + SecurityEvents
        + Health
{
}
