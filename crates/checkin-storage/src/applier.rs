//! Applying the entries of the log.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId};

use crate::{Lease, Result};

/// Reads the log and applies its entries to figures, histories and leaderboards.
///
/// # Contract
///
/// - A figure is the sum over the entries that were applied. An entry is applied once, however often
///   its batch is applied, by any processor, at the same time too, and however often processes die
///   half-way.
/// - `lastCheckin` and `lastSeenAt` are those of the latest check-in by its time, in whatever order
///   entries are applied.
/// - The checkpoint of a part moves when every entry up to it is applied or is a dead letter, and
///   never back.
/// - An entry that can never be applied (it is no check-in; its user or location is unknown) becomes a
///   dead letter, and the entries after it are applied.
#[async_trait]
pub trait Applier: Send + Sync {
    /// Reads the entries behind `after`, in order, at most `limit`, of the part that the lease is for.
    async fn read(&self, lease: &Lease, after: CheckinId, limit: usize) -> Result<Batch>;

    /// Applies a batch and then moves the checkpoint behind it. Call it again after an error. If the checkpoint is
    /// elsewhere by now, it stays there: an earlier call has moved it, whose answer was late, or another processor.
    async fn apply(&self, batch: &Batch) -> Result<Applied>;

    /// Returns the number of entries that are not yet applied.
    async fn backlog(&self) -> Result<u64>;

    /// Measures each part of the log, in order, for metrics.
    async fn part_states(&self) -> Result<Vec<PartState>>;
}

/// The state of a part of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartState {
    /// The number of its entries.
    pub length: u64,
    /// The number of entries that are not yet applied.
    pub waiting: u64,
    /// The age of the oldest entry that is not yet applied, by the store's clock; zero if all are
    /// applied.
    pub oldest_waiting: Duration,
    /// The number of entries that were applied or dead-lettered so far. A store whose histories are its log
    /// subtracts those that were folded.
    pub counted: u64,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The number of entries that another program removed before they were applied, as far as it is known:
    /// a store compares when a processor reaches the end of the log.
    pub lost: u64,
}

/// Entries of one part of the log, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The number of the part.
    pub part: usize,
    /// The checkpoint before the batch.
    pub after: CheckinId,
    /// The entries; empty when all are applied.
    pub entries: Vec<LogEntry>,
}

impl Batch {
    /// Returns those of the entries that are check-ins.
    #[must_use]
    pub fn checkins(&self) -> Vec<Checkin> {
        let checkin = |entry: &LogEntry| match entry {
            LogEntry::Checkin(checkin) => Some(checkin.clone()),
            LogEntry::Unreadable { .. } => None,
        };
        self.entries.iter().filter_map(checkin).collect()
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// A check-in.
    Checkin(Checkin),
    /// An entry that is no check-in; another program wrote it.
    Unreadable {
        /// Its id.
        id: CheckinId,
        /// What is wrong with it.
        reason: String,
        /// Its fields as a JSON object.
        fields: String,
    },
}

impl LogEntry {
    /// Returns the id in the log.
    #[must_use]
    pub fn id(&self) -> CheckinId {
        match self {
            Self::Checkin(checkin) => checkin.id,
            Self::Unreadable { id, .. } => *id,
        }
    }
}

/// The result of [`Applier::apply`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries that were applied now and not before.
    pub new: u64,
    /// Entries that became dead letters.
    pub dead: u64,
}
