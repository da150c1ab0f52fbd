//! The log of check-ins.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Admission, HistoryPosition, Result};
use checkin_domain::{Checkin, CheckinId, CheckinIdError, NewCheckin};

/// The log of all check-ins: partitions, each in the order of its ids. A user's entries are all in
/// one partition.
///
/// # Contract
///
/// - Within a partition ids grow: an entry that is appended later has a higher one, whoever appends.
///   No two entries have the same id.
/// - A check-in that is appended has the time of its append, also while the ids are ahead of the
///   clock because somebody else wrote an entry under an id of their own.
/// - What was answered with [`Accepted::Stored`] is kept: on SQLite committed and synced to disk,
///   on Redis acknowledged.
/// - All that [`append`](Self::append) looks at, and the append, are one step: of equal check-ins
///   that arrive together one is stored.
#[async_trait]
pub trait Log: Send + Sync {
    /// Appends a check-in, unless an identical one (same user, place and rating) was appended less
    /// than the duplicate window ago, or the log is too long. A store need not remember a check-in
    /// for longer than the window that it was appended with, so callers agree on one.
    ///
    /// With an idempotency key the answer is remembered for [`IDEMPOTENCY_TTL`]: the same user's
    /// same key and check-in is [`Accepted::Replayed`] with the first answer's id, also within the
    /// duplicate window and when the log is too long. A key is never looked up across users. A
    /// refusal is not remembered.
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted>;

    /// The check-ins that were made from the first to the last of these milliseconds, both included,
    /// in the order of their times and then of their ids, from behind `after`, at most `limit`.
    /// Entries that are no check-ins are passed over.
    async fn checkins_between(
        &self,
        times_ms: RangeInclusive<u64>,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>>;

    /// The entries with the highest ids below `before`, those first, at most `limit`. Entries that
    /// are no check-ins are passed over.
    async fn latest_checkins(&self, before: CheckinId, limit: usize) -> Result<Vec<Checkin>>;

    /// Where the log ends now.
    async fn log_end(&self) -> Result<LogPosition>;

    /// Reads on from a position, in the order of each partition, about `limit` entries, and moves
    /// the position behind them. Each check-in comes with its partition, an index into the position.
    async fn follow(&self, from: &mut LogPosition, limit: usize) -> Result<Vec<(usize, Checkin)>>;
}

/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer to [`Log::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// A new entry of this id.
    Stored(CheckinId),
    /// An identical check-in was appended too short a time ago; nothing was stored.
    Duplicate,
    /// The entry that this idempotency key made before; nothing was stored.
    Replayed(CheckinId),
    /// This idempotency key came with another check-in before; nothing was stored.
    KeyReused,
    /// Too many entries wait to be counted; nothing was stored.
    Behind,
}

/// How far a reader of the log has read: the last id of each partition. It is written as these ids
/// with commas between, so for one partition as an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition(pub Vec<CheckinId>);

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (partition, id) in self.0.iter().enumerate() {
            let comma = if partition == 0 { "" } else { "," };
            write!(f, "{comma}{id}")?;
        }
        Ok(())
    }
}

impl FromStr for LogPosition {
    type Err = CheckinIdError;

    fn from_str(text: &str) -> std::result::Result<Self, CheckinIdError> {
        text.split(',').map(str::parse).collect::<std::result::Result<_, _>>().map(Self)
    }
}
