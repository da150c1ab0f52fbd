//! What the services keep, as traits: each with its contract, and with an implementation on SQLite
//! and on Redis that passes one shared suite.

mod bulk;
mod checkins;
#[cfg(feature = "conformance")]
#[expect(clippy::unwrap_used, reason = "a check that cannot go on fails")]
pub mod conformance;
mod consumer;
pub mod details;
mod directory;
mod error;
mod fault;
pub mod health;
mod history;
mod locations;
pub mod nearby;
pub mod swarm;
mod unreadable;
mod users;
mod weather;

pub use bulk::{BulkLoad, Loaded};
pub use checkins::{Accepted, Admission, CheckinLog, IDEMPOTENCY_TTL, LogPosition};
pub use consumer::{
    Audit, Batch, CheckinConsumer, Completed, DeadLetter, DeadLetterId, Difference, Entry, Replay,
    Subject, Turn,
};
pub use directory::{Directory, MAX_SEARCH_WORDS, Nearby, Page, Period, Position, Ranked};
pub use error::{Result, StorageError, UsedUp};
pub use fault::Fault;
pub use health::{Finding, Health, Severity};
pub use history::{History, HistoryPosition};
pub use locations::LocationRepository;
pub use swarm::{SwarmLoad, VenuePlace};
pub use unreadable::{Reports, is_there, readable};
pub use users::{Account, NewUser, Registered, UserRepository};
pub use weather::WeatherCache;

/// Everything that the services need of a store; each trait of it has a contract of its own.
pub trait Storage:
    UserRepository
    + LocationRepository
    + CheckinLog
    + CheckinConsumer
    + History
    + BulkLoad
    + SwarmLoad
    + Health
    + Directory
    + WeatherCache
{
}

impl<T> Storage for T where
    T: UserRepository
        + LocationRepository
        + CheckinLog
        + CheckinConsumer
        + History
        + BulkLoad
        + SwarmLoad
        + Health
        + Directory
        + WeatherCache
{
}
